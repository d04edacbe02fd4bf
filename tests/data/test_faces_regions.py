"""Which region covers what, against what a change of a region's colour changes."""

from dataclasses import replace

import numpy as np
import pytest
from faces_case import changed, mask_of

from data.faces import describe
from data.faces.regions import REGIONS, regions

SIZE = 128


def shares_of(face):
    return dict(zip(REGIONS, np.moveaxis(regions(face, SIZE), 2, 0), strict=True))


def test_shares_are_shares():
    for index in range(6):
        found = regions(describe(4, index), SIZE)
        assert found.shape == (SIZE, SIZE, len(REGIONS)) and found.dtype == np.float32
        assert found.min() >= 0 and found.sum(2).max() <= 1 + 2 / 255
        assert found.sum(2).mean() > 0.8


@pytest.mark.parametrize(
    "region, field", [("hair", "hair_lightness"), ("skin", "skin_tone"), ("eyes", "eye_lightness")]
)
def test_region_is_what_its_colour_changes(region, field):
    for index in range(6):
        plain = {"hair_tips": 0.0, "light": "day", "expression": "neutral", "glasses": "none"}
        face = replace(describe(4, index), **plain)
        share, moves = shares_of(face)[region], mask_of(face, field, SIZE, 6)
        assert share[~moves].sum() <= 0.03 * share.sum(), index


HUES = {"background": ["background_hue"], "clothes": ["outfit_hue", "second_hue", "accent_hue"]}


@pytest.mark.parametrize("region", HUES)
def test_background_and_clothes_are_what_their_colours_change(region):
    vivid = dict(background="flat", light="day", outfit="hoodie", headwear="none")
    vivid |= dict(background_chroma=0.11, outfit_chroma=0.14, second_chroma=0.11)
    for index in range(6):
        face = replace(describe(4, index), **vivid)
        turned = {field: (getattr(face, field) + 150) % 360 for field in HUES[region]}
        moves = changed(face, replace(face, **turned), 2 * SIZE)
        moves = moves.reshape(SIZE, 2, SIZE, 2).any((1, 3))
        share = shares_of(face)[region]
        assert share[moves].sum() >= 0.75 * share.sum(), index
        assert (share[moves] > 0.3).mean() > 0.7, index


def test_closed_eyes_have_no_iris():
    face = replace(describe(4, 1), expression="closed_eyes")
    assert shares_of(face)["eyes"].max() == 0
    assert shares_of(replace(face, expression="neutral"))["eyes"].sum() > 30


def test_light_is_left_out():
    face = describe(4, 2)
    night, day = (regions(replace(face, light=light), 64) for light in ("night", "day"))
    assert np.array_equal(night, day)


@pytest.mark.parametrize("size", [7, 2049])
def test_senseless_sizes_are_refused(size):
    with pytest.raises(ValueError, match="Choose a size"):
        regions(describe(0, 0), size)
