"""Colours by lightness, chroma and hue in OKLCh (Ottosson 2020); the tones of one material."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

RGB = tuple[int, int, int]


def _linear_rgb(lightness: float, chroma: float, hue: float) -> tuple[float, float, float]:
    a = chroma * math.cos(math.radians(hue))
    b = chroma * math.sin(math.radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )


def _encode(value: float) -> int:
    value = min(max(value, 0.0), 1.0)
    srgb = 12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055
    return round(255 * srgb)


_TO_CONE = ((0.4122214708, 0.5363325363, 0.0514459929),
            (0.2119034982, 0.6806995451, 0.1073969566),
            (0.0883024619, 0.2817188376, 0.6299787005))  # fmt: skip
_TO_LAB = ((0.2104542553, 0.7936177850, -0.0040720468),
           (1.9779984951, -2.4285922050, 0.4505937099),
           (0.0259040371, 0.7827717662, -0.8086757660))  # fmt: skip


def oklab(colour: RGB) -> NDArray[np.float64]:
    """Convert 8-bit sRGB to OKLab: lightness in [0, 1], green to red, blue to yellow."""
    coded = np.array(colour) / 255
    linear = np.where(coded > 0.04045, ((coded + 0.055) / 1.055) ** 2.4, coded / 12.92)
    return np.array(_TO_LAB) @ np.cbrt(np.array(_TO_CONE) @ linear)


@lru_cache(maxsize=4096)
def rgb(lightness: float, chroma: float, hue: float) -> RGB:
    """Give the 8-bit sRGB of an OKLCh colour; chroma shrinks until the colour exists in sRGB.

    Lightness is in [0, 1], chroma about [0, 0.3], hue in degrees.
    """
    lightness = min(max(lightness, 0.0), 1.0)
    for _ in range(24):
        linear = _linear_rgb(lightness, chroma, hue)
        if -1e-4 <= min(linear) and max(linear) <= 1.0001:
            break
        chroma *= 0.9
    red, green, blue = (_encode(value) for value in linear)
    return red, green, blue


def mix(first: RGB, second: RGB, share: float) -> RGB:
    """Blend two colours; `share` in [0, 1] is how much of the second."""
    return (
        round(first[0] + (second[0] - first[0]) * share),
        round(first[1] + (second[1] - first[1]) * share),
        round(first[2] + (second[2] - first[2]) * share),
    )


@dataclass(frozen=True)
class Tones:
    """The colours in which one material is drawn, all in its own hue."""

    gleam: RGB  # core of a highlight
    light: RGB  # highlight
    base: RGB
    shade: RGB  # cel shadow
    deep: RGB  # far or covered parts
    line: RGB  # outline


def material(lightness: float, chroma: float, hue: float) -> Tones:
    """Derive the tones of hair or cloth from its base colour in OKLCh."""
    lift = 0.05 + 0.17 * (1 - lightness)
    return Tones(
        gleam=rgb(min(lightness + 1.9 * lift, 0.985), chroma * 0.75, hue),
        light=rgb(min(lightness + lift, 0.97), chroma * 0.95, hue),
        base=rgb(lightness, chroma, hue),
        shade=rgb(lightness * 0.84, min(chroma * 1.05 + 0.008, 0.25), hue),
        deep=rgb(lightness * 0.70, chroma * 1.0 + 0.008, hue),
        line=rgb(0.06 + lightness * 0.36, chroma * 0.75 + 0.02, hue),
    )


_SKIN = (  # lightness, chroma, hue from pale to dark
    (0.955, 0.022, 55.0),
    (0.925, 0.037, 58.0),
    (0.880, 0.055, 62.0),
    (0.800, 0.074, 62.0),
    (0.660, 0.083, 58.0),
    (0.510, 0.075, 52.0),
)


def skin(tone: float, warmth: float) -> Tones:
    """Give the tones of skin: `tone` from pale 0 to dark 1, `warmth` in [-1, 1] turns the hue."""
    position = min(max(tone, 0.0), 1.0) * (len(_SKIN) - 1)
    index = min(int(position), len(_SKIN) - 2)
    share = position - index
    lightness, chroma, hue = (
        a + (b - a) * share for a, b in zip(_SKIN[index], _SKIN[index + 1], strict=True)
    )
    hue += 9 * warmth
    blood = 0.3 + 0.7 * (lightness - 0.51) / 0.445  # how much redder the shade of pale skin is
    return Tones(
        gleam=rgb(min(lightness + 0.05, 0.99), chroma * 0.5, hue),
        light=rgb(min(lightness + 0.02, 0.98), chroma * 0.8, hue),
        base=rgb(lightness, chroma, hue),
        shade=rgb(lightness - 0.085, chroma + 0.035 * blood, hue - 14),
        deep=rgb(lightness - 0.16, chroma + 0.05 * blood, hue - 18),
        line=rgb(0.16 + 0.30 * lightness, 0.075, hue - 25),
    )
