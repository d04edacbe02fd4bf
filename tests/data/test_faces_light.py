from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from data.faces import MEDIA, describe, draw
from data.faces.description import BACKGROUNDS, LIGHTS
from data.faces.manga import screened

PLAIN = dict(
    light="day", background="flat", hair_style="short", fringe="parted", side_locks="none",
    headwear="none", ornament="none", hair_ahoge=False, turn=0.0, tilt=0.0, offset_x=0.0,
    outfit="sweater",
)  # fmt: skip


def plain(index, **changes):
    return replace(describe(4, index), **(PLAIN | changes))


def pixels(face, size=128, medium="colour"):
    return np.asarray(draw(face, size, medium)).astype(float)


def luma(picture):
    return picture @ (0.299, 0.587, 0.114)


# Media


@pytest.mark.parametrize("medium", MEDIA)
@pytest.mark.parametrize("size", [8, 64, 100])
def test_media_are_what_they_are_called(medium, size):
    picture = draw(describe(0, 1), size, medium)
    assert picture.size == (size, size)
    assert picture.mode == ("RGB" if medium == "colour" else "L")


@pytest.mark.parametrize("medium", ["color", "", "Grey", None])
def test_other_media_are_refused(medium):
    with pytest.raises(ValueError, match="Choose one of colour, grey, lineart, screentone"):
        draw(describe(0, 1), 64, medium)


def test_grey_is_the_luma_of_colour():
    for index in range(6):
        expected = luma(pixels(describe(2, index)))
        np.testing.assert_allclose(pixels(describe(2, index), medium="grey"), expected, atol=0.51)


def test_line_art_is_lines_on_white_wherever_they_are_in_colour():
    for index in range(8):
        face = plain(index, skin_tone=0.1)
        lines, coloured = pixels(face, 256, "lineart"), luma(pixels(face, 256))
        assert np.mean(lines > 250) > 0.6
        assert (lines < 60).sum() > 300
        inked = (lines < 60) & (coloured < 200)
        assert inked.sum() > 0.9 * (lines < 60).sum()


def test_line_art_does_not_tell_colours():
    face = plain(1)
    same = pixels(face, medium="lineart")
    for change in ({"hair_colour": "pink"}, {"skin_tone": 0.9}, {"light": "night"}):
        np.testing.assert_array_equal(pixels(replace(face, **change), medium="lineart"), same)


@pytest.mark.parametrize("pitch", [1 / 85, 1 / 40])
@pytest.mark.parametrize("tone", [0, 1, 70, 115, 160, 205, 254, 255])
def test_screentone_is_as_dark_as_the_tone_on_average(tone, pitch):
    dots = screened(Image.new("L", (768, 768), tone), pitch)
    assert set(np.unique(dots)) <= {0, 255}
    picture = np.asarray(dots.reduce(3)).astype(float)
    assert picture.mean() == pytest.approx(tone, abs=2)
    blocks = picture.reshape(32, 8, 32, 8).mean((1, 3))
    assert np.abs(blocks - tone).max() < (16 if pitch < 1 / 50 else 48)
    assert (tone in (0, 255)) == (len(np.unique(dots)) == 1)


def test_screentone_follows_a_gradient():
    ramp = Image.fromarray(np.tile(np.linspace(20, 235, 768).astype(np.uint8), (768, 1)))
    columns = np.asarray(screened(ramp)).astype(float).mean(0).reshape(-1, 32).mean(1)
    expected = np.asarray(ramp).astype(float).mean(0).reshape(-1, 32).mean(1)
    np.testing.assert_allclose(columns, expected, atol=8)


def test_dots_lie_at_45_degrees_a_pitch_apart():
    pitch = 16 / 768
    dots = np.asarray(screened(Image.new("L", (768, 768), 190), pitch)) == 0
    spectrum = np.abs(np.fft.fft2(dots - dots.mean()))[:384, :384]
    row, column = np.unravel_index(spectrum.argmax(), spectrum.shape)
    assert row == pytest.approx(column, abs=1)
    assert np.hypot(row, column) == pytest.approx(768 / 16, abs=1.5)


