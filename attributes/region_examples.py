"""Grey pictures whose regions are known: drawn on the spot, then degraded as small inputs are.

Which pictures, and what happens to them, is a function of (seed, index) alone. The sets drawn from
are those of `attributes.pictures`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from attributes.pictures import GREY_SIDE, HELD_OUT_SETS, TRAINING_SETS, Task
from attributes.regions import SIDE
from data.faces import describe, draw
from data.faces.regions import regions

_DRAWN_SIDE = 96
_MARGIN = 0.16  # share of a side by which a face may be moved or be larger and smaller
Floats = NDArray[np.float32]
Box = tuple[float, float, float, float]


class RegionExamples(NamedTuple):
    """Pictures, and what covers them."""

    greys: NDArray[np.uint8]  # [N, SIDE, SIDE, 1]
    shares: Floats  # [N, SIDE, SIDE, regions] in [0, 1]


def region_examples(task: Task) -> RegionExamples:
    """Draw a batch to learn from."""
    return _stacked([_example(task.seed, task.first + k) for k in range(task.num)])


def region_exam(task: Task) -> RegionExamples:
    """Draw a batch of held-out pictures as `invert.py` gets them: small, then enlarged."""
    faces = [describe(HELD_OUT_SETS + task.seed, task.first + k) for k in range(task.num)]
    return _stacked(
        [
            (_resized(_resized(draw(face, _DRAWN_SIDE, "grey"), GREY_SIDE), SIDE),
             regions(face, SIDE))
            for face in faces
        ]
    )  # fmt: skip


def _stacked(pairs: list[tuple[Image.Image, Floats]]) -> RegionExamples:
    greys, shares = zip(*pairs, strict=True)
    return RegionExamples(np.stack([np.asarray(g)[..., None] for g in greys]), np.stack(shares))


def _example(seed: int, index: int) -> tuple[Image.Image, Floats]:
    dice = np.random.default_rng([seed, index, 2])
    face = describe(TRAINING_SETS + seed, index)
    grey, shares = draw(face, _DRAWN_SIDE, "grey"), regions(face, SIDE)
    zoom, x, y = dice.uniform(-_MARGIN, _MARGIN, 3)
    box = (x - zoom / 2, y - zoom / 2, 1 + x + zoom / 2, 1 + y + zoom / 2)
    grey = _seen(grey, box)
    planes = [_seen(Image.fromarray(plane), box) for plane in np.moveaxis(shares, 2, 0)]
    if dice.random() < 0.85:
        grey = _resized(grey, round(20 * 3.2 ** dice.random()))
    grey = _toned(_resized(grey, SIDE), dice)
    shown = np.stack([np.asarray(_resized(plane, SIDE)) for plane in planes], 2).clip(0, 1)
    if dice.random() < 0.5:
        return grey.transpose(Image.Transpose.FLIP_LEFT_RIGHT), shown[:, ::-1].copy()
    return grey, shown


def _seen(picture: Image.Image, box: Box) -> Image.Image:
    """Show another part of a picture, whose border is repeated beyond it."""
    width = picture.width
    pad = round(2 * _MARGIN * width)
    padded = Image.fromarray(np.pad(np.asarray(picture), pad, "edge"))
    left, top, right, bottom = (pad + share * width for share in box)
    edges = (left, top, right, bottom)
    return padded.resize(picture.size, Image.Resampling.BILINEAR, box=edges)


def _resized(picture: Image.Image, side: int) -> Image.Image:
    return picture.resize((side, side), Image.Resampling.BICUBIC)


def _toned(picture: Image.Image, dice: np.random.Generator) -> Image.Image:
    """Change the tones, and add grain, of some pictures."""
    values = np.asarray(picture, np.float32) / 255
    if dice.random() < 0.5:
        values = values ** np.float32(2 ** dice.uniform(-0.8, 0.8))
    if dice.random() < 0.3:
        values = values + 0.04 * dice.random() * dice.standard_normal(values.shape, np.float32)
    return Image.fromarray((255 * values).round().clip(0, 255).astype(np.uint8))
