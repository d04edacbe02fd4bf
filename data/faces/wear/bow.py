"""A tied bow: two loops, a knot and two tails."""

from __future__ import annotations

from data.faces.canvas import Canvas
from data.faces.colour import Tones
from data.faces.wear.cloth import FOLD, LINE, Frame, piece, turned_away

# The right half, in units of the bow's half width.
_LOOP = [(0.06, -0.10), (0.46, -0.44), (0.90, -0.50), (1.0, -0.08), (0.90, 0.36), (0.44, 0.24)]
_LOOP_SHADE = [(0.06, -0.02), (0.40, 0.02), (0.78, 0.12), (0.97, 0.08), (0.88, 0.33), (0.44, 0.22)]
_LOOP_FOLDS = ([(0.14, -0.06), (0.36, -0.16), (0.58, -0.24)], [(0.14, 0.05), (0.34, 0.08)])
_TAIL = [(-0.06, 0.04), (0.14, 0.04), (0.50, 0.50), (0.72, 1.02), (0.46, 0.90), (0.28, 1.08)]
_TAIL_SHADE = [(0.02, 0.10), (0.14, 0.08), (0.36, 0.36), (0.26, 0.42)]
_KNOT = [(-0.15, -0.15), (0.15, -0.15), (0.18, 0.0), (0.14, 0.17), (-0.14, 0.17), (-0.18, 0.0)]
_KNOT_SHADE = [(-0.14, 0.06), (0.0, 0.10), (0.14, 0.06), (0.12, 0.15), (-0.12, 0.15)]


def draw_bow(
    canvas: Canvas,
    x: float,
    y: float,
    reach: float,
    tones: Tones,
    light_side: int,
    tilt: float = 0.0,
    tails: float = 1.0,
) -> None:
    """Tie a bow of half width `reach` around its knot at (x, y).

    `tilt` turns it by degrees, clockwise; `tails` is the length of its tails, 0 for none.
    """
    frame = Frame(x, y, reach, tilt)
    for side in (-1, 1) if tails else ():
        tail = frame.place([(u, v * tails) for u, v in _TAIL], side)
        piece(canvas, tail, tones, turned_away(tones, side, light_side))
        canvas.fill(frame.place(_TAIL_SHADE, side), tones.shade)
    for side in (-light_side, light_side):
        _draw_loop(canvas, frame, side, tones)
    knot = frame.shape(_KNOT, samples=3)
    piece(canvas, knot, tones, tones.light)
    canvas.fill(frame.shape(_KNOT_SHADE, samples=3), tones.shade)


def _draw_loop(canvas: Canvas, frame: Frame, side: int, tones: Tones) -> None:
    loop = frame.shape(_LOOP, side)
    canvas.fill(loop, tones.base)
    canvas.fill(frame.shape(_LOOP_SHADE, side, 3), tones.shade)
    for fold in _LOOP_FOLDS:
        canvas.stroke(frame.line(fold, side, 3), FOLD, tones.line, 1, 0.2)
    canvas.outline(loop, LINE, tones.line)