def test_screentone_has_solid_black_white_and_dots():
    face = plain(2, hair_colour="black", hair_lightness=0.28, skin_tone=0.1)
    picture = pixels(face, 256, "screentone")
    assert np.mean(picture == 0) > 0.08 and np.mean(picture == 255) > 0.15
    assert np.mean((picture > 0) & (picture < 255)) > 0.05
    silver = replace(face, hair_colour="silver", hair_lightness=0.8)
    assert picture.mean() < pixels(silver, 256, "screentone").mean() - 15


# Light


def test_light_colours_everything():
    day, sunset, night = (
        np.mean([pixels(plain(k, light=light)).mean((0, 1)) for k in range(8)], axis=0)
        for light in ("day", "sunset", "night")
    )
    assert sunset[0] / sunset[2] > 1.15 * day[0] / day[2]
    assert night[2] / night[0] > 1.15 * day[2] / day[0]
    assert luma(night) < 0.85 * luma(day)


@pytest.mark.parametrize("light", LIGHTS)
def test_skin_stays_alive_in_every_light(light):
    for tone in (0.1, 0.5, 0.9):
        face = plain(3, light=light, skin_tone=tone, blush=0.0, fringe="back", gender="man")
        red, green, blue = pixels(face, 256)[168:176, 100:156].reshape(-1, 3).max(0)
        assert red >= blue - 12 and green > 40 and red > 80


def lit_less_unlit(light, side):
    """How much brighter a light is than day on the outline left and right of the head."""
    rims = []
    for index in range(6):
        face = plain(index, light_side=side, hair_colour="black", hair_lightness=0.28)
        face = replace(face, background_lightness=0.6, light_hardness=1.0)
        head = luma(pixels(replace(face, light=light), 256)[90:150])
        head = head - luma(pixels(replace(face, light="day"), 256)[90:150])
        rims.append((head[:, :100].max(1).mean(), head[:, 156:].max(1).mean()))
    return np.mean(rims, axis=0)


@pytest.mark.parametrize("light", ["sunset", "night", "neon"])
def test_rim_lies_on_the_side_of_the_light(light):
    left, right = lit_less_unlit(light, -1)
    assert left > right + 20
    left, right = lit_less_unlit(light, 1)
    assert right > left + 20


def test_pictures_are_a_little_darker_away_from_the_light():
    face = plain(5, background_lightness=0.85, background_chroma=0.02)
    picture = luma(pixels(face))
    assert picture[2:10].mean() > picture[70:80, [0, 1, -1, -2]].mean() + 3
    left = picture[:60, :6].mean() - picture[:60, -6:].mean()
    assert np.sign(left) == -face.light_side


# Background


@pytest.mark.parametrize("kind", BACKGROUNDS)
def test_background_is_behind_the_head_and_blurred(kind):
    face = plain(6, background=kind, background_lightness=0.8)
    other = replace(face, background_hue=(face.background_hue + 120) % 360)
    changed = (np.abs(pixels(face, 256) - pixels(other, 256)) > 0).any(2)
    assert changed[:30].mean() > 0.9 and not changed[110:200, 80:176].any()
    edge = luma(pixels(face, 256))[:, :12]
    assert np.abs(np.diff(edge, axis=1)).max() < 40


@pytest.mark.parametrize("kind", [name for name in BACKGROUNDS if name != "flat"])
def test_background_depends_on_its_seed(kind):
    face = plain(6, background=kind)
    seeds = [pixels(replace(face, background_seed=seed), 64) for seed in (0, 1, 2)]
    if kind == "halo":  # only its hues
        seeds = [pixels(replace(face, background_seed=seed), 64) for seed in (5, 30, 60)]
    assert all(np.abs(a - b).max() > 3 for a, b in pairwise(seeds))


def test_sky_is_blue_and_trees_are_green_by_day():
    hues = [(h, seed) for h in (0, 90, 180, 270) for seed in (1, 2)]
    for hue, seed in hues:
        scene = dict(background_hue=hue, background_seed=seed, background_lightness=0.7)
        sky = pixels(plain(1, background="sky", **scene))[:, :8].mean((0, 1))
        assert sky.argmax() == 2
        trees = pixels(plain(1, background="trees", **scene))[:, :8].mean((0, 1))
        assert trees.argmax() < 2
