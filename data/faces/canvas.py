"""A supersampled picture with a pose, on which shapes are filled, shaded and outlined."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from data.faces.colour import RGB
from data.faces.curves import Path, ribbon, taper
from data.faces.pose import Pose

_MIN_SIDE = 384  # small pictures are drawn at least this large: thin lines keep their weight
_SOFT = 8  # soft shapes are drawn this many times smaller, then blurred and enlarged
_PIECE = 24  # points of a ribbon's side that are filled at once
Box = tuple[int, int, int, int]


class Canvas:
    """A square RGB picture addressed in picture units: x in [-0.5, 0.5], y in [0, 1] downwards.

    Paths are given on the upright head that looks straight ahead; `pose` says how they are seen.
    """

    def __init__(self, size: int, ground: RGB | Image.Image, ink: float = 1.0) -> None:
        """Begin with one colour everywhere, or with a small picture, enlarged smoothly."""
        self.factor = max(3, -(-_MIN_SIDE // size))
        self.side = size * self.factor
        self.ink = ink  # all lines are this many times their width
        # Polygons cover their border: lines are a pixel too wide, at every size the same one.
        self._excess = 1 / self.side - 1 / 768
        self.pose = Pose()
        # From picture units to pixels of `image`; half a pixel more, since floor then rounds.
        self._offset = np.array([0.5 * self.side + 0.5, 0.5])
        if isinstance(ground, Image.Image):
            self.ground = ground.resize((size, size), Image.Resampling.BICUBIC)
        else:
            self.ground = Image.new("RGB", (size, size), ground)
        self._set_image(self.ground.resize((self.side, self.side), Image.Resampling.NEAREST))

    def _set_image(self, image: Image.Image) -> None:
        self.image, self._pen = image, ImageDraw.Draw(image)

    def _pixels(self, placed: Path) -> list[int]:
        pixels = placed * self.side
        pixels += self._offset
        return np.floor(pixels, out=pixels).astype(np.int32).ravel().tolist()

    def _box(self, pixels: Sequence[int]) -> Box:
        (width, height), xs, ys = self.image.size, pixels[0::2], pixels[1::2]
        left, top = max(min(xs), 0), max(min(ys), 0)
        return left, top, max(min(max(xs) + 1, width), left), max(min(max(ys) + 1, height), top)

    def fill(self, path: Path, colour: RGB, opacity: float = 1.0) -> None:
        """Fill a closed path with one colour."""
        self._fill(self._pixels(self.pose.place(path)), colour, opacity)

    def _fill(self, pixels: list[int], colour: RGB, opacity: float) -> None:
        if opacity >= 1:
            self._pen.polygon(pixels, fill=colour)
            return
        box = self._box(pixels)
        if box[0] < box[2] and box[1] < box[3]:
            self.image.paste(colour, box, _mask(pixels, box, "L", round(255 * opacity)))

    def fills(self, paths: Sequence[Path], colour: RGB) -> None:
        """Fill several closed paths with one colour: faster than one by one."""
        pixels = self._pixels(self.pose.place(np.concatenate(paths)))
        stop = 0
        for path in paths:
            start, stop = stop, stop + 2 * len(path)
            self._pen.polygon(pixels[start:stop], fill=colour)

    def gradient(self, path: Path, colours: Sequence[RGB]) -> None:
        """Fill a closed path with colours running from its top to its bottom."""
        pixels = self._pixels(self.pose.place(path))
        box = self._box(pixels)
        width, height = box[2] - box[0], box[3] - box[1]
        if width and height:
            shading = vertical_gradient(colours, width, height)
            self.image.paste(shading, box, _mask(pixels, box, "1", 1))

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
        widths = self.ink * width * taper(len(path), start, end) - self._excess
        outline = ribbon(self.pose.place(path), np.maximum(widths, 0))
        if opacity < 1:
            self._fill(self._pixels(outline), colour, opacity)
        else:
            self._fill_ribbon(outline, colour)

    def strokes(
        self, paths: Path, width: float, colour: RGB, start: float = 0.25, end: float = 0.25
    ) -> None:
        """Ink several lines [m, n, 2] alike: faster than one by one."""
        count, samples, _ = paths.shape
        placed = self.pose.place(paths.reshape(-1, 2)).reshape(paths.shape)
        widths = self.ink * width * taper(samples, start, end) - self._excess
        outlines = ribbon(placed, np.maximum(widths, 0))
        pixels = self._pixels(outlines.reshape(-1, 2))
        for first in range(0, len(pixels), len(pixels) // count):
            self._pen.polygon(pixels[first : first + len(pixels) // count], fill=colour)

    def _fill_ribbon(self, outline: Path, colour: RGB) -> None:
        """Fill a ribbon piece by piece: faster than at once, and where it crosses itself too."""
        count = len(outline) // 2
        for start in range(0, count - 1, _PIECE):
            stop = min(start + _PIECE + 1, count)
            piece = outline[start:stop], outline[2 * count - stop : 2 * count - start]
            self._pen.polygon(self._pixels(np.concatenate(piece)), fill=colour)

    def band(self, path: Path, widths: float | np.ndarray, colour: RGB) -> None:
        """Fill a band of given full widths along a path, such as a strap: no line, but a shape."""
        self.fill(ribbon(path, widths), colour)

    def outline(self, path: Path, width: float, colour: RGB) -> None:
        """Ink a closed path; its level stretches are heavier than its upright ones."""
        placed = self.pose.place(path)
        closed = np.concatenate([placed, placed[:1]])
        step = np.diff(closed[:, 0], append=closed[:1, 0])
        lean = step / (np.abs(step).max() + 1e-9)
        widths = self.ink * width * (1 + 0.35 * np.abs(lean)) - self._excess
        self._fill_ribbon(ribbon(closed, widths), colour)

    def glow(self, x: float, y: float, rx: float, ry: float, colour: RGB, opacity: float) -> None:
        """Add a soft elliptic spot of colour, such as a blush."""
        angle = np.array([0, 0.5, 1, 1.5]) * np.pi
        rim = np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], axis=1)
        xs, ys = (p := self._pixels(self.pose.place(rim)))[0::2], p[1::2]
        box = min(xs), min(ys), max(xs) + 1, max(ys) + 1
        mask = _spot(round(255 * opacity)).resize(
            (box[2] - box[0], box[3] - box[1]), Image.Resampling.BILINEAR
        )
        self.image.paste(colour, box, mask)

    def soft(self, path: Path, colour: RGB, opacity: float, blur: float) -> None:
        """Fill a closed path whose edge is blurred by about `blur` picture units."""
        pixels = self._pixels(self.pose.place(path))
        margin = round(2.5 * blur * self.side)
        left, top, right, bottom = self._box(pixels)
        box = self._box([left - margin, top - margin, right + margin, bottom + margin])
        width, height = box[2] - box[0], box[3] - box[1]
        if not width or not height:  # out of sight
            return
        half = Image.new("L", (4 * -(-width // _SOFT), 4 * -(-height // _SOFT)))
        shifted = [(p - box[i & 1]) >> 1 for i, p in enumerate(pixels)]
        ImageDraw.Draw(half).polygon(shifted, fill=round(255 * opacity))
        small = half.reduce(_SOFT // 2)
        blurred = small.filter(ImageFilter.GaussianBlur(blur * self.side / _SOFT))
        shown = 0, 0, width / _SOFT, height / _SOFT
        mask = blurred.resize((width, height), Image.Resampling.BILINEAR, box=shown)
        self.image.paste(colour, box, mask)

    @contextmanager
    def inside(self, path: Path) -> Iterator[None]:
        """Keep everything drawn in the block inside a closed path."""
        below, offset = self.image, self._offset
        pixels = self._pixels(self.pose.place(path))
        box = self._box(pixels)
        if box[0] == box[2] or box[1] == box[3]:  # out of sight
            box = 0, 0, 1, 1
        self._set_image(below.crop(box))
        self._offset = offset - box[:2]
        yield
        below.paste(self.image, box, _mask(pixels, box, "1", 1))
        self._offset = offset
        self._set_image(below)

    def finish(self) -> Image.Image:
        """Reduce the picture to its final size."""
        return self.image.reduce(self.factor)


def _mask(pixels: list[int], box: Box, mode: str, value: int) -> Image.Image:
    mask = Image.new(mode, (box[2] - box[0], box[3] - box[1]))
    shifted = [p - box[i & 1] for i, p in enumerate(pixels)]
    ImageDraw.Draw(mask).polygon(shifted, fill=value)
    return mask


def vertical_gradient(colours: Sequence[RGB], width: int, height: int) -> Image.Image:
    """Spread colours evenly from top to bottom."""
    column = Image.new("RGB", (1, len(colours)))
    column.putdata(list(colours))
    middles = (0.0, 0.5, 1.0, len(colours) - 0.5)  # of the first and the last colour
    tall = column.resize((1, height), Image.Resampling.BILINEAR, box=middles)
    return tall.resize((width, height), Image.Resampling.NEAREST)


@lru_cache(maxsize=256)
def _spot(brightest: int) -> Image.Image:
    axis = (np.arange(32) + 0.5) / 16 - 1
    radius = np.hypot(axis[:, None], axis[None])
    falling = np.clip(1 - radius, 0, 1) ** 0.8
    return Image.fromarray(np.round(brightest * falling).astype(np.uint8))
