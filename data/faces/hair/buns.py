"""Hair wound into buns."""

from __future__ import annotations

import numpy as np

from data.faces.canvas import Canvas
from data.faces.curves import Path, ellipse, moved, smooth
from data.faces.figure import Figure

# Strands that wind round a bun, in its radii.
_WINDINGS = tuple(
    smooth(nodes, 5)
    for nodes in (
        ((-0.55, 0.75), (-0.75, 0.05), (-0.2, -0.5), (0.4, -0.25), (0.35, 0.25), (0.0, 0.3)),
        ((0.85, 0.35), (0.55, -0.55), (-0.1, -0.85)),
    )
)


def draw_buns(canvas: Canvas, figure: Figure) -> None:
    """Draw two buns on top of the head, or one behind it."""
    if _is_single(figure):
        _draw_bun(canvas, figure, np.array([0.0, 0.135]), 0.105, 1)
        return
    for side in (-1, 1):
        place = np.array([side * (figure.body.hair_half - 0.10), 0.150])
        _draw_bun(canvas, figure, place, 0.100, side)


def _is_single(figure: Figure) -> bool:
    face = figure.face
    return face.age == "elder" or (face.age == "adult" and face.hair_seed % 3 > 0)


def _draw_bun(canvas: Canvas, figure: Figure, place: Path, radius: float, side: int) -> None:
    hair, light = figure.paint.hair, figure.face.light_side
    shape = moved(_BALL * radius, *place)
    canvas.fill(shape, hair.shade)
    canvas.fill(moved(_LIT * (light * radius, radius), *place), hair.base)
    if figure.face.hair_shine > 0.15:
        canvas.fill(moved(_GLEAM * (light * radius, radius), *place), hair.light)
    for strand in _WINDINGS:
        canvas.stroke(moved(strand * (side * radius, radius), *place), 0.0042, hair.line, 0.0, 0.3)
    canvas.outline(shape, 0.0068, hair.line)


_BALL = ellipse(0.0, 0.0, 1.0, 0.92, 22)
_LIT = ellipse(0.16, -0.10, 0.84, 0.80, 18)
_GLEAM = ellipse(0.30, -0.48, 0.32, 0.16, 14)
