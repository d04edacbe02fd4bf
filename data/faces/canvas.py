"""A supersampled picture with a pose, on which shapes are filled, shaded and outlined."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache

import numpy as np
from PIL import Image, ImageDraw

from data.faces.colour import RGB
from data.faces.curves import Path, ribbon, taper

_PIVOT_Y = 0.60  # the head turns and grows about this point of the picture
_MIN_SIDE = 384  # small pictures are drawn at least this large: thin lines keep their weight


class Canvas:
    """A square RGB picture addressed in picture units: x in [-0.5, 0.5], y in [0, 1] downwards."""

    def __init__(self, size: int, colour: RGB) -> None:
        self.factor = max(3, -(-_MIN_SIDE // size))
        self.side = size * self.factor
        self.image = Image.new("RGB", (self.side, self.side), colour)
        self._pen = ImageDraw.Draw(self.image)
        self.pose()

    def pose(self, scale: float = 1.0, tilt: float = 0.0, dx: float = 0.0, dy: float = 0.0) -> None:
        """Place what is drawn from now on; `tilt` in degrees, `dx` and `dy` in picture units."""
        cos, sin = math.cos(math.radians(tilt)) * scale, math.sin(math.radians(tilt)) * scale
        self._matrix = np.array([[cos, sin], [-sin, cos]]) * self.side
        pivot = np.array([0.0, _PIVOT_Y])
        self._origin = (pivot + np.array([0.5 + dx, dy])) * self.side - pivot @ self._matrix

    def _pixels(self, path: Path) -> list[int]:
        return np.floor(path @ self._matrix + self._origin + 0.5).astype(int).ravel().tolist()

    def _box(self, pixels: Sequence[int]) -> tuple[int, int, int, int]:
        xs, ys = pixels[0::2], pixels[1::2]
        left, top = max(min(xs), 0), max(min(ys), 0)
        return (
            left,
            top,
            max(min(max(xs) + 1, self.side), left),
            max(min(max(ys) + 1, self.side), top),
        )

    def fill(self, path: Path, colour: RGB, opacity: float = 1.0) -> None:
        """Fill a closed path with one colour."""
        pixels = self._pixels(path)
        if opacity >= 1:
            self._pen.polygon(pixels, fill=colour)
            return
        box = self._box(pixels)
        if box[0] < box[2] and box[1] < box[3]:
            self.image.paste(colour, box, self._mask(pixels, box, "L", round(255 * opacity)))

    def gradient(self, path: Path, colours: Sequence[RGB]) -> None:
        """Fill a closed path with colours running from its top to its bottom."""
        pixels = self._pixels(path)
        box = self._box(pixels)
        width, height = box[2] - box[0], box[3] - box[1]
        if width and height:
            shading = vertical_gradient(colours, width, height)
            self.image.paste(shading, box, self._mask(pixels, box, "1", 1))

    @staticmethod
    def _mask(pixels: list[int], box: tuple[int, ...], mode: str, value: int) -> Image.Image:
        mask = Image.new(mode, (box[2] - box[0], box[3] - box[1]))
        shifted = [p - box[i & 1] for i, p in enumerate(pixels)]
        ImageDraw.Draw(mask).polygon(shifted, fill=value)
        return mask

    def stroke(
        self,
        path: Path,
        width: float,
        colour: RGB,
        start: float = 0.25,
        end: float = 0.25,
        opacity: float = 1.0,
    ) -> None:
        """Ink a line that thins to the shares `start` and `end` of its width at the tips."""
        self.fill(ribbon(path, width * taper(len(path), start, end)), colour, opacity)

    def outline(self, path: Path, width: float, colour: RGB) -> None:
        """Ink a closed path; its level stretches are heavier than its upright ones."""
        closed = np.concatenate([path, path[:1]])
        step = np.diff(closed[:, 0], append=closed[:1, 0])
        lean = step / (np.abs(step).max() + 1e-9)
        self.fill(ribbon(closed, width * (1 + 0.35 * np.abs(lean))), colour)

    def glow(self, x: float, y: float, rx: float, ry: float, colour: RGB, opacity: float) -> None:
        """Add a soft elliptic spot of colour, such as a blush."""
        corners = np.array([[x - rx, y - ry], [x + rx, y - ry], [x + rx, y + ry], [x - rx, y + ry]])
        pixels = self._pixels(corners)
        box = min(pixels[0::2]), min(pixels[1::2]), max(pixels[0::2]) + 1, max(pixels[1::2]) + 1
        spot = _spot().point([round(v * opacity) for v in range(256)])
        mask = spot.resize((box[2] - box[0], box[3] - box[1]), Image.Resampling.BILINEAR)
        self.image.paste(colour, box, mask)

    @contextmanager
    def inside(self, path: Path) -> Iterator[None]:
        """Keep everything drawn in the block inside a closed path."""
        below, pixels = self.image, self._pixels(path)
        box = self._box(pixels)
        self.image = below.copy()
        self._pen = ImageDraw.Draw(self.image)
        yield
        if box[0] < box[2] and box[1] < box[3]:
            below.paste(self.image.crop(box), box, self._mask(pixels, box, "1", 1))
        self.image, self._pen = below, ImageDraw.Draw(below)

    def finish(self) -> Image.Image:
        """Reduce the picture to its final size."""
        return self.image.reduce(self.factor)


def vertical_gradient(colours: Sequence[RGB], width: int, height: int) -> Image.Image:
    """Spread colours evenly from top to bottom."""
    column = Image.new("RGB", (1, len(colours)))
    column.putdata(list(colours))
    tall = column.resize((1, height), Image.Resampling.BILINEAR)
    return tall.resize((width, height), Image.Resampling.NEAREST)


@cache
def _spot() -> Image.Image:
    axis = (np.arange(32) + 0.5) / 16 - 1
    radius = np.hypot(axis[:, None], axis[None])
    return Image.fromarray(np.round(255 * np.clip(1 - radius, 0, 1) ** 0.8).astype(np.uint8))
