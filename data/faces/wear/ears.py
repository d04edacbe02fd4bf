"""Ears of cats and rabbits, and horns: in units of `crown`, for the right side."""

from __future__ import annotations

import numpy as np

from data.faces.canvas import Canvas
from data.faces.colour import Tones, mix
from data.faces.curves import bezier, ribbon, smooth
from data.faces.figure import Figure
from data.faces.wear.cloth import FOLD, Frame, crown, turned_away

_OUTER = 0.0072
_CAT = np.concatenate(
    [
        bezier((0.22, 0.16), (0.50, -0.07), (0.82, -0.17), samples=8),
        bezier((0.82, -0.17), (0.98, 0.14), (0.89, 0.60), samples=8),
    ]
)
_CAT_INNER = (_CAT - (0.64, 0.30)) * 0.70 + (0.66, 0.32)
_TUFT = [(0.30, 0.40), (0.42, 0.06), (0.50, 0.24), (0.62, 0.02), (0.66, 0.26), (0.80, 0.50)]
_RABBIT = smooth(
    [(0.36, 0.28), (0.54, 0.06), (0.80, 0.0), (1.02, 0.16), (1.11, 0.52), (1.09, 1.02)], 5
)
_RABBIT_WIDTHS = (0.20, 0.27, 0.30, 0.35, 0.38, 0.04)
_HORN = smooth([(0.56, 0.26), (0.82, 0.04), (1.04, 0.02), (1.16, -0.08), (1.16, -0.20)], 4)
_HORN_WIDTHS = (0.24, 0.20, 0.15, 0.09, 0.01)


def draw_cat_ears(canvas: Canvas, figure: Figure) -> None:
    """Draw a cat's ears in the hair's colour."""
    hair, light, at = figure.paint.hair, figure.face.light_side, crown(figure)
    for side in (-1, 1):
        ear = at.place(_CAT, side)
        canvas.fill(ear, turned_away(hair, side, light))
        core = at.place(_CAT_INNER, side)
        canvas.fill(core, _inner(figure))
        canvas.stroke(core, FOLD, hair.line, 0.8, 0.8)
        canvas.fill(at.place(_TUFT, side), hair.light)
        canvas.stroke(ear, _OUTER, hair.line, 0.8, 0.8)


def draw_rabbit_ears(canvas: Canvas, figure: Figure) -> None:
    """Draw a rabbit's ears, which bend outwards and hang."""
    hair, light, at = figure.paint.hair, figure.face.light_side, crown(figure)
    widths = _along(_RABBIT_WIDTHS, len(_RABBIT))
    for side in (-1, 1):
        ear = at.place(ribbon(_RABBIT, widths), side)
        canvas.fill(ear, turned_away(hair, side, light))
        core = at.place(ribbon(_RABBIT[4:-1], 0.5 * widths[4:-1]), side)
        canvas.fill(core, _inner(figure))
        canvas.outline(core, FOLD, hair.line)
        canvas.outline(ear, _OUTER * 0.85, hair.line)


def draw_horns(canvas: Canvas, figure: Figure) -> None:
    """Draw a pair of curved, ringed horns."""
    paint, at = figure.paint, crown(figure)
    tones = paint.second if figure.face.hair_seed % 2 else paint.metal
    for side in (-1, 1):
        _draw_horn(canvas, at, side, tones, figure.face.light_side)


def _draw_horn(canvas: Canvas, at: Frame, side: int, tones: Tones, light: int) -> None:
    widths = _along(_HORN_WIDTHS, len(_HORN))
    horn = ribbon(_HORN, widths)
    canvas.fill(at.place(horn, side), turned_away(tones, side, light))
    below = np.concatenate([_HORN, horn[: len(_HORN)][::-1]])
    canvas.fill(at.place(below, side), tones.shade)
    for k in (4, 7, 10):
        ring = np.array([horn[k], _HORN[k + 1], horn[-1 - k]])
        canvas.stroke(at.line(ring, side, 3), FOLD, tones.line, 0.8, 0.8)
    canvas.outline(at.place(horn, side), _OUTER * 0.85, tones.line)


def _along(widths: tuple[float, ...], count: int) -> np.ndarray:
    return np.interp(np.linspace(0, 1, count), np.linspace(0, 1, len(widths)), widths)


def _inner(figure: Figure) -> tuple[int, int, int]:
    """Give the colour of the inside of an ear."""
    return mix(figure.paint.blush.base, figure.paint.hair.light, 0.4)
