"""What is worn on great days: dress, kimono, armour, cloak. Places are in units of `collar`."""

from __future__ import annotations

import numpy as np

from data.faces.canvas import Canvas
from data.faces.curves import ellipse, moved
from data.faces.figure import Figure
from data.faces.wear.cloth import FOLD, Frame, pair, piece, turned_away
from data.faces.wear.torso import collar, torso

_ROUND = [(0, 0.30), (0.5, 0.20), (0.88, -0.10), (1.04, -0.44)]
_BODICE = [(0.6, 0.78), (1.6, 0.62), (3.0, 0.70), (4.6, 1.0), (6.0, 2.3)]
_CHOKER = [(-0.98, -0.42), (-0.5, -0.26), (0.0, -0.22), (0.5, -0.26), (0.98, -0.42)]
_COLLARBONE = [(0.30, 0.36), (0.8, 0.26), (1.5, 0.30)]
_OVER = [
    (1.18, -0.66),
    (1.62, -0.40),
    (1.0, 0.70),
    (-0.4, 2.4),
    (-1.1, 2.4),
    (0.5, 0.40),
    (1.0, -0.2),
]
_GORGET = [(0.5, -0.30), (1.16, -0.56), (1.44, 0.10), (1.52, 0.38), (0.7, 0.74)]
_CLOAK = np.array(
    [
        (1.10, -0.80),
        (1.9, -1.0),
        (2.4, 0.1),
        (1.6, 0.6),
        (0.9, 2.3),
        (0.25, 2.3),
        (0.1, 0.5),
        (0.8, 0.1),
    ]
)


def draw_dress(canvas: Canvas, figure: Figure) -> None:
    """Draw bare shoulders, a dress with lace, and a choker."""
    paint, at, skin = figure.paint, collar(figure), figure.paint.skin
    with torso(canvas, figure, skin, [(0, -0.1), (1.0, -0.2)]):
        for side in (-1, 1):
            canvas.stroke(at.line(_COLLARBONE, side, 3), FOLD, skin.deep, 0.2, 0.2)
        bodice = at.whole(_BODICE)
        canvas.fill(bodice, paint.cloth.base)
        canvas.stroke(bodice, 0.030, paint.white.line, 1, 1)
        canvas.stroke(bodice, 0.022, paint.white.base, 1, 1)
    choker = at.line(_CHOKER)
    canvas.stroke(choker, 0.024, paint.accent.line, 1, 1)
    canvas.band(choker, 0.016, paint.accent.base)


def draw_kimono(canvas: Canvas, figure: Figure) -> None:
    """Draw crossed collars, the wearer's left one on top."""
    paint, at, light = figure.paint, collar(figure), figure.face.light_side
    with torso(canvas, figure, paint.cloth, [(0, 0.94), (0.5, 0.40), (1.02, -0.5)]):
        for side in (-1, 1):
            for shift, tones in ((-0.2, paint.white), (0.0, paint.second)):
                band = at.place(moved(np.array(_OVER), shift, 0.0), side)
                piece(canvas, band, tones, turned_away(tones, side, light))


def draw_armour(canvas: Canvas, figure: Figure) -> None:
    """Draw a gorget over a breastplate, and pauldrons."""
    paint, at, body = figure.paint, collar(figure), figure.body
    with torso(canvas, figure, paint.metal, _ROUND):
        pass
    for side in (-1, 1):
        x, y = side * 0.80 * body.shoulder_half, body.shoulder_y + 0.11
        plate = ellipse(x, y, 0.14, 0.085)
        piece(canvas, plate, paint.metal, paint.metal.light)
        canvas.outline(ellipse(x, y, 0.12, 0.066), 0.012, paint.accent.base)
    gorget = at.whole(_GORGET)
    piece(canvas, gorget, paint.metal)
    canvas.stroke(
        at.line([(-1.44, 0.30), (-0.7, 0.6), (0, 0.7), (0.7, 0.6), (1.44, 0.3)]),
        0.014,
        paint.accent.base,
        1,
        1,
    )


def draw_cloak(canvas: Canvas, figure: Figure) -> None:
    """Draw a cloak held by a clasp over a tunic."""
    paint, at, light = figure.paint, collar(figure), figure.face.light_side
    with torso(canvas, figure, paint.cloth, _ROUND):
        canvas.fill(
            at.place([(-1.2, -0.6), (1.2, -0.6), (0.7, 2.4), (-0.7, 2.4)]), paint.second.base
        )
    pair(canvas, at, _CLOAK, paint.cloth, light, below=paint.cloth)
    clasp = Frame(at.x, at.y + 0.5 * at.size, at.size)
    piece(canvas, ellipse(clasp.x, clasp.y, 0.3 * at.size, 0.26 * at.size, 16), paint.metal)
    canvas.fill(ellipse(clasp.x, clasp.y, 0.19 * at.size, 0.16 * at.size, 12), paint.accent.base)
