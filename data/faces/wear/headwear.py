"""What is worn on the head, or grows there: in units of `crown`."""

from __future__ import annotations

import numpy as np

from data.faces.canvas import Canvas
from data.faces.curves import Path, ellipse, moved
from data.faces.figure import Figure
from data.faces.hair.front import dome
from data.faces.wear import hats
from data.faces.wear.cloth import FOLD, LINE, crown
from data.faces.wear.ears import draw_cat_ears, draw_horns, draw_rabbit_ears


def draw_headwear_below(canvas: Canvas, figure: Figure) -> None:
    """Draw what the cap of hair covers at its base: animal ears and horns."""
    if figure.face.headwear in _BELOW:
        _BELOW[figure.face.headwear](canvas, figure)


def draw_headwear(canvas: Canvas, figure: Figure) -> None:
    """Draw what lies on the hair: hats, a headband, headphones."""
    if figure.face.headwear in _ABOVE:
        _ABOVE[figure.face.headwear](canvas, figure)


def _arc(figure: Figure, rise: float, reach: float, degrees: float) -> Path:
    """Run over the head from side to side, `rise` above its middle and `reach` to the sides."""
    angle = np.radians(np.linspace(-degrees, degrees, 21))
    half = np.stack([reach * np.sin(angle), 1.09 - rise * np.cos(angle)], axis=1)
    return crown(figure).place(half)


def _draw_headband(canvas: Canvas, figure: Figure) -> None:
    tones, light = figure.paint.accent, figure.face.light_side
    arc = _arc(figure, 0.84, 1.0, 98)
    away, lit = (slice(0, 8), slice(10, 17)) if light > 0 else (slice(13, 21), slice(4, 11))
    with canvas.inside(dome(figure)):
        canvas.stroke(moved(arc, 0.0, 0.020), 0.050, figure.paint.hair.shade, 0.0, 0.0)
        canvas.stroke(arc, 0.050 + 2 * LINE, tones.line, 0.1, 0.1)
        canvas.stroke(arc, 0.050, tones.base, 0.0, 0.0)
        canvas.stroke(arc[away], 0.044, tones.shade, 0.0, 0.0)
        canvas.stroke(moved(arc[lit], 0.0, -0.009), 0.010, tones.light, 0.1, 0.1)


def _draw_headphones(canvas: Canvas, figure: Figure) -> None:
    tones, light = figure.paint.accent, figure.face.light_side
    arc = _arc(figure, 1.13, 1.04, 104)
    canvas.stroke(arc, 0.040 + 2 * LINE, tones.line, 1, 1)
    canvas.stroke(arc, 0.040, tones.base, 1, 1)
    canvas.stroke(moved(arc[7:14], 0.0, -0.008), 0.010, tones.light, 0.1, 0.1)
    with figure.on(canvas, "ears"):
        for side in (-light, light):
            _draw_cup(canvas, figure, side)


def _draw_cup(canvas: Canvas, figure: Figure, side: int) -> None:
    """Draw one ear cup; the nearer one is seen more from its side."""
    tones, body = figure.paint.accent, figure.body
    wide = 0.052 * (1 - side * figure.face.turn / 45)
    x, y = side * (body.hair_half - 0.012), body.ear_y
    for reach, tone in ((1.0, tones.shade), (0.86, tones.base), (0.5, tones.light)):
        cup = ellipse(x + side * 0.55 * wide * (1 - reach), y, wide * reach, 0.088 * reach, 20)
        canvas.fill(cup, tone)
        canvas.outline(cup, LINE if reach == 1 else FOLD, tones.line)


_BELOW = {"cat_ears": draw_cat_ears, "rabbit_ears": draw_rabbit_ears, "horns": draw_horns}
_ABOVE = {
    "headband": _draw_headband,
    "headphones": _draw_headphones,
    "beret": hats.draw_beret,
    "cap": hats.draw_cap,
    "straw_hat": hats.draw_straw_hat,
    "witch_hat": hats.draw_witch_hat,
}
