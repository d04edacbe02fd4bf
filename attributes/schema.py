"""What is read from a picture: choices between names, and numbers; and the truth about a drawn one.

Colours of hair and eyes are read twice: as the pigment's name, and as the OKLab colour (Ottosson
2020) of its base tone under the picture's light, which can be measured where names end.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from data.faces import FaceDescription
from data.faces import description as tables
from data.faces.colour import oklab
from data.faces.paint import colour_paint
from data.faces.palette import EYES, HAIR

CHOICES: dict[str, tuple[str, ...]] = {
    "gender": tuple(tables.GENDERS),
    "age": tuple(tables.AGES),
    "hair_style": tuple(tables.HAIR_STYLES),
    "fringe": tuple(tables.FRINGES),
    "side_locks": tuple(tables.SIDE_LOCKS),
    "hair_colour": tuple(HAIR),
    "mark": tuple(tables.MARKS),
    "eye_shape": tuple(tables.EYE_SHAPES),
    "eye_colour": tuple(EYES),
    "expression": tuple(tables.EXPRESSIONS),
    "glasses": tuple(tables.GLASSES),
    "headwear": tuple(tables.HEADWEAR),
    "ornament": tuple(tables.ORNAMENTS),
    "outfit": tuple(tables.OUTFITS),
    "background": tuple(tables.BACKGROUNDS),
    "light": tuple(tables.LIGHTS),
}


class Scale(NamedTuple):
    """The network computes `(number - middle) / unit`."""

    middle: float
    unit: float


NUMBERS: dict[str, Scale] = {
    "turn": Scale(0, 9),  # degrees
    "tilt": Scale(0, 2.5),  # degrees
    "gaze": Scale(0, 0.4),
    "skin_tone": Scale(0.35, 0.3),
    "hair_lightness": Scale(0.6, 0.2),  # of the pigment, whatever the light
    "hair_l": Scale(0.6, 0.2),  # OKLab, as seen
    "hair_a": Scale(0.01, 0.06),
    "hair_b": Scale(0.01, 0.06),
    "eye_l": Scale(0.55, 0.1),
    "eye_a": Scale(0.02, 0.09),
    "eye_b": Scale(0.0, 0.09),
    "softness": Scale(0.25, 0.5),  # standard deviation of a blur, pixels at 128x128
    "grain": Scale(1.5, 3),  # standard deviation of noise, levels of 255
}
QUALITIES = ("softness", "grain")  # of the picture, not of the face
UNREADABLE = -1  # a choice that the picture does not show; of numbers, nan
_BEHIND_LIDS = ("eye_colour", "eye_l", "eye_a", "eye_b", "gaze")


class Truth(NamedTuple):
    """What there is to read, in the order of CHOICES and NUMBERS."""

    choices: NDArray[np.int64]  # [..., len(CHOICES)]: which name
    numbers: NDArray[np.float32]  # [..., len(NUMBERS)]


def truth_of(face: FaceDescription, softness: float = 0.0, grain: float = 0.0) -> Truth:
    """Return what a reader should say of a drawn face, blurred and grainy as told."""
    paint = colour_paint(face)
    facts = face.as_dict() | {"softness": softness, "grain": grain}
    for name, tones in (("hair", paint.hair), ("eye", paint.eye)):
        facts |= zip((f"{name}_l", f"{name}_a", f"{name}_b"), oklab(tones.base), strict=True)
    choices = {name: names.index(str(facts[name])) for name, names in CHOICES.items()}
    numbers = {name: float(facts[name]) for name in NUMBERS}
    if face.expression == "closed_eyes":
        for name in _BEHIND_LIDS:
            if name in choices:
                choices[name] = UNREADABLE
            else:
                numbers[name] = np.nan
    return Truth(
        np.array(list(choices.values()), np.int64), np.array(list(numbers.values()), np.float32)
    )
