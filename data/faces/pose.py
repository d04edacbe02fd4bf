"""From an upright head that looks straight ahead to the picture: turn, tilt, size and place."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from data.faces.curves import Path

_PIVOT = np.array([0.0, 0.60])  # the head tilts and grows about this point of the picture


@dataclass(frozen=True)
class Dome:
    """How far a layer stands out towards the viewer: half an ellipsoid, in picture units."""

    half_width: float
    half_height: float
    middle_y: float
    depth: float  # of its middle, before its rim
    rim: float = 0.0  # of its rim and beyond, before the axis on which the head turns

    def depth_at(self, path: Path) -> NDArray[np.float64]:
        """Give the depth [n] at the points of a path [n, 2]."""
        if not self.depth:
            return np.full(len(path), self.rim)
        out = (path - (0.0, self.middle_y)) / (self.half_width, self.half_height)
        out *= out
        return self.rim + self.depth * np.sqrt(np.maximum(1 - out[:, 0] - out[:, 1], 0))


def flat(depth: float) -> Dome:
    """Give a layer of one depth, such as hair behind the head (negative)."""
    return Dome(1.0, 1.0, 0.0, 0.0, depth)


@dataclass(frozen=True)
class Pose:
    """Where a layer of the picture goes; the same head, seen turned by `turn` degrees."""

    turn: float = 0.0  # degrees, positive to the right of the picture
    tilt: float = 0.0  # degrees
    scale: float = 1.0
    dx: float = 0.0  # picture units
    dy: float = 0.0
    dome: Dome = Dome(1.0, 1.0, 0.0, 0.0)

    def place(self, path: Path) -> Path:
        """Project a path [n, 2] of the upright head onto the picture."""
        placed = np.array(path, dtype=np.float64)
        if self.turn:
            angle = math.radians(self.turn)
            placed[:, 0] *= math.cos(angle)
            placed[:, 0] += self.dome.depth_at(path) * math.sin(angle)
        return placed @ self._matrix + self._shift

    @cached_property
    def _matrix(self) -> NDArray[np.float64]:
        cos, sin = (f(math.radians(self.tilt)) * self.scale for f in (math.cos, math.sin))
        return np.array([[cos, sin], [-sin, cos]])

    @cached_property
    def _shift(self) -> NDArray[np.float64]:
        return _PIVOT - _PIVOT @ self._matrix + (self.dx, self.dy)
