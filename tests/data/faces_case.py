"""What tests of drawn faces share: pictures as numbers, and masks of what a field changes."""

from dataclasses import fields, replace
from functools import cache

import numpy as np

from data.faces import FaceDescription, describe, draw

FIELDS = [field.name for field in fields(FaceDescription)]
PLAIN = dict(
    light="day", hair_style="short", fringe="parted", side_locks="none", hair_ahoge=False,
    hair_tips=0.0, headwear="none", ornament="none", earrings=False, glasses="none", mark="none",
    expression="neutral", outfit="sweater", turn=0.0, tilt=0.0,
)  # fmt: skip

# What a face needs for a field to show.
SHOWING = {
    "hair_part": {"fringe": "parted", "headwear": "none"},
    "hair_ahoge": {"headwear": "none"},
    "ornament": {"headwear": "none"},
    "gaze": {"expression": "neutral"},
    "eye_colour": {"expression": "neutral"},
    "eye_lightness": {"expression": "neutral"},
    "eye_hue_shift": {"expression": "neutral"},
    "eye_shape": {"expression": "neutral"},
    "eye_size": {"expression": "neutral"},
    "mouth_open": {"expression": "grin"},
    "mark": {"glasses": "none"},
    "second_hue": {"outfit": "blazer", "second_chroma": 0.09},
    "second_chroma": {"outfit": "blazer"},
    "second_lightness": {"outfit": "blazer"},
    "accent_hue": {"outfit": "sailor"},
    "accent_lightness": {"outfit": "sailor"},
    "background_seed": {"background": "bokeh"},
    "background_hue": {"background": "gradient"},
    "earrings": {"hair_style": "ponytail", "side_locks": "none"},
    "hair_shine": {"headwear": "none"},
}


def pixels(face, size=64, medium="colour"):
    """The picture as integers."""
    return np.asarray(draw(face, size, medium)).astype(int)


def changed(face, other, size=256, threshold=8, medium="colour"):
    """Mask [H, W] of what differs visibly between two descriptions."""
    difference = np.abs(pixels(face, size, medium) - pixels(other, size, medium))
    return (difference.reshape(size, size, -1) > threshold).any(2)


def mask_of(face, field, size=64, threshold=12):
    """Mask [H, W] of what has the colour that a lightness (or skin_tone) gives."""
    values = (0.1, 0.9) if field == "skin_tone" else (0.45, 0.75)
    low, high = (replace(face, **{field: value}) for value in values)
    return changed(low, high, size, threshold)


def middle(mask):
    """Halfway between the leftmost and the rightmost column of a mask, in picture widths."""
    columns = np.flatnonzero(mask.any(0))
    return (columns[0] + columns[-1] + 1) / 2 / mask.shape[1]


@cache
def _many():
    return [describe(0, index) for index in range(1500)]


@cache
def values_of(field):
    """A few values that a field takes: all names, or the lowest, middle and highest number."""
    seen = {getattr(face, field) for face in _many()}
    ordered = sorted(seen)
    if isinstance(ordered[0], str | bool):
        return ordered
    return list(dict.fromkeys([ordered[0], ordered[len(ordered) // 2], ordered[-1]]))
