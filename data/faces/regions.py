"""Which part of a drawn face covers how much of each pixel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from data.faces.colour import RGB, Tones
from data.faces.description import FaceDescription
from data.faces.draw import painted
from data.faces.figure import Figure
from data.faces.paint import Paint

REGIONS = ("hair", "skin", "eyes", "clothes", "background")
_PLATES = REGIONS[:3], REGIONS[3:]  # drawn together, one in each of red, green and blue
_SHOWN = {  # what is painted in which material; all else belongs to no region
    "hair": ("hair", "tips"),
    "skin": ("skin", "blush", "lips"),
    "eyes": ("eye",),
    "clothes": ("cloth", "second", "accent", "white", "metal"),
    "background": ("background",),
}
_NOTHING: RGB = (0, 0, 0)


def regions(description: FaceDescription, size: int) -> NDArray[np.float32]:
    """Return the share of each pixel that each of REGIONS covers, `[size, size, 5]` in [0, 1].

    Outlines, the whites, pupils and reflections of eyes, the mouth and the lenses of glasses belong
    to none. Of the iris, which has one colour, the region is what has it.

    Raises:
        ValueError: if the size is not between 8 and 2048.
    """
    if not 8 <= size <= 2048:
        raise ValueError(f"size {size}: outside 8 to 2048. Choose a size within.")
    plates = []
    for names in _PLATES:
        paint = _mask_paint(dict(zip(names, _PRIMARIES, strict=False)))
        canvas = painted(Figure.of(description, paint), size)
        plates.append(np.asarray(canvas.finish())[..., : len(names)])
    return np.concatenate(plates, axis=2).astype(np.float32) / np.float32(255)


_PRIMARIES: tuple[RGB, RGB, RGB] = ((255, 0, 0), (0, 255, 0), (0, 0, 255))


def _mask_paint(colours: Mapping[str, RGB]) -> Paint:
    """Give the surfaces of some regions one flat colour each, and black to everything else."""
    shown = {material: colours[name] for name in colours for material in _SHOWN[name]}
    return Paint(
        **{
            field.name: _flat(shown.get(field.name, _NOTHING), field.name)
            for field in fields(Paint)
        }
    )


def _flat(colour: RGB, material: str) -> Tones:
    if material == "background":
        return Tones(colour, colour, colour, colour, colour, colour)
    if material == "eye":  # its gleam is a reflection, its deep the pupil
        return Tones(_NOTHING, colour, colour, colour, _NOTHING, _NOTHING)
    return Tones(colour, colour, colour, colour, colour, _NOTHING)
