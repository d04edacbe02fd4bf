"""What there is to read of a drawn face, against its description."""

import dataclasses

import numpy as np
import pytest

from attributes.schema import CHOICES, NUMBERS, UNREADABLE, truth_of
from data.faces import describe
from data.faces.colour import oklab, rgb


def read_off(face, **quality):
    truth = truth_of(face, **quality)
    names = {
        name: None if k == UNREADABLE else CHOICES[name][k]
        for name, k in zip(CHOICES, truth.choices, strict=True)
    }
    return names, dict(zip(NUMBERS, truth.numbers, strict=True))


@pytest.mark.parametrize("index", range(8))
def test_truth_is_the_description(index):
    face = dataclasses.replace(describe(0, index), expression="smile")
    names, numbers = read_off(face, softness=0.5, grain=3)
    assert names == {name: getattr(face, name) for name in CHOICES}
    for name in ("turn", "tilt", "gaze", "skin_tone", "hair_lightness"):
        assert numbers[name] == pytest.approx(getattr(face, name), abs=1e-4)
    assert (numbers["softness"], numbers["grain"]) == (0.5, 3)


def test_what_lids_hide_cannot_be_read():
    names, numbers = read_off(dataclasses.replace(describe(0, 0), expression="closed_eyes"))
    assert [name for name, value in names.items() if value is None] == ["eye_colour"]
    hidden = [name for name, value in numbers.items() if np.isnan(value)]
    assert hidden == ["gaze", "eye_l", "eye_a", "eye_b"]


def test_colours_are_those_under_the_light():
    """A warm light turns white hair yellow; the pigment's lightness does not notice."""
    face = dataclasses.replace(describe(0, 0), hair_colour="white", hair_lightness=0.93)
    day, sunset = (read_off(dataclasses.replace(face, light=name))[1] for name in ("day", "sunset"))
    assert abs(day["hair_a"]) < 0.02 and abs(day["hair_b"]) < 0.02
    assert sunset["hair_b"] > day["hair_b"] + 0.03
    assert day["hair_lightness"] == sunset["hair_lightness"]


def test_oklab_of_known_colours():
    """As published: https://bottosson.github.io/posts/oklab/, and sRGB's primaries."""
    np.testing.assert_allclose(oklab((255, 255, 255)), [1, 0, 0], atol=1e-4)
    np.testing.assert_allclose(oklab((0, 0, 0)), [0, 0, 0], atol=1e-9)
    np.testing.assert_allclose(oklab((255, 0, 0)), [0.62796, 0.22486, 0.12585], atol=1e-4)
    np.testing.assert_allclose(oklab((0, 0, 255)), [0.45201, -0.03246, -0.31153], atol=1e-4)


@pytest.mark.parametrize("hue", range(0, 360, 40))
def test_oklab_undoes_what_paints(hue):
    lightness, a, b = oklab(rgb(0.6, 0.08, hue))
    assert (lightness, np.hypot(a, b)) == pytest.approx((0.6, 0.08), abs=0.004)
    assert (np.degrees(np.arctan2(b, a)) - hue + 180) % 360 - 180 == pytest.approx(0, abs=2)
