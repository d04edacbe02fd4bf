"""What a drawn face looks like, as plain values that are a pure function of (seed, index)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from data.faces.palette import EYES, HAIR, SKIN_GROUPS, Pigment

HAIR_STYLES = {
    "long": 0.17,
    "wavy": 0.11,
    "bob": 0.17,
    "short": 0.13,
    "spiky": 0.10,
    "twin_tails": 0.12,
    "side_tail": 0.08,
    "buns": 0.06,
    "braids": 0.06,
}
FRINGES = {
    "blunt": 0.18,
    "layered": 0.26,
    "swept": 0.22,
    "parted": 0.14,
    "crossed": 0.20,
}
SIDE_LOCKS = {"none": 0.22, "short": 0.30, "cheek": 0.26, "long": 0.22}
EYE_SHAPES = {"round": 0.36, "almond": 0.26, "droopy": 0.18, "sharp": 0.20}
EXPRESSIONS = {
    "neutral": 0.22,
    "smile": 0.30,
    "open_smile": 0.20,
    "sad": 0.10,
    "surprised": 0.10,
    "grin": 0.08,
}
OUTFITS = {
    "sailor": 0.24,
    "shirt": 0.24,
    "hoodie": 0.18,
    "dress": 0.16,
    "sweater": 0.18,
}
ACCESSORIES = {
    "none": 0.62,
    "hairpin": 0.12,
    "ribbon": 0.10,
    "headband": 0.09,
    "cat_ears": 0.07,
}
_CLASHES = {("buns", "cat_ears"), ("spiky", "cat_ears"), ("spiky", "headband")}
BACKGROUNDS = {"flat": 0.22, "gradient": 0.36, "clouds": 0.26, "halo": 0.16}


@dataclass(frozen=True)
class FaceDescription:
    """Everything `draw` needs. Unless said otherwise numbers are shares in [0, 1]."""

    head_width: float  # [-1, 1]: narrow to wide
    jaw_width: float  # [-1, 1]
    chin_point: float  # round to pointed
    skin_tone: float  # pale to dark
    skin_warmth: float  # [-1, 1]
    hair_style: str
    fringe: str
    side_locks: str
    hair_volume: float  # [-1, 1]
    hair_colour: str
    hair_lightness: float  # OKLCh lightness
    hair_hue_shift: float  # degrees
    hair_shine: float
    hair_part: float  # [-1, 1]: where the hair parts, left to right
    hair_ahoge: bool  # one lock standing up
    hair_seed: int
    eye_shape: str
    eye_size: float  # [-1, 1]
    eye_spacing: float  # [-1, 1]
    eye_colour: str
    eye_lightness: float  # OKLCh lightness
    eye_hue_shift: float  # degrees
    gaze: float  # [-1, 1]: to the left or right
    eyes_closed: bool
    brow_tilt: float  # [-1, 1]: worried to stern
    brow_weight: float
    expression: str
    blush: float
    outfit: str
    outfit_hue: float  # degrees
    outfit_chroma: float  # OKLCh chroma
    outfit_lightness: float  # OKLCh lightness
    accent_hue: float  # degrees: scarf, tie, ribbon, hairpin
    accent_lightness: float  # OKLCh lightness
    accessory: str
    glasses: bool
    background: str
    background_hue: float  # degrees
    background_lightness: float  # OKLCh lightness
    background_chroma: float  # OKLCh chroma
    background_seed: int
    light_side: int  # -1: from the left, +1: from the right
    turn: float  # [-1, 1]: head to the left or right
    tilt: float  # degrees
    scale: float  # about 1
    offset_x: float  # picture widths
    offset_y: float  # picture heights

    def as_dict(self) -> dict[str, str | int | float | bool]:
        """Give the fields as plain values for JSON."""
        return asdict(self)


def describe(seed: int, index: int) -> FaceDescription:
    """Draw the description of face `index` of the set `seed`: equal arguments, equal answer.

    Raises:
        ValueError: if an argument is negative.
    """
    if seed < 0 or index < 0:
        raise ValueError(f"seed {seed}, index {index}: negative. Use numbers from 0.")
    draw = _Draw(np.random.default_rng([seed, index]))
    parts = _head(draw) | _hair(draw) | _eyes(draw) | _mood(draw) | _dress(draw) | _scene(draw)
    if (parts["hair_style"], parts["accessory"]) in _CLASHES:
        parts["accessory"] = "none"
    return FaceDescription(**parts)


class _Draw:
    """Random values, rounded so that JSON holds them exactly."""

    def __init__(self, generator: np.random.Generator) -> None:
        self._generator = generator

    def between(self, low: float, high: float) -> float:
        return round(float(self._generator.uniform(low, high)), 4)

    def around(self, middle: float, deviation: float, limit: float) -> float:
        offset = float(np.clip(self._generator.normal(0, deviation), -limit, limit))
        return round(middle + offset, 4)

    def chance(self, probability: float) -> bool:
        return bool(self._generator.random() < probability)

    def number(self) -> int:
        return int(self._generator.integers(1 << 31))

    def one_of(self, weights: Mapping[str, float]) -> str:
        shares = np.array(list(weights.values()))
        return list(weights)[int(self._generator.choice(len(shares), p=shares / shares.sum()))]

    def pigment(self, table: Mapping[str, Pigment]) -> tuple[str, float, float]:
        name = self.one_of({key: pigment.weight for key, pigment in table.items()})
        chosen = table[name]
        lightness = self.between(chosen.darkest, chosen.lightest)
        return name, lightness, self.between(-chosen.hue_spread, chosen.hue_spread)


def _head(draw: _Draw) -> dict:
    group = draw.one_of({str(i): share for i, (share, _, _) in enumerate(SKIN_GROUPS)})
    _, palest, darkest = SKIN_GROUPS[int(group)]
    return {
        "head_width": draw.between(-1, 1),
        "jaw_width": draw.between(-1, 1),
        "chin_point": draw.between(0, 1),
        "skin_tone": draw.between(palest, darkest),
        "skin_warmth": draw.between(-1, 1),
    }


def _hair(draw: _Draw) -> dict:
    colour, lightness, hue_shift = draw.pigment(HAIR)
    return {
        "hair_style": draw.one_of(HAIR_STYLES),
        "fringe": draw.one_of(FRINGES),
        "side_locks": draw.one_of(SIDE_LOCKS),
        "hair_volume": draw.between(-1, 1),
        "hair_colour": colour,
        "hair_lightness": lightness,
        "hair_hue_shift": hue_shift,
        "hair_shine": draw.between(0, 1),
        "hair_part": draw.between(-1, 1),
        "hair_ahoge": draw.chance(0.2),
        "hair_seed": draw.number(),
    }


def _eyes(draw: _Draw) -> dict:
    colour, lightness, hue_shift = draw.pigment(EYES)
    return {
        "eye_shape": draw.one_of(EYE_SHAPES),
        "eye_size": draw.between(-1, 1),
        "eye_spacing": draw.between(-1, 1),
        "eye_colour": colour,
        "eye_lightness": lightness,
        "eye_hue_shift": hue_shift,
        "gaze": draw.around(0, 0.4, 1),
        "eyes_closed": draw.chance(0.05),
    }


def _mood(draw: _Draw) -> dict:
    return {
        "brow_tilt": draw.around(0, 0.45, 1),
        "brow_weight": draw.between(0, 1),
        "expression": draw.one_of(EXPRESSIONS),
        "blush": draw.between(0, 1),
    }


def _dress(draw: _Draw) -> dict:
    return {
        "outfit": draw.one_of(OUTFITS),
        "outfit_hue": draw.between(0, 360),
        "outfit_chroma": draw.between(0.01, 0.15),
        "outfit_lightness": draw.between(0.28, 0.86),
        "accent_hue": draw.between(0, 360),
        "accent_lightness": draw.between(0.45, 0.80),
        "accessory": draw.one_of(ACCESSORIES),
        "glasses": draw.chance(0.10),
    }


def _scene(draw: _Draw) -> dict:
    return {
        "background": draw.one_of(BACKGROUNDS),
        "background_hue": draw.between(0, 360),
        "background_lightness": draw.between(0.76, 0.975)
        if draw.chance(0.8)
        else draw.between(0.44, 0.76),
        "background_chroma": draw.between(0.015, 0.11),
        "background_seed": draw.number(),
        "light_side": 1 if draw.chance(0.5) else -1,
        "turn": draw.around(0, 0.4, 1),
        "tilt": draw.around(0, 2.5, 6),
        "scale": draw.around(1, 0.018, 0.04),
        "offset_x": draw.around(0, 0.01, 0.025),
        "offset_y": draw.around(0, 0.007, 0.014),
    }
