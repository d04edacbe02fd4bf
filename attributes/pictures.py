"""The pictures that a reader learns from and is examined on: drawn on the spot, then degraded.

Which pictures, and what happens to them, is a function of (seed, index) alone. The sets drawn from
are none that `make_dataset.py faces --seed` draws.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from attributes.schema import Truth, truth_of
from data.faces import describe, draw

SIDE = 128  # of what the network sees
DRAWN_SIDE = 256  # as the default model's pictures
GREY_SIDE = 32  # of the small grey pictures it is examined on
TRAINING_SETS, HELD_OUT_SETS = 1 << 40, 1 << 41  # seeds of `describe` start there
_MARGIN = 6  # pixels of SIDE that a picture may be shifted by


class Task(NamedTuple):
    """Faces to draw."""

    seed: int
    first: int  # index of the first
    num: int


class Examples(NamedTuple):
    """Degraded pictures to learn from, two of each face: in colour, and in grey."""

    pictures: NDArray[np.uint8]  # [2 N, SIDE, SIDE, 3]
    truth: Truth


class Exam(NamedTuple):
    """Pictures as they are, and small and grey as `invert.py` gets them."""

    pictures: NDArray[np.uint8]  # [N, SIDE, SIDE, 3]
    greys: NDArray[np.uint8]  # [N, GREY_SIDE, GREY_SIDE, 1]
    truth: Truth


def training_examples(task: Task) -> Examples:
    """Draw a batch to learn from."""
    found = [pair for k in range(task.num) for pair in _examples(task.seed, task.first + k)]
    pictures, truths = zip(*found, strict=True)
    return Examples(np.stack(pictures), _stack(truths))


def exam(task: Task) -> Exam:
    """Draw a batch of held-out pictures."""
    faces = [describe(HELD_OUT_SETS + task.seed, task.first + k) for k in range(task.num)]
    drawn = [draw(face, DRAWN_SIDE) for face in faces]
    pictures = np.stack([np.asarray(_resized(picture, SIDE)) for picture in drawn])
    greys = np.stack([np.asarray(_resized(picture.convert("L"), GREY_SIDE)) for picture in drawn])
    return Exam(pictures, greys[..., None], _stack([truth_of(face) for face in faces]))


def _stack(truths: tuple[Truth, ...] | list[Truth]) -> Truth:
    choices, numbers = zip(*truths, strict=True)
    return Truth(np.stack(choices), np.stack(numbers))


def _resized(picture: Image.Image, side: int) -> Image.Image:
    return picture.resize((side, side), Image.Resampling.BICUBIC)


def _examples(seed: int, index: int) -> Iterator[tuple[NDArray[np.uint8], Truth]]:
    """Yield a face in colour and in grey: drawing takes longer than all the rest."""
    face = describe(TRAINING_SETS + seed, index)
    drawn = _resized(draw(face, DRAWN_SIDE), SIDE)
    dice = _Dice(np.random.default_rng([seed, index, 1]))
    softness, grain = dice.sometimes(0.35, 2.0), dice.sometimes(0.35, 12.0)
    coloured = _degraded(drawn, softness, grain, dice)
    yield np.asarray(coloured), truth_of(face, softness, grain)
    grey = _grey(_degraded(drawn, 0.0, dice.sometimes(0.35, 12.0), dice), dice)
    yield np.asarray(grey), truth_of(face, np.nan, np.nan)


def _degraded(picture: Image.Image, softness: float, grain: float, dice: _Dice) -> Image.Image:
    picture = _shifted(picture, dice)
    picture = picture.filter(ImageFilter.GaussianBlur(softness)) if softness else picture
    picture = _with_grain(picture, grain, dice)
    return _through_jpeg(picture, round(dice.between(50, 95))) if dice.chance(0.25) else picture


class _Dice:
    def __init__(self, generator: np.random.Generator) -> None:
        self.generator = generator

    def between(self, low: float, high: float) -> float:
        return float(self.generator.uniform(low, high))

    def chance(self, probability: float) -> bool:
        return bool(self.generator.random() < probability)

    def sometimes(self, probability: float, most: float) -> float:
        """Return 0, or with this probability a number below `most`."""
        return self.between(0, most) if self.chance(probability) else 0.0


def _shifted(picture: Image.Image, dice: _Dice) -> Image.Image:
    x, y = dice.generator.integers(0, 2 * _MARGIN + 1, 2)
    padded = np.pad(np.asarray(picture), ((_MARGIN,) * 2, (_MARGIN,) * 2, (0, 0)), "edge")
    return Image.fromarray(padded[y : y + SIDE, x : x + SIDE])


def _with_grain(picture: Image.Image, grain: float, dice: _Dice) -> Image.Image:
    """Change the brightness a little, and add noise of `grain` levels."""
    levels = np.asarray(picture, np.float32) * dice.between(0.94, 1.06)
    if grain:
        levels += grain * dice.generator.standard_normal(levels.shape, np.float32)
    return Image.fromarray(levels.round().clip(0, 255).astype(np.uint8))


def _through_jpeg(picture: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def _grey(picture: Image.Image, dice: _Dice) -> Image.Image:
    """Take the colour, and mostly the detail: reduce to 16 to 96 pixels and enlarge again."""
    grey = picture.convert("L")
    if dice.chance(0.8):
        grey = _resized(_resized(grey, round(16 * 6 ** dice.between(0, 1))), SIDE)
    return grey.convert("RGB")
