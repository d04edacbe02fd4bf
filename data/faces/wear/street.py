"""What is worn in town: hoodie, sweater, jacket, T-shirt. Places are in units of `collar`."""

from __future__ import annotations

import numpy as np

from data.faces.canvas import Canvas
from data.faces.colour import Tones
from data.faces.curves import Path, ribbon, smooth
from data.faces.figure import Figure
from data.faces.wear.cloth import FOLD, LINE, Frame, pair, piece, turned_away
from data.faces.wear.torso import FRONT, ROUND, collar, torso

_HOOD = smooth([
    (1.08, -0.78), (1.62, -0.72), (2.30, -0.20), (2.48, 0.26), (1.95, 0.72), (1.0, 1.04),
    (0.0, 1.30), (0.0, 0.92), (0.66, 0.46), (1.02, -0.10),
], 3, closed=True)  # fmt: skip
_CORD = [(0.46, 0.92), (0.56, 1.2), (0.52, 1.9)]
_STRIPE = [(-9.0, 0.80), (-1.4, 0.92), (1.4, 0.92), (9.0, 0.80)]
_TURTLENECK = [(0.5, -0.36), (1.10, -0.60), (1.24, -0.16), (1.20, 0.18), (0.6, 0.42)]
_JACKET = np.array([
    (1.08, -0.86), (1.50, -0.78), (1.86, 0.0), (1.60, 0.62), (1.15, 1.0), (0.8, 2.3),
    (0.40, 2.4), (0.55, 1.0), (0.98, 0.1),
])  # fmt: skip
_ZIP = [(1.06, -0.6), (1.02, 0.1), (0.64, 1.0), (0.50, 2.3)]
_SLEEVE = [(1.0, -0.4), (1.5, 0.3), (2.5, 1.0), (3.2, 2.2), (9.0, 2.2), (9.0, -1.0)]


def draw_hoodie(canvas: Canvas, figure: Figure) -> None:
    """Draw a hoodie with the front of its hood and its cords."""
    paint, at, light = figure.paint, collar(figure), figure.face.light_side
    with torso(canvas, figure, paint.cloth, [(0, 1.0), (0.66, 0.46), (1.04, -0.5)]):
        pair(canvas, at, _HOOD, paint.cloth, light, below=paint.cloth)
    for side in (-1, 1):
        _draw_cord(canvas, at, side, paint.second)


def _draw_cord(canvas: Canvas, at: Frame, side: int, tones: Tones) -> None:
    cord = at.line(_CORD, side)
    canvas.stroke(cord, 0.019, tones.line, 1, 1)
    canvas.band(cord, 0.011, tones.base)


def draw_sweater(canvas: Canvas, figure: Figure) -> None:
    """Draw a sweater with a turtleneck or with a round neck."""
    paint, at = figure.paint, collar(figure)
    with torso(canvas, figure, paint.cloth, ROUND):
        pass
    if figure.face.hair_seed % 2:
        _draw_band(canvas, at.across(ROUND), 0.30 * at.size, paint.cloth)
        return
    piece(canvas, at.whole(_TURTLENECK), paint.cloth, paint.cloth.light)
    for x in (-0.8, -0.4, 0.0, 0.4, 0.8):
        y = 0.30 - 0.22 * x * x
        rib = at.place([(x, y - 0.42), (x * 1.06, y)])
        canvas.stroke(rib, FOLD, paint.cloth.shade, 0.8, 0.8)


def _draw_band(canvas: Canvas, path: Path, width: float, tones: Tones) -> None:
    """Edge a neckline with a band of its own."""
    canvas.stroke(path, width + 2 * LINE, tones.line, 1, 1)
    canvas.band(path, width, tones.base)


def draw_jacket(canvas: Canvas, figure: Figure) -> None:
    """Draw an open jacket with a stand-up collar over a T-shirt."""
    paint, at, light = figure.paint, collar(figure), figure.face.light_side
    with torso(canvas, figure, paint.cloth, ROUND):
        canvas.fill(at.place(FRONT), paint.white.base)
    _draw_band(canvas, at.across(ROUND), 0.20 * at.size, paint.white)
    pair(canvas, at, _JACKET, paint.cloth, light, below=paint.cloth)
    for side in (-1, 1):
        canvas.stroke(at.line(_ZIP, side, 3), 0.010, paint.metal.base, 1, 1)


def draw_t_shirt(canvas: Canvas, figure: Figure) -> None:
    """Draw a T-shirt: striped, or with sleeves of another colour."""
    paint, at = figure.paint, collar(figure)
    with torso(canvas, figure, paint.cloth, ROUND):
        if figure.face.hair_seed % 2:
            piece(canvas, ribbon(at.line(_STRIPE), 0.36 * at.size), paint.second)
        else:
            _draw_sleeves(canvas, figure, at)
    _draw_band(canvas, at.across(ROUND), 0.22 * at.size, paint.second)


def _draw_sleeves(canvas: Canvas, figure: Figure, at: Frame) -> None:
    tones, light = figure.paint.second, figure.face.light_side
    for side in (-1, 1):
        sleeve = at.place(_SLEEVE, side)
        piece(canvas, sleeve, tones, turned_away(tones, side, light))
