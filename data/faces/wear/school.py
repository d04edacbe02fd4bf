"""What is worn to school: sailor suit, blazer and shirt. Places are in units of `collar`."""

from __future__ import annotations

import numpy as np

from data.faces.canvas import Canvas
from data.faces.colour import Tones
from data.faces.figure import Figure
from data.faces.wear.bow import draw_bow
from data.faces.wear.cloth import FOLD, Frame, pair, piece
from data.faces.wear.torso import FRONT, collar, torso

_WING = np.array([(1.10, -0.64), (1.32, -0.34), (1.42, 0.10), (1.18, 0.72), (0.52, 0.52)])
_CLOSED = np.concatenate([_WING, [(0.02, 0.26), (0.50, 0.06), (0.88, -0.26)]])
_OPEN = np.concatenate([_WING, [(0.16, 0.80), (0.50, 0.26), (0.88, -0.20)]])
_SAILOR = np.array(
    [(1.06, -0.58), (1.5, -0.14), (2.7, 0.30), (2.74, 0.7), (2.1, 1.7), (0.3, 2.0), (0, 0.94)]
)
_SAILOR_STRIPE = [(2.08, -0.10), (2.22, 0.5), (1.66, 1.32), (0.7, 2.0)]
_LAPEL = np.array([
    (1.16, -0.52), (1.72, -0.10), (2.04, 0.40), (1.66, 0.46), (2.16, 0.76), (1.4, 2.2),
    (0.6, 2.4), (0.92, 0.7), (1.06, 0.0),
])  # fmt: skip
_PIPING = [(2.00, 0.80), (1.70, 1.30), (1.25, 2.2)]
_KNOT = [(-0.30, 0.34), (0.30, 0.34), (0.19, 0.74), (-0.19, 0.74)]
_TIE = [(-0.17, 0.70), (0.17, 0.70), (0.42, 2.4), (-0.42, 2.4)]
_TIE_SHADE = [(-0.17, 0.76), (0.17, 0.76), (0.22, 1.0), (-0.20, 0.90)]


def draw_sailor(canvas: Canvas, figure: Figure) -> None:
    """Draw a blouse with a square collar, its stripes and a bow; in winter all in one colour."""
    paint, light, at = figure.paint, figure.face.light_side, collar(figure)
    blouse = paint.cloth if figure.face.hair_seed % 3 == 0 else paint.white
    with torso(canvas, figure, blouse, [(0, 0.94), (0.5, 0.45), (1.02, -0.50)], is_round=False):
        pair(canvas, at, _SAILOR, paint.cloth, light, below=blouse)
        for side in (-1, 1):
            stripe = at.line(_SAILOR_STRIPE, side, 4)
            canvas.stroke(stripe, 0.017, paint.cloth.line, 1, 1)
            canvas.band(stripe, 0.011, paint.second.base)
    y = at.y + 0.92 * at.size
    draw_bow(canvas, at.x, y, 1.15 * at.size, paint.accent, light, tails=0)


def draw_blazer(canvas: Canvas, figure: Figure) -> None:
    """Draw a jacket with lapels over a shirt with a tie or a bow."""
    paint, face, at = figure.paint, figure.face, collar(figure)
    with torso(canvas, figure, paint.cloth, [(0, 0.30), (0.6, 0.05), (1.04, -0.5)]):
        canvas.fill(at.place(FRONT), paint.white.base)
        pair(canvas, at, _LAPEL, paint.cloth, face.light_side, below=paint.cloth)
        for side in (-1, 1):
            canvas.stroke(at.line(_PIPING, side, 3), 0.0075, paint.second.base, 1, 1)
    is_girl = face.gender == "woman" and face.hair_seed % 2
    if not is_girl:
        _draw_tie(canvas, at, paint.accent)
    pair(canvas, at, _CLOSED, paint.white, face.light_side, below=paint.white)
    if is_girl:
        y = at.y + 0.56 * at.size
        draw_bow(canvas, at.x, y, 0.92 * at.size, paint.accent, face.light_side, tails=0.8)


def draw_shirt(canvas: Canvas, figure: Figure) -> None:
    """Draw an open shirt, or one with a loose tie."""
    paint, at, light = figure.paint, collar(figure), figure.face.light_side
    tones = paint.cloth
    with torso(canvas, figure, tones, [(0, 0.94), (0.5, 0.40), (1.02, -0.5)], is_round=False):
        for x in (-0.22, 0.22):
            canvas.stroke(at.place([(x, 0.8), (x, 2.4)]), FOLD, tones.line, 1, 1)
    if figure.face.hair_seed % 2:
        _draw_tie(canvas, Frame(at.x, at.y + 0.30 * at.size, at.size), paint.accent)
    pair(canvas, at, _OPEN, tones, light, below=tones)


def _draw_tie(canvas: Canvas, at: Frame, tones: Tones) -> None:
    piece(canvas, at.place(_TIE), tones)
    canvas.fill(at.place(_TIE_SHADE), tones.shade)
    piece(canvas, at.place(_KNOT), tones, tones.light)
