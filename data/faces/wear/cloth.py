"""Pieces of cloth: closed shapes with an outline, a cel shadow and folds, in any place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data.faces.canvas import Canvas
from data.faces.colour import RGB, Tones, mix
from data.faces.curves import Path, moved, smooth
from data.faces.figure import Figure

LINE = 0.0052  # of outlines
FOLD = 0.0038  # of inner lines
Points = Sequence[tuple[float, float]] | Path


@dataclass(frozen=True)
class Frame:
    """Where a thing lies that is given in units of its own, y downwards."""

    x: float
    y: float
    size: float = 1.0  # of one unit, in picture units
    tilt: float = 0.0  # degrees, clockwise

    def place(self, points: Points, side: int = 1) -> Path:
        """Put points on the picture, mirrored if `side` is -1."""
        cos, sin = math.cos(math.radians(self.tilt)), math.sin(math.radians(self.tilt))
        shape = np.asarray(points, dtype=np.float64) * (side * self.size, self.size)
        return shape @ np.array([[cos, sin], [-sin, cos]]) + (self.x, self.y)

    def shape(self, points: Points, side: int = 1, samples: int = 4) -> Path:
        """Run a smooth closed outline through points."""
        return smooth(self.place(points, side), samples, closed=True)

    def whole(self, half: Points, samples: int = 4) -> Path:
        """Run a smooth closed outline through points and their mirror images."""
        both = np.concatenate([self.place(half), self.place(half, -1)[::-1]])
        return smooth(both, samples, closed=True)

    def line(self, points: Points, side: int = 1, samples: int = 5) -> Path:
        """Run a smooth line through points."""
        return smooth(self.place(points, side), samples)

    def across(self, half: Points, samples: int = 3) -> Path:
        """Run a smooth line from the mirror image of a right half to that half."""
        both = np.concatenate([self.place(half, -1)[:0:-1], self.place(half)])
        return smooth(both, samples)


def piece(canvas: Canvas, path: Path, tones: Tones, colour: RGB | None = None) -> None:
    """Fill and outline a closed path."""
    canvas.fill(path, colour or tones.base)
    canvas.outline(path, LINE, tones.line)


def pair(
    canvas: Canvas, frame: Frame, half: Path, tones: Tones, light_side: int, below: Tones
) -> None:
    """Draw a piece and its mirror image, the lit one on top, with shadows on what is `below`."""
    for side in (-light_side, light_side):
        path = frame.place(half, side)
        canvas.fill(moved(path, -0.005 * light_side, 0.010), below.shade)
        piece(canvas, path, tones, turned_away(tones, side, light_side))


def turned_away(tones: Tones, side: int, light_side: int) -> RGB:
    """Give the colour of one of two mirrored pieces: darker away from the light."""
    return tones.base if side == light_side else mix(tones.base, tones.shade, 0.6)


def crown(figure: Figure) -> Frame:
    """Give the place of headwear: y = 0 is the top of the hair, x = 1 its side above the ears."""
    return Frame(0.0, figure.body.crown_y, figure.body.hair_half)
