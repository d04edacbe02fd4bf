"""Pieces of cloth: closed shapes with an outline, a cel shadow and folds, in any place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data.faces.canvas import Canvas
from data.faces.colour import RGB, Tones, mix
from data.faces.curves import Path, smooth

LINE = 0.0052  # of outlines
FOLD = 0.0038  # of inner lines
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Frame:
    """Where a thing lies that is given in units of its own, y downwards."""

    x: float
    y: float
    size: float = 1.0  # of one unit, in picture units
    tilt: float = 0.0  # degrees, clockwise

    def place(self, points: Points | Path, side: int = 1) -> Path:
        """Put points on the picture, mirrored if `side` is -1."""
        cos, sin = math.cos(math.radians(self.tilt)), math.sin(math.radians(self.tilt))
        shape = np.asarray(points, dtype=np.float64) * (side * self.size, self.size)
        return shape @ np.array([[cos, sin], [-sin, cos]]) + (self.x, self.y)

    def shape(self, points: Points, side: int = 1, samples: int = 4) -> Path:
        """Run a smooth closed outline through points."""
        return smooth(self.place(points, side), samples, closed=True)

    def line(self, points: Points, side: int = 1, samples: int = 5) -> Path:
        """Run a smooth line through points."""
        return smooth(self.place(points, side), samples)


HERE = Frame(0.0, 0.0)  # points that are in picture units already


def piece(canvas: Canvas, path: Path, tones: Tones, colour: RGB | None = None) -> None:
    """Fill and outline a closed path."""
    canvas.fill(path, colour or tones.base)
    canvas.outline(path, LINE, tones.line)


def turned_away(tones: Tones, side: int, light_side: int) -> RGB:
    """Give the colour of one of two mirrored pieces: darker away from the light."""
    return tones.base if side == light_side else mix(tones.base, tones.shade, 0.6)
