"""The brows."""

from __future__ import annotations

import numpy as np

from data.faces.canvas import Canvas
from data.faces.curves import Path, bezier, ribbon
from data.faces.face.mood import MOODS, is_grown_man
from data.faces.figure import Figure

_THICKNESS = np.interp(np.linspace(0, 1, 12), [0, 0.12, 0.5, 1], [0.55, 1.0, 0.85, 0.08])


def draw_brows(canvas: Canvas, figure: Figure, opacity: float = 1.0) -> None:
    """Draw both brows, thick at the inner end; below the hair, then faintly above it."""
    face = figure.face
    thick = 0.012 + 0.008 * face.brow_weight
    thick *= 1.3 if is_grown_man(face) else 0.85 if face.age == "adult" else 1.0
    for side in (-1, 1):
        shape = ribbon(_arch(figure, side), thick * _THICKNESS)
        canvas.fill(shape, figure.paint.hair.line, opacity)


def _arch(figure: Figure, side: int) -> Path:
    face, body, mood = figure.face, figure.body, MOODS[figure.face.expression]
    tilt = 0.017 * face.brow_tilt + mood.brow_slant
    x, y = body.eye_x, body.brow_y - mood.brow_lift
    flat = 0.45 if is_grown_man(face) else 1.0
    return bezier(
        (side * (x - 0.078), y + 1.1 * tilt),
        (side * (x - 0.005), y - 0.022 * flat - 0.3 * tilt),
        (side * (x + 0.045), y - 0.018 * flat - 0.5 * tilt),
        (side * (x + 0.088), y + 0.018 - 0.7 * tilt),
    )
