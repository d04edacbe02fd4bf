"""Thousands of pictures, none of which may be degenerate."""

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from faces_case import mask_of, pixels

from data.faces import describe
from data.faces.description import FRINGES, HEADWEAR

SIDE = 64


def columns_of(mask):
    return np.flatnonzero(mask.any(0))


def assert_eyes_in_face(face, iris, skin):
    """One or two irises, each between skin to its left and its right."""
    columns, rows = columns_of(iris), np.flatnonzero(iris.any(1))
    groups = np.split(columns, np.flatnonzero(np.diff(columns) > 3) + 1)
    expected = 1 if face.expression == "wink" else 2
    assert len(groups) == expected, "irises"
    for group in groups:
        assert 2 <= len(group) <= 13, "width of an iris"
        assert iris[:, group].sum() >= 10, "an iris is hidden"
    assert 26 < rows.min() and rows.max() < 50, "height of the eyes"
    beside = columns_of(skin[rows.min() : rows.max() + 1])
    assert beside.min() <= columns.min() and columns.max() <= beside.max(), "eyes in the face"


def assert_sound(face):
    picture = pixels(face, SIDE)
    assert picture.std() > 18, "contrast"
    day = replace(face, light="day")
    hair, skin = mask_of(day, "hair_lightness", SIDE), mask_of(day, "skin_tone", SIDE)
    assert 0.05 < hair.mean() < 0.62, "share of hair"
    assert 0.06 < skin.mean() < 0.36, "share of skin"
    assert hair[: SIDE // 2].any() and skin[SIDE // 2 :].any()
    if face.expression != "closed_eyes":
        assert_eyes_in_face(face, mask_of(day, "eye_lightness", SIDE, 10), skin)


@pytest.mark.parametrize("index", range(12))
def test_picture_is_sound(index):
    assert_sound(describe(0, index))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_no_picture_of_5000_is_degenerate():
    wrong = []
    for index in range(5000):
        try:
            assert_sound(describe(0, index))
        except AssertionError as exc:
            wrong.append((index, str(exc).splitlines()[0]))
    assert not wrong, wrong


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_extreme_face_is_degenerate():
    dice = Random(0)
    names = "eye_size eye_spacing head_width jaw_width hair_volume hair_part gaze brow_tilt".split()
    for index in range(500):
        extremes = {name: dice.choice((-1.0, 1.0)) for name in names}
        extremes |= {"turn": dice.choice((-20.0, 20.0)), "tilt": dice.choice((-6.0, 6.0))}
        extremes |= {"fringe": dice.choice(list(FRINGES)), "headwear": dice.choice(list(HEADWEAR))}
        assert_sound(replace(describe(1, index), **extremes))
