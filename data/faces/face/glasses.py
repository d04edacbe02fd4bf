"""Glasses: frames before eyes and hair, arms below the hair."""

from __future__ import annotations

import numpy as np

from data.faces.canvas import Canvas
from data.faces.colour import RGB
from data.faces.curves import Path, bezier, smooth
from data.faces.figure import Figure

# Right lens of each kind: u outwards, v upwards, in half sizes.
_LENSES = {
    "round": [(0.0, 1.0), (0.71, 0.71), (1.0, 0.0), (0.71, -0.71), (0.0, -1.0), (-0.71, -0.71),
              (-1.0, 0.0), (-0.71, 0.71)],
    "square": [(0.0, 0.92), (0.80, 0.90), (1.0, 0.72), (0.98, -0.40), (0.74, -0.86), (0.0, -0.92),
               (-0.74, -0.86), (-0.96, -0.40), (-0.98, 0.68), (-0.80, 0.88)],
    "half_rim": [(0.0, 0.78), (0.80, 0.84), (1.04, 0.76), (0.96, -0.30), (0.60, -0.78),
                 (0.0, -0.88), (-0.64, -0.78), (-0.94, -0.30), (-0.98, 0.56), (-0.80, 0.74)],
}  # fmt: skip


def draw_arms(canvas: Canvas, figure: Figure) -> None:
    """Draw what of a pair of glasses runs to the ears, below the hair."""
    if figure.face.glasses == "none":
        return
    body = figure.body
    for side in (-1, 1):
        x, y = side * (body.eye_x + 0.086), body.eye_y - 0.036
        ear = side * (body.cheek_half + 0.004), body.ear_y - 0.052
        canvas.stroke(np.array([(x, y), ear]), 0.0105, _ink(figure), 1.0, 1.0)


def draw_glasses(canvas: Canvas, figure: Figure) -> None:
    """Draw the lenses with their frames."""
    kind = figure.face.glasses
    if kind == "none":
        return
    body, ink = figure.body, _ink(figure)
    for side in (-1, 1):
        lens = _lens(figure, side)
        _draw_glass(canvas, figure, lens)
        if kind == "half_rim":
            upper = np.concatenate([lens[-14:], lens[:16]])
            canvas.stroke(upper, 0.0135, ink, 0.25, 0.25)
        else:
            canvas.outline(lens, 0.0092, ink)
    inner, y = body.eye_x - _half_width(figure), body.eye_y - 0.020
    bridge = bezier((-inner - 0.002, y), (0.0, y - 0.020), (inner + 0.002, y), samples=9)
    canvas.stroke(bridge, 0.0105, ink, 1.0, 1.0)


def _ink(figure: Figure) -> RGB:
    tones = figure.paint.metal if figure.face.glasses == "round" else figure.paint.accent
    return tones.line


def _half_width(figure: Figure) -> float:
    return min(0.102, figure.body.eye_x - 0.030)


def _lens(figure: Figure, side: int) -> Path:
    body = figure.body
    wide = _half_width(figure)
    tall = {"round": 0.100, "square": 0.084, "half_rim": 0.080}[figure.face.glasses]
    x, y = body.eye_x, body.eye_y + 0.008
    knots = [(side * (x + u * wide), y - v * tall) for u, v in _LENSES[figure.face.glasses]]
    return smooth(knots, 4, closed=True)


def _draw_glass(canvas: Canvas, figure: Figure, lens: Path) -> None:
    """Tint the lens a little and let it reflect the light in one slanted streak."""
    gleam = figure.paint.metal.gleam
    canvas.fill(lens, gleam, 0.05)
    middle, half = lens.mean(axis=0), np.ptp(lens, axis=0) / 2
    to = figure.face.light_side
    streak = np.array([(0.20, -0.84), (0.52, -0.78), (-0.20, 0.80), (-0.50, 0.74)]) * half
    canvas.fill(middle + streak * (to, 1.0) + (0.30 * to * half[0], 0.0), gleam, 0.17)
