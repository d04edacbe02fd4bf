"""The form of one eye: its lids, opened or closed as the mood asks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from data.faces.curves import Path, bezier, smooth
from data.faces.face.mood import MOODS, Mood
from data.faces.figure import Figure


@dataclass(frozen=True)
class Shape:
    """Knots of the lids, inner to outer corner: u grows outwards, v upwards, in half sizes."""

    tall: float  # height, relative to that of a round eye
    upper: tuple[tuple[float, float], ...]
    lower: tuple[tuple[float, float], ...]
    wing: tuple[float, float]  # where the lashes of the outer corner point


SHAPES = {
    "round": Shape(
        1.0,
        ((-0.98, -0.28), (-0.80, 0.38), (-0.32, 0.88), (0.22, 0.96), (0.70, 0.66), (0.98, -0.02)),
        ((-0.98, -0.28), (-0.66, -0.84), (-0.08, -1.0), (0.52, -0.90), (0.98, -0.02)),
        (0.26, 0.10),
    ),
    "almond": Shape(
        0.88,
        ((-1.02, -0.34), (-0.80, 0.28), (-0.30, 0.82), (0.26, 0.96), (0.72, 0.72), (1.02, 0.14)),
        ((-1.02, -0.34), (-0.62, -0.80), (-0.04, -0.98), (0.58, -0.78), (1.02, 0.14)),
        (0.28, 0.20),
    ),
    "droopy": Shape(
        0.92,
        ((-0.98, 0.0), (-0.76, 0.58), (-0.30, 0.92), (0.24, 0.82), (0.72, 0.42), (1.02, -0.28)),
        ((-0.98, 0.0), (-0.70, -0.68), (-0.10, -0.96), (0.52, -0.98), (1.02, -0.28)),
        (0.24, -0.10),
    ),
    "sharp": Shape(
        0.84,
        ((-1.04, -0.46), (-0.78, 0.16), (-0.28, 0.70), (0.28, 0.96), (0.76, 0.86), (1.04, 0.40)),
        ((-1.04, -0.46), (-0.58, -0.82), (0.02, -0.98), (0.60, -0.66), (1.04, 0.40)),
        (0.32, 0.34),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Eye:
    """One eye placed on the face."""

    side: int
    x: float
    y: float
    half_width: float
    half_height: float
    shape: Shape
    mood: Mood

    @classmethod
    def of(cls, figure: Figure, side: int) -> Eye:
        """Place the eye on one side of the picture, -1 or 1."""
        body, shape = figure.body, SHAPES[figure.face.eye_shape]
        far = max(side * figure.face.turn / 20, 0.0)  # narrower, beyond the root of the nose
        return cls(
            side,
            side * (body.eye_x - 0.007 * far),
            body.eye_y,
            body.eye_half_width * (1 - 0.05 * far),
            body.eye_half_height * shape.tall,
            shape,
            MOODS[figure.face.expression],
        )

    def at(self, u: float, v: float) -> tuple[float, float]:
        """Give a place in picture units."""
        dx, dy = self.step(u, v)
        return self.x + dx, self.y + dy

    def step(self, u: float, v: float) -> tuple[float, float]:
        """Give a distance outwards and upwards in picture units."""
        return self.side * u * self.half_width, -v * self.half_height

    @cached_property
    def upper_lid(self) -> Path:
        """Trace the edge of the upper lid from the inner to the outer corner."""
        slant, open_to = self.mood.slant, self.mood.upper

        def lowered(u: float, v: float) -> float:
            share = (0.8 - u) / 1.8 if slant > 0 else (0.9 + u) / 1.8
            return (v * open_to if v > 0 else v) - abs(slant) * max(share, 0.0)

        return smooth([self.at(u, lowered(u, v)) for u, v in self.shape.upper], 5)

    @cached_property
    def lower_lid(self) -> Path:
        """Trace the edge of the lower lid from the inner to the outer corner."""
        raised = [(u, v + self.mood.lower * (1.1 - u * u)) for u, v in self.shape.lower[1:-1]]
        inner, outer = self.upper_lid[[0, -1]].tolist()
        return smooth([inner, *[self.at(u, v) for u, v in raised], outer], 4)

    def shut_lid(self, happy: bool) -> Path:
        """Trace the closed lids."""
        if happy:
            knots = (-0.92, -0.36), (-0.45, 0.62), (0.42, 0.62), (1.0, -0.30)
        else:
            knots = (-0.94, -0.10), (-0.5, -0.72), (0.42, -0.84), (1.0, -0.16)
        return bezier(*[self.at(u, v) for u, v in knots], samples=21)

    def opening(self) -> Path:
        """Outline what is seen of the eye between its lids."""
        return np.concatenate([self.upper_lid, self.lower_lid[::-1]])
