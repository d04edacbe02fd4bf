import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from faces_case import FIELDS, PLAIN, SHOWING, changed, mask_of, middle, pixels, values_of

from data.faces import describe, draw
from data.faces.description import HAIR_STYLES

ROOT = Path(__file__).parents[2]


def plain(index, **changes):
    return replace(describe(1, index), **(PLAIN | changes))


def other_value(face, name):
    return next(value for value in reversed(values_of(name)) if value != getattr(face, name))


# The same picture everywhere, at every size


@pytest.mark.parametrize("size", [8, 32, 64, 100, 256])
def test_picture_is_rgb_of_the_size(size):
    image = draw(describe(0, 0), size)
    assert (image.mode, image.size) == ("RGB", (size, size))


def test_same_description_same_picture():
    face = describe(0, 5)
    first = draw(face, 64).tobytes()
    draw(describe(0, 6), 256)
    assert draw(face, 64).tobytes() == first


def digest(indices, medium):
    pictures = [draw(describe(5, index), 64, medium).tobytes() for index in indices]
    return hashlib.sha256(b"".join(pictures)).hexdigest()


def test_another_process_draws_the_same_picture():
    code = "from test_faces_draw import digest; print(digest(range(9, -1, -1), 'colour'))"
    out = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'tests/data'}", "PYTHONHASHSEED": "7"},
    )
    assert out.stdout.strip() == digest(range(9, -1, -1), "colour"), out.stderr


@pytest.mark.parametrize("index", [0, 1])
def test_known_picture_has_not_moved(index):
    # Coarse on purpose: another release of Pillow may round edges differently.
    coarse = np.asarray(draw(describe(0, index), 64).reduce(16)).astype(int)
    assert np.abs(coarse - np.array(KNOWN[index])).max() <= 3, coarse.tolist()


KNOWN = [
    [
        [[119, 138, 133], [108, 158, 149], [128, 146, 140], [166, 128, 115]],
        [[89, 161, 159], [92, 186, 186], [74, 175, 178], [138, 137, 127]],
        [[88, 149, 147], [172, 167, 157], [129, 144, 136], [157, 139, 125]],
        [[109, 132, 130], [145, 139, 145], [135, 130, 138], [168, 137, 124]],
    ],
    [
        [[194, 178, 161], [178, 115, 82], [174, 114, 84], [193, 179, 164]],
        [[185, 136, 107], [154, 58, 17], [146, 55, 16], [169, 135, 115]],
        [[167, 122, 97], [124, 85, 69], [121, 82, 70], [161, 125, 106]],
        [[169, 136, 125], [161, 114, 103], [152, 109, 109], [163, 132, 124]],
    ],
]


@pytest.mark.parametrize("size", [0, 7, 2049])
def test_senseless_sizes_are_refused(size):
    with pytest.raises(ValueError, match="Choose a size"):
        draw(describe(0, 0), size)


def test_small_picture_is_the_large_one_reduced():
    for index in range(12):
        face = describe(2, index)
        large = draw(face, 256).reduce(4)
        difference = np.abs(pixels(face, 64) - np.asarray(large).astype(int))
        assert difference.mean() < 3.0


# Fields


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_shows(name):
    for index in range(12):
        face = replace(describe(1, index), **SHOWING.get(name, {}))
        if changed(face, replace(face, **{name: other_value(face, name)}), 128, 2).any():
            return
    pytest.fail(f"{name} never changes the picture")


@pytest.mark.parametrize("name, first, second", [
    ("hair_style", "long", "spiky"), ("fringe", "blunt", "back"), ("side_locks", "none", "long"),
    ("expression", "smile", "sad"), ("outfit", "sailor", "hoodie"), ("headwear", "none", "cap"),
    ("ornament", "none", "flower"), ("glasses", "none", "square"), ("mark", "none", "plaster"),
    ("light", "day", "night"), ("background", "sky", "trees"), ("turn", -12.0, 12.0),
])  # fmt: skip
def test_important_fields_show_in_every_picture(name, first, second):
    for index in range(6):
        one, two = (plain(index, **{name: value}) for value in (first, second))
        assert changed(one, two, 128, 24).mean() > 0.002, index


OWN_ROWS = {  # of 256: nothing outside them may change
    "eye_colour": (100, 195),
    "eye_lightness": (100, 195),
    "eye_shape": (95, 195),
    "gaze": (100, 195),
    "expression": (95, 232),
    "mouth_open": (95, 232),
    "brow_weight": (90, 165),
    "brow_tilt": (90, 165),
    "glasses": (100, 200),
    "mark": (95, 225),
    "blush": (120, 225),
    "outfit": (180, 256),
    "outfit_hue": (180, 256),
    "second_hue": (180, 256),
    "fringe": (0, 190),
    "hair_ahoge": (0, 90),
    "ornament": (0, 150),
}


@pytest.mark.parametrize("name", OWN_ROWS)
def test_a_field_changes_its_own_part_only(name):
    for index in range(8):
        face = plain(index)
        mask = changed(face, replace(face, **{name: other_value(face, name)}))
        mask[slice(*OWN_ROWS[name])] = False
        assert not mask.any(), index


