"""A random description of a face as a pure function of (seed, index), with art's correlations."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from itertools import accumulate
from typing import Any

import numpy as np

from data.faces import description as tables
from data.faces.description import FaceDescription
from data.faces.palette import EYES, HAIR, SKIN_GROUPS, Pigment

Fields = dict[str, Any]


def describe(seed: int, index: int) -> FaceDescription:
    """Draw the description of face `index` of the set `seed`: equal arguments, equal answer.

    Raises:
        ValueError: if an argument is negative.
    """
    if seed < 0 or index < 0:
        raise ValueError(f"seed {seed}, index {index}: negative. Use numbers from 0.")
    draw = _Draw(np.random.default_rng([seed, index]))
    face = _person(draw)
    for part in (_hair, _eyes, _mood, _outfit, _headwear, _light, _background, _view):
        face |= part(draw, face)
    return FaceDescription(**face)


class _Draw:
    """Random values, rounded so that JSON holds them exactly."""

    def __init__(self, generator: np.random.Generator) -> None:
        self._generator = generator

    def between(self, low: float, high: float) -> float:
        return round(float(self._generator.uniform(low, high)), 4)

    def around(self, middle: float, deviation: float, limit: float) -> float:
        offset = float(self._generator.normal(0, deviation))
        return round(middle + min(max(offset, -limit), limit), 4)

    def chance(self, probability: float) -> bool:
        return bool(self._generator.random() < probability)

    def number(self) -> int:
        return int(self._generator.integers(1 << 31))

    def one_of(
        self, weights: Mapping[str, float], changes: Mapping[str, float] | None = None
    ) -> str:
        """Choose a name; `changes` multiplies the weights of some."""
        shares = [w * (changes or {}).get(name, 1.0) for name, w in weights.items()]
        bounds = list(accumulate(shares))
        place = bisect_right(bounds, float(self._generator.random()) * bounds[-1])
        return list(weights)[min(place, len(bounds) - 1)]

    def pigment(
        self, table: Mapping[str, Pigment], changes: Mapping[str, float]
    ) -> tuple[str, float, float]:
        name = self.one_of({key: pigment.weight for key, pigment in table.items()}, changes)
        chosen = table[name]
        lightness = self.between(chosen.darkest, chosen.lightest)
        return name, lightness, self.between(-chosen.hue_spread, chosen.hue_spread)


def _person(draw: _Draw) -> Fields:
    group = draw.one_of({str(i): share for i, (share, _, _) in enumerate(SKIN_GROUPS)})
    _, palest, darkest = SKIN_GROUPS[int(group)]
    age = draw.one_of(tables.AGES)
    return {
        "gender": draw.one_of(tables.GENDERS),
        "age": age,
        "head_width": draw.between(-1, 1),
        "jaw_width": draw.between(-1, 1),
        "chin_point": draw.between(0, 1),
        "skin_tone": draw.between(palest, darkest),
        "skin_warmth": draw.between(-1, 1),
        "mark": draw.one_of(tables.MARKS, {"freckles": 0.0} if age == "elder" else None),
    }


# Shares of names among men, and with age, times what the tables say.
_MEN = {
    "short": 3.2, "spiky": 3.0, "messy": 2.6, "bob": 0.25, "long": 0.3, "hime": 0.0, "wavy": 0.25,
    "twin_tails": 0.0, "side_tail": 0.0, "ponytail": 0.5, "braid": 0.1, "buns": 0.0,
    "blunt": 0.4, "back": 2.4, "cheek": 0.35,
    "sailor": 0.0, "dress": 0.0, "blazer": 1.6, "armour": 1.8, "hairpin": 0.15, "ribbon": 0.0,
    "flower": 0.1, "headband": 0.5, "rabbit_ears": 0.3, "straw_hat": 0.6, "beret": 0.4, "cap": 1.6,
    "sharp": 1.7, "almond": 1.4, "round": 0.5,
}  # fmt: skip
_WOMEN = {"spiky": 0.35, "short": 0.55, "messy": 0.7}
_AGED = {
    "child": {"back": 0.2, "sharp": 0.4, "round": 1.7, "long": 0.8, "twin_tails": 2.0, "armour": 0,
              "blazer": 0.5, "hoodie": 1.4, "t_shirt": 1.6},
    "teen": {"back": 0.5},
    "adult": {"back": 1.6, "twin_tails": 0.4, "sailor": 0.1, "shirt": 1.6, "jacket": 1.6},
    "elder": {"grey": 7, "white": 9, "silver": 4, "pink": 0.3, "green": 0.4, "teal": 0.4,
              "back": 2.2, "twin_tails": 0, "side_tail": 0.3, "spiky": 0.2, "sailor": 0,
              "buns": 2.5, "hoodie": 0.2, "t_shirt": 0.3, "kimono": 3, "sweater": 2, "cat_ears": 0,
              "rabbit_ears": 0, "headphones": 0, "round": 1.4, "angry": 0.6},
}  # fmt: skip


def _changes(face: Fields) -> dict[str, float]:
    """Multiply what gender and age do to the shares of names."""
    by_gender = _MEN if face["gender"] == "man" else _WOMEN
    by_age = _AGED[face["age"]]
    names = by_gender.keys() | by_age.keys()
    return {name: by_gender.get(name, 1.0) * by_age.get(name, 1.0) for name in names}


def _hair(draw: _Draw, face: Fields) -> Fields:
    changes = _changes(face)
    colour, lightness, hue_shift = draw.pigment(HAIR, changes)
    style = draw.one_of(tables.HAIR_STYLES, changes)
    fringe = draw.one_of(tables.FRINGES, changes)
    locks = draw.one_of(tables.SIDE_LOCKS, changes)
    is_dyed = draw.chance(0.08) and face["age"] != "elder"
    return {
        "hair_style": style,
        "fringe": "blunt" if style == "hime" else fringe,
        "side_locks": "cheek" if style == "hime" else locks,
        "hair_volume": draw.between(-1, 1),
        "hair_colour": colour,
        "hair_lightness": lightness,
        "hair_hue_shift": hue_shift,
        "hair_tips": draw.between(0.5, 1.0) if is_dyed else 0.0,
        "hair_shine": draw.between(0, 1),
        "hair_part": draw.between(-1, 1),
        "hair_ahoge": draw.chance(0.16),
        "hair_seed": draw.number(),
    }


_NATURAL = {"black", "brown", "blond", "ginger", "grey", "silver", "white"}


def _eyes(draw: _Draw, face: Fields) -> Fields:
    changes = _changes(face)
    hair = face["hair_colour"]
    if hair in EYES:
        changes[hair] = 2.6  # the hair's own colour again
    if hair in _NATURAL:
        changes |= {"pink": 0.4, "purple": 0.6, "red": 0.7}
    if face["skin_tone"] > 0.6:
        changes |= {"brown": 2.5, "amber": 1.8}
    colour, lightness, hue_shift = draw.pigment(EYES, changes)
    return {
        "eye_shape": draw.one_of(tables.EYE_SHAPES, changes),
        "eye_size": draw.between(-1, 1),
        "eye_spacing": draw.between(-1, 1),
        "eye_colour": colour,
        "eye_lightness": lightness,
        "eye_hue_shift": hue_shift,
        "gaze": draw.around(0, 0.4, 1),
    }


def _mood(draw: _Draw, face: Fields) -> Fields:
    expression = draw.one_of(tables.EXPRESSIONS, _changes(face))
    middle = {"angry": 0.75, "sad": -0.6, "surprised": -0.1}.get(expression, 0.05)
    return {
        "brow_tilt": draw.around(middle, 0.3, 0.25 if expression == "angry" else 0.4),
        "brow_weight": draw.between(0, 1),
        "expression": expression,
        "mouth_open": draw.between(0, 1),
        "blush": draw.between(0, 1),
    }


def _outfit(draw: _Draw, face: Fields) -> Fields:
    """Dress in a palette: the second colour is near the first or plain, the accent opposes it."""
    hue, lightness = draw.between(0, 360), draw.between(0.26, 0.88)
    is_plain = draw.chance(0.45)
    far = draw.one_of({"near": 0.3, "third": 0.3, "opposite": 0.4})
    turn = {"near": 30, "third": 120, "opposite": 180}[far] * (1 if draw.chance(0.5) else -1)
    return {
        "outfit": draw.one_of(tables.OUTFITS, _changes(face)),
        "outfit_hue": hue,
        "outfit_chroma": draw.between(0.01, 0.14),
        "outfit_lightness": lightness,
        "second_hue": round((hue + draw.between(-40, 40)) % 360, 4),
        "second_chroma": draw.between(0.0, 0.02) if is_plain else draw.between(0.04, 0.11),
        "second_lightness": draw.between(0.72, 0.95)
        if lightness < 0.6
        else draw.between(0.3, 0.55),
        "accent_hue": round((hue + turn + draw.between(-20, 20)) % 360, 4),
        "accent_lightness": draw.between(0.45, 0.80),
        "earrings": draw.chance(0.22 if face["gender"] == "woman" else 0.06),
        "glasses": draw.one_of(tables.GLASSES, {"none": 0.45} if face["age"] == "elder" else None),
    }


_BY_OUTFIT: dict[str, dict[str, float]] = {
    "cloak": {"witch_hat": 8, "horns": 3, "cap": 0, "headphones": 0, "straw_hat": 0, "beret": 0},
    "armour": {"horns": 4, "none": 1.3, "cap": 0, "headphones": 0, "straw_hat": 0, "beret": 0},
    "kimono": {"cap": 0, "headphones": 0, "beret": 0, "witch_hat": 0, "straw_hat": 0},
    "dress": {"straw_hat": 3, "cap": 0, "horns": 0.3},
    "sailor": {"witch_hat": 0, "horns": 0.3, "straw_hat": 0},
    "blazer": {"witch_hat": 0, "horns": 0.3, "straw_hat": 0},
}
_HATS = {"beret", "cap", "straw_hat", "witch_hat"}
_TALL_HAIR = {"spiky", "messy", "buns"}  # does not go under a hat or beside ears


def _headwear(draw: _Draw, face: Fields) -> Fields:
    changes = _changes(face)
    for name, factor in _BY_OUTFIT.get(face["outfit"], {}).items():
        changes[name] = changes.get(name, 1.0) * factor
    headwear = draw.one_of(tables.HEADWEAR, changes)
    ornament = draw.one_of(tables.ORNAMENTS, _changes(face))
    if headwear != "none" and face["hair_style"] in _TALL_HAIR and headwear != "headphones":
        headwear = "none"
    if headwear in _HATS | {"headband"}:
        ornament = "none"
    hides_top = headwear in _HATS | {"headband", "headphones"}
    return {
        "headwear": headwear,
        "ornament": ornament,
        "hair_ahoge": face["hair_ahoge"] and not hides_top,
    }


def _light(draw: _Draw, face: Fields) -> Fields:
    return {
        "light": draw.one_of(tables.LIGHTS),
        "light_side": 1 if draw.chance(0.5) else -1,
        "light_hardness": draw.between(0, 1),
        "line_weight": draw.between(0, 1),
    }


def _background(draw: _Draw, face: Fields) -> Fields:
    is_dark = face["light"] in ("night", "neon") or draw.chance(0.2)
    return {
        "background": draw.one_of(tables.BACKGROUNDS),
        "background_hue": draw.between(0, 360),
        "background_lightness": draw.between(0.40, 0.72) if is_dark else draw.between(0.74, 0.97),
        "background_chroma": draw.between(0.015, 0.11),
        "background_seed": draw.number(),
    }


def _view(draw: _Draw, face: Fields) -> Fields:
    return {
        "turn": draw.around(0, 9, 20),
        "tilt": draw.around(0, 2.5, 6),
        "scale": draw.around(1, 0.015, 0.03),
        "offset_x": draw.around(0, 0.01, 0.025),
        "offset_y": draw.around(0, 0.005, 0.010),
    }
