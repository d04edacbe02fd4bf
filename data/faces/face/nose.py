"""The nose: a tick and its shadow, with a hint of the bridge on men's turned heads."""

from __future__ import annotations

import numpy as np

from data.faces.canvas import Canvas
from data.faces.curves import Path, bezier, ellipse, smooth
from data.faces.face.mood import is_grown_man
from data.faces.figure import Figure


def draw_nose(canvas: Canvas, figure: Figure) -> None:
    """Draw the nose; it stands out before the face and so moves further when the head turns."""
    face, body, skin = figure.face, figure.body, figure.paint.skin
    x, y, away = 0.0010 * face.turn, body.nose_y, -face.light_side
    is_grown = face.age in ("adult", "elder") or is_grown_man(face)
    size = 1.25 if is_grown else 1.0
    to = (1 if face.turn > 0 else -1) if abs(face.turn) > 3 else away

    def at(side: int, *points: tuple[float, float]) -> Path:
        return np.array([(x + side * u * size, y + v * size) for u, v in points])

    shadow = at(away, (0.002, -0.016), (0.012, 0.001), (0.006, 0.009), (-0.004, 0.005))
    canvas.fill(smooth(shadow, 4, closed=True), skin.shade)
    canvas.fill(ellipse(x - away * 0.004, y - 0.011 * size, 0.0045, 0.0055, 8), skin.gleam)
    tick = bezier(*at(to, (0.004, -0.007), (0.011, 0.0), (-0.005, 0.007)), samples=9)
    canvas.stroke(tick, 0.0062, skin.line, 0.1, 0.35)
    if is_grown_man(face) and abs(face.turn) > 7:
        height = y - body.eye_y
        ridge = at(to, (0.014, -0.8 * height), (0.0, -0.6 * height), (0.004, -0.24 * height))
        canvas.stroke(bezier(*ridge, samples=9), 0.0042, skin.line, 0.0, 0.2)
