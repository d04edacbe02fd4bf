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
        out = (path - self._middle) / self._radii
        out *= out
        height = 1 - out[:, 0] - out[:, 1]
        np.sqrt(np.maximum(height, 0, out=height), out=height)
        height *= self.depth
        height += self.rim
        return height

    @cached_property
    def _middle(self) -> NDArray[np.float64]:
        return np.array([0.0, self.middle_y])

    @cached_property
    def _radii(self) -> NDArray[np.float64]:
        return np.array([self.half_width, self.half_height])


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
        placed = path @ self._matrix
        placed += self._shift
        if self.turn:
            placed += self.dome.depth_at(path)[:, None] * self._sideways
        return placed

    @cached_property
    def _tilted(self) -> NDArray[np.float64]:
        cos, sin = (f(math.radians(self.tilt)) * self.scale for f in (math.cos, math.sin))
        return np.array([[cos, sin], [-sin, cos]])

    @cached_property
    def _matrix(self) -> NDArray[np.float64]:
        return np.diag([math.cos(math.radians(self.turn)), 1.0]) @ self._tilted

    @cached_property
    def _sideways(self) -> NDArray[np.float64]:
        """Where a point goes by the turn for each unit of its depth."""
        return math.sin(math.radians(self.turn)) * self._tilted[0]

    @cached_property
    def _shift(self) -> NDArray[np.float64]:
        return _PIVOT - _PIVOT @ self._tilted + (self.dx, self.dy)
