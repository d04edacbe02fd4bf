"""What is worn on great days: dress, kimono, armour, cloak. Places are in units of `collar`."""

from __future__ import annotations

import numpy as np

from data.faces.canvas import Canvas
from data.faces.curves import ellipse, moved, ribbon, smooth
from data.faces.figure import Figure
from data.faces.wear.cloth import FOLD, LINE, Frame, pair, piece, turned_away
from data.faces.wear.torso import FRONT, ROUND, collar, torso

_NECKLINE = [(0.0, 0.80), (1.2, 0.74), (2.4, 0.62), (3.2, 0.50)]
_CHOKER = [(-0.99, -0.40), (-0.5, -0.24), (0.0, -0.20), (0.5, -0.24), (0.99, -0.40)]
_CROSSING = [(1.20, -0.66), (1.06, -0.20), (0.50, 0.42), (-0.7, 1.7)]
_OVERLAP = [(0.10, 0.80), (0.50, 0.62), (1.7, 1.7), (-0.7, 1.7)]
_GORGET = [(0.5, -0.26), (1.14, -0.50), (1.40, 0.0), (1.62, 0.40), (0.8, 0.80)]
_GORGET_SHADE = [
    (0.62, -0.22), (1.12, -0.46), (1.38, 0.02), (1.58, 0.38), (0.95, 0.66), (0.86, 0.2),
]  # fmt: skip
_GORGET_TRIM = [(-1.56, 0.36), (-0.8, 0.66), (0.0, 0.75), (0.8, 0.66), (1.56, 0.36)]
# In units of half the width of the shoulders.
_PAULDRON = [
    (0.40, 0.13), (0.52, 0.04), (0.72, 0.03), (0.96, 0.10), (1.12, 0.26), (1.14, 0.55),
    (0.66, 0.55), (0.48, 0.32),
]  # fmt: skip
_PAULDRON_TRIM = [(0.45, 0.13), (0.54, 0.30), (0.71, 0.55)]
_PAULDRON_LIGHT = [(0.60, 0.11), (0.74, 0.09), (0.90, 0.15)]
_CLOAK = smooth(
    [
        (1.10, -0.74), (1.62, -0.98), (2.06, -0.62), (2.00, 0.10), (1.50, 0.70), (1.05, 1.3),
        (0.9, 2.4), (0.30, 2.4), (0.16, 1.0), (0.10, 0.44), (0.70, 0.16), (1.02, -0.20),
    ], 3, closed=True,
)  # fmt: skip
_CLOAK_TRIM = [(0.98, 0.02), (0.50, 0.42), (0.34, 1.0), (0.48, 2.4)]


def draw_dress(canvas: Canvas, figure: Figure) -> None:
    """Draw a dress that leaves the shoulders bare, its lace, and a choker."""
    paint, at = figure.paint, collar(figure)
    with torso(canvas, figure, paint.cloth, _NECKLINE):
        pass
    edge = at.across(_NECKLINE, 5)
    scallops = np.abs(np.sin(np.linspace(0, 7 * np.pi, len(edge))))
    lower = edge + np.stack([0 * scallops, 0.016 + 0.012 * scallops], axis=1)
    piece(canvas, np.concatenate([moved(edge, 0.0, -0.006), lower[::-1]]), paint.white)
    choker = at.line(_CHOKER)
    canvas.stroke(choker, 0.024, paint.accent.line, 1, 1)
    canvas.band(choker, 0.015, paint.accent.base)


def draw_kimono(canvas: Canvas, figure: Figure) -> None:
    """Draw crossed collars over white ones, the wearer's left on top."""
    paint, at, light = figure.paint, collar(figure), figure.face.light_side
    with torso(canvas, figure, paint.cloth, [(0, 0.7), (0.5, 0.34), (1.04, -0.44)], is_round=False):
        pass
    for side in (-1, 1):
        for shift, tones in ((-0.16, paint.white), (0.02, paint.second)):
            path = at.line(moved(np.array(_CROSSING), shift, 0.6 * shift), side, 4)
            piece(canvas, ribbon(path, 0.36 * at.size), tones, turned_away(tones, side, light))
        if side < 0:
            canvas.fill(at.place(_OVERLAP), paint.cloth.base)


def draw_armour(canvas: Canvas, figure: Figure) -> None:
    """Draw a gorget over a breastplate, and pauldrons."""
    paint, at, light = figure.paint, collar(figure), figure.face.light_side
    with torso(canvas, figure, paint.metal, ROUND):
        canvas.stroke(at.place([(0.0, 0.7), (0.0, 2.4)]), FOLD, paint.metal.line, 1, 1)
    for side in (-light, light):
        _draw_pauldron(canvas, figure, side)
    gorget = at.whole(_GORGET)
    canvas.fill(gorget, paint.metal.base)
    canvas.fill(at.shape(_GORGET_SHADE, -light, 3), paint.metal.shade)
    canvas.stroke(at.line([(0.7, -0.1), (0.84, 0.2), (0.9, 0.5)], light), 0.012, paint.metal.gleam)
    canvas.stroke(at.line(_GORGET_TRIM), 0.017, paint.accent.base, 1, 1)
    canvas.outline(gorget, LINE, paint.metal.line)


def _draw_pauldron(canvas: Canvas, figure: Figure, side: int) -> None:
    paint, light = figure.paint, figure.face.light_side
    at = Frame(0.0, collar(figure).y, figure.body.shoulder_half)
    plate = at.shape(_PAULDRON, side)
    canvas.fill(plate, turned_away(paint.metal, side, light))
    canvas.stroke(at.line(_PAULDRON_TRIM, side), 0.020, paint.accent.base, 1, 1)
    if side == light:
        canvas.stroke(at.line(_PAULDRON_LIGHT, side), 0.014, paint.metal.gleam, 0.1, 0.1)
    canvas.outline(plate, LINE * 1.2, paint.metal.line)


def draw_cloak(canvas: Canvas, figure: Figure) -> None:
    """Draw a cloak held by a clasp over a tunic."""
    paint, at, light = figure.paint, collar(figure), figure.face.light_side
    with torso(canvas, figure, paint.cloth, ROUND):
        canvas.fill(at.place(FRONT), paint.second.shade)
    pair(canvas, at, _CLOAK, paint.cloth, light, below=paint.cloth)
    for side in (-1, 1):
        canvas.stroke(at.line(_CLOAK_TRIM, side, 4), 0.011, paint.accent.base, 1, 1)
    x, y = at.x, at.y + 0.52 * at.size
    piece(canvas, ellipse(x, y, 0.34 * at.size, 0.30 * at.size, 16), paint.metal)
    piece(canvas, ellipse(x, y, 0.20 * at.size, 0.17 * at.size, 12), paint.accent)