def test_hair_colours_are_the_hues_they_are_called():
    strongest = {"red": 0, "green": 1, "blue": 2}
    face = plain(0, hair_hue_shift=0.0, hair_shine=0.0, hair_lightness=0.5)
    for name, channel in strongest.items():
        mask = changed(replace(face, hair_colour=name), replace(face, hair_colour="silver"), 64, 30)
        mean = pixels(replace(face, hair_colour=name))[mask].mean(0)
        assert mean.argmax() == channel, (name, mean)


def test_background_stays_behind_the_face():
    for index in range(8):
        face = plain(index, background="flat")
        other = replace(face, background_hue=(face.background_hue + 120) % 360)
        mask = changed(face, other, 256, 0)
        x = round(128 + 256 * face.offset_x)
        assert not mask[60:180, x - 50 : x + 50].any()


def test_shadows_change_sides_with_the_light():
    face = plain(3, offset_x=0.0, skin_tone=0.2, blush=0.0, fringe="back")
    lit = [pixels(replace(face, light_side=side), 256)[160:200].sum((0, 2)) for side in (-1, 1)]
    left_minus_right = lit[0] - lit[1]
    assert left_minus_right[60:120].sum() > 100
    assert left_minus_right[136:196].sum() < -100


# Anatomy


@pytest.mark.parametrize("age", ["child", "teen", "adult", "elder"])
@pytest.mark.parametrize("gender", ["woman", "man"])
def test_irises_are_large_and_both_in_view(age, gender):
    for index in range(4):
        face = plain(index, age=age, gender=gender)
        columns = np.flatnonzero(mask_of(face, "eye_lightness").any(0))
        gaps = np.flatnonzero(np.diff(columns) > 3)
        assert len(gaps) == 1, "two irises"
        widths = gaps[0] + 1, len(columns) - gaps[0] - 1
        assert all(5 <= width <= 12 for width in widths), widths
        assert abs((columns[0] + columns[-1]) / 2 - 31.5) < 0.07 * 64


def test_wink_closes_one_eye_and_closed_eyes_both():
    for index in range(6):
        columns = [
            np.flatnonzero(mask_of(plain(index, expression=name), "eye_lightness").any(0))
            for name in ("neutral", "wink", "closed_eyes")
        ]
        assert np.ptp(columns[0]) > 20 and 3 <= np.ptp(columns[1]) <= 13 and not len(columns[2])


def shift(face, mask, angle=12.0):
    """How far to the right a mask moves by a turn, beyond what its place in the face causes."""
    right, left = (middle(mask(replace(face, turn=turn))) for turn in (angle, -angle))
    return (right - left) / 2


def forehead(face):
    return mask_of(face, "skin_tone", 256)[60:120]


def eyes(face):
    return mask_of(face, "eye_lightness", 256)


def collar(face):
    return changed(face, replace(face, outfit="sailor"))[200:]


def test_turn_moves_near_features_more_than_far_ones():
    for index in range(4):
        face = plain(index, hair_style="bob", fringe="back")  # hair around the forehead
        hair, features, body = (shift(face, part) for part in (forehead, eyes, collar))
        assert hair > features + 0.003 and features > body + 0.015 and features > 0.02


def test_turn_to_the_left_mirrors_turn_to_the_right():
    face = plain(2, offset_x=0.0, gaze=0.0)
    left, right = (
        mask_of(replace(face, turn=turn), "eye_lightness", 128) for turn in (-15.0, 15.0)
    )
    assert middle(left) == pytest.approx(1 - middle(right), abs=0.012)


@pytest.mark.parametrize("style", HAIR_STYLES)
def test_crown_and_chin_lie_where_face_crops_have_them(style):
    for index in range(3):
        assert_framed(plain(index, hair_style=style))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_500_faces_are_framed():
    for index in range(500):
        plain_top = dict(hair_ahoge=False, headwear="none", ornament="none", hair_tips=0.0)
        assert_framed(replace(describe(6, index), **plain_top, light="day", mark="none"))


def assert_framed(face):
    hair = mask_of(face, "hair_lightness", 128, 10)
    crown = np.flatnonzero(hair[:, 40:88].sum(1) > 1)[0] / 128
    is_above = face.hair_style in ("ponytail", "buns")  # what is tied there
    assert (0.0 if is_above else 0.045) <= crown <= 0.12, (crown, face)
    round_, pointed = (replace(face, chin_point=value) for value in (0.0, 1.0))
    chin = changed(round_, pointed, 128, 60, "lineart")  # without its shadow
    lowest = (np.flatnonzero(chin.any(1))[-1] + 1) / 128
    assert 0.79 <= lowest <= 0.92, (lowest, face)
    upright = replace(face, turn=0.0, tilt=0.0, gaze=0.0, expression="neutral")
    eyes = mask_of(upright, "eye_lightness", 128)
    assert abs(middle(eyes) - 0.5) < 0.05, face
