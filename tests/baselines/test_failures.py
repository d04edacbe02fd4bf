"""The known failures: a colouriser without them has none, one that is made to fail shows it."""

import pytest
import torch

from baselines.colorizer import grey
from baselines.failures import (
    FAILURES,
    SEED,
    black_areas,
    captions,
    dull_colour,
    hair_area,
    hair_swaps,
    large_faces,
    look_alikes,
    picture,
    with_caption,
)
from data.faces import describe

SIDE = 64


def pale(x):
    return grey(x).expand(-1, 3, -1, -1)


def test_the_truth_fails_nowhere():
    found = {}
    for measure in FAILURES.values():
        found |= measure(lambda x: x, 0, SIDE)
    assert found.pop("chroma") == found.pop("chroma_of_truth") > 10
    assert found.pop("black_chroma") < 8  # the drawn black is a little blue
    assert found.pop("caption_chroma") < 0.01
    assert all(value == 0 for value in found.values()), found


def test_grey_is_dull():
    assert dull_colour(pale, 0, SIDE)["chroma"] < 0.1
    assert large_faces(pale, 0, SIDE)["large_l1"] > 5


@pytest.mark.parametrize("index", range(8))
def test_look_alikes_differ_in_hue_alone(index):
    face, twin = look_alikes(index)
    a, b, area = picture(face, SIDE), picture(twin, SIDE), hair_area(face, SIDE)
    assert 0.1 < area.float().mean() < 0.7
    assert (grey(a) - grey(b))[0, 0, area].mean().abs() * 127.5 < 3
    assert (a - b)[0, :, area].abs().mean() * 127.5 > 25


def test_swapped_hair_is_noticed():
    face, twin = look_alikes(1)
    own, other = picture(face, SIDE), picture(twin, SIDE)
    assert hair_swaps(lambda x: other, 1, SIDE)["hair_swaps"] == 1
    assert hair_swaps(lambda x: other, 1, SIDE)["hair_hue_error"] > 60
    mixed = hair_swaps(lambda x: torch.cat([own, other]), 1, SIDE)
    assert (mixed["hair_swaps"], mixed["hair_all_swapped"]) == (0.5, 0)


def test_colour_in_black_areas_is_noticed():
    tint = torch.tensor([0.3, 0.0, 0.0])[None, :, None, None]
    plain, tinted = (black_areas(c, 0, SIDE) for c in (pale, lambda x: x + tint))
    assert plain["black_chroma"] < 0.1 and tinted["black_chroma"] > 15
    assert tinted["black_l1"] == pytest.approx(0.1 * 127.5, abs=0.5)


def test_captions_that_change_the_rest_are_noticed():
    plain = picture(describe(SEED, 0), SIDE)

    def flashing(x):
        return x if torch.equal(x, plain) else x / 2

    assert captions(flashing, 0, SIDE)["caption_leak"] > 0.2
    yellow = torch.tensor([0.0, 0.0, -1.0])[None, :, None, None]
    assert captions(lambda x: (x + yellow).clamp(-1, 1), 0, SIDE)["caption_chroma"] > 20


def test_a_caption_is_white_letters_in_black():
    plain = picture(look_alikes(0)[0], 128)
    subtitled, letters = with_caption(plain)
    assert 0.005 < letters.float().mean() < 0.1
    assert subtitled[0, :, letters].mean() > 0.5
    changed = (subtitled != plain).any(1)[0]
    assert changed[:80].sum() == 0 and (changed & ~letters).sum() > letters.sum() / 2
