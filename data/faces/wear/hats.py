"""Beret, cap, straw hat and witch's hat: in units of `crown`."""

from __future__ import annotations

import numpy as np

from data.faces.canvas import Canvas
from data.faces.colour import Tones
from data.faces.curves import Path, ellipse, moved, smooth
from data.faces.figure import Figure
from data.faces.wear.cloth import FOLD, Frame, Points, crown, piece

_OUTER = 0.0070
_BRIM: Points = [(0.5, 0.26), (1.02, 0.34), (1.29, 0.50), (1.04, 0.63), (0.5, 0.71)]
_BELOW_BRIM: Points = [(0.5, 0.30), (0.97, 0.40), (0.95, 0.68), (0.5, 0.78)]
_STRAW: Points = [(0.30, -0.17), (0.66, -0.10), (0.86, 0.14), (0.92, 0.44), (0.5, 0.55)]
_STRAW_SHADE: Points = [(0.50, -0.14), (0.72, -0.03), (0.85, 0.16), (0.90, 0.42), (0.56, 0.52)]
_STRAW_LIGHT: Points = [(0.34, -0.06), (0.60, 0.02), (0.72, 0.18)]
_WEAVE: tuple[Points, ...] = (
    [(-0.74, 0.04), (-0.4, 0.12), (0.0, 0.14), (0.4, 0.12), (0.74, 0.04)],
    [(-1.12, 0.52), (-0.6, 0.635), (0.0, 0.66), (0.6, 0.635), (1.12, 0.52)],
)
_BAND_TOP: Points = [(-1.0, 0.23), (-0.5, 0.33), (0.0, 0.36), (0.5, 0.33), (1.0, 0.23)]
_BAND_END: Points = [(0.90, 0.44), (0.45, 0.57), (0.0, 0.595), (-0.45, 0.57), (-0.90, 0.44)]
_CONE: Points = [
    (-0.90, 0.44), (-0.68, 0.12), (-0.52, -0.16), (-0.28, -0.42), (0.62, -0.42), (0.60, -0.16),
    (0.76, -0.06), (0.72, 0.12), (0.90, 0.44), (0.45, 0.56), (-0.45, 0.56),
]  # fmt: skip
_CONE_SHADE: Points = [(0.42, -0.42), (0.60, -0.16), (0.74, -0.04), (0.70, 0.12), (0.88, 0.42),
                       (0.56, 0.52), (0.46, 0.10), (0.20, -0.08)]  # fmt: skip
_CREASES: tuple[Points, ...] = (
    [(0.62, -0.15), (0.36, -0.06), (0.10, -0.08)], [(0.72, 0.0), (0.50, 0.10), (0.30, 0.10)],
)  # fmt: skip
_BUCKLE: Points = [(-0.19, 0.32), (0.19, 0.32), (0.19, 0.62), (-0.19, 0.62)]
_CAP: Points = [(0.30, -0.14), (0.68, -0.02), (0.96, 0.32), (1.03, 0.74), (0.55, 0.60)]
_CAP_SHADE: Points = [(0.44, -0.10), (0.70, 0.02), (0.94, 0.33), (1.01, 0.72), (0.70, 0.62),
                      (0.72, 0.30)]  # fmt: skip
_CAP_LIGHT: Points = [(0.40, 0.04), (0.62, 0.18), (0.76, 0.40)]
_PANEL: Points = [(0.0, -0.16), (0.36, 0.10), (0.50, 0.59)]
_VISOR: Points = [(0.30, 0.58), (0.72, 0.62), (0.84, 0.74), (0.68, 0.86), (0.30, 0.94)]
_VISOR_LIGHT: Points = [(0.10, 0.66), (0.40, 0.68), (0.62, 0.71)]
_VISOR_SHADE: Points = [(0.30, 0.86), (0.62, 0.80), (0.83, 0.72), (0.67, 0.85), (0.30, 0.93)]
_BELOW_VISOR: Points = [(0.30, 0.60), (0.74, 0.66), (0.80, 0.82), (0.64, 0.92), (0.30, 1.0)]
_BELOW_CAP: Points = [(0.5, 0.5), (0.98, 0.6), (0.95, 0.79), (0.42, 0.70)]
_OPENING: Points = [(0.16, 0.30), (0.36, 0.40), (0.42, 0.60), (0.2, 0.58)]
_STRAP: Points = [(-0.48, 0.62), (-0.2, 0.60), (0.2, 0.60), (0.48, 0.62)]
_BERET: Points = [
    (-0.98, 0.48), (-1.06, 0.22), (-0.84, -0.05), (-0.24, -0.16), (0.46, -0.14), (1.06, 0.06),
    (1.24, 0.38), (1.04, 0.62), (0.50, 0.52), (0.0, 0.44), (-0.50, 0.42),
]  # fmt: skip
_BERET_SHADE: Points = [
    (-0.96, 0.44), (-0.40, 0.30), (0.30, 0.34), (0.80, 0.40), (1.21, 0.34), (1.03, 0.60),
    (0.50, 0.51), (0.0, 0.43), (-0.50, 0.41),
]  # fmt: skip
_BERET_RIM: Points = [(-0.90, 0.49), (-0.50, 0.46), (0.0, 0.48), (0.50, 0.56), (0.93, 0.65)]


def draw_straw_hat(canvas: Canvas, figure: Figure) -> None:
    """Draw a straw hat with a ribbon around it."""
    straw, at = figure.paint.second, crown(figure)
    _draw_brim(canvas, figure, straw)
    canvas.fill(at.whole(_STRAW), straw.base)
    canvas.fill(at.shape(_STRAW_SHADE, -figure.face.light_side), straw.shade)
    canvas.stroke(at.line(_STRAW_LIGHT, figure.face.light_side), 0.020, straw.light, 0.0, 0.0)
    for line in _WEAVE:
        canvas.stroke(at.line(line, samples=3), FOLD, straw.shade, 0.4, 0.4)
    _draw_hat_band(canvas, at, 0.875, figure.paint.accent)
    canvas.outline(at.whole(_STRAW), _OUTER, straw.line)


def draw_witch_hat(canvas: Canvas, figure: Figure) -> None:
    """Draw a wide brim and a creased cone that leaves the picture."""
    paint, at = figure.paint, crown(figure)
    lean = -figure.face.light_side
    _draw_brim(canvas, figure, paint.cloth)
    cone = at.shape(_CONE, lean)
    canvas.fill(cone, paint.cloth.base)
    canvas.fill(at.shape(_CONE_SHADE, lean, 3), paint.cloth.shade)
    for crease in _CREASES:
        canvas.stroke(at.line(crease, lean, 4), FOLD, paint.cloth.line, 1, 0.1)
    _draw_hat_band(canvas, at, 0.775, paint.accent)
    canvas.outline(cone, _OUTER, paint.cloth.line)
    piece(canvas, at.place(_BUCKLE), paint.metal, paint.metal.light)
    piece(canvas, at.place(np.array(_BUCKLE) * 0.55 + (0.0, 0.212)), paint.accent)


def _draw_brim(canvas: Canvas, figure: Figure, tones: Tones) -> None:
    """Draw a brim, its thickness and the shadow of the crown on it, and its own on the hair."""
    at, light = crown(figure), figure.face.light_side
    brim = at.whole(_BRIM)
    canvas.fill(at.whole(_BELOW_BRIM, 3), figure.paint.hair.shade)
    piece(canvas, moved(brim, 0.0, 0.011), tones, tones.deep)
    canvas.fill(brim, tones.base)
    x, y = at.x - 0.10 * light * at.size, at.y + 0.46 * at.size
    canvas.fill(ellipse(x, y, 0.98 * at.size, 0.19 * at.size), tones.shade)
    canvas.outline(brim, _OUTER * 0.85, tones.line)


def _draw_hat_band(canvas: Canvas, at: Frame, half: float, tones: Tones) -> None:
    """Tie a band around a crown that is `half` wide where the band begins."""
    upper = at.line([(half * x, y) for x, y in _BAND_TOP], samples=3)
    piece(canvas, np.concatenate([upper, at.line(_BAND_END, samples=3)]), tones)


def draw_cap(canvas: Canvas, figure: Figure) -> None:
    """Draw a cap, worn forwards or backwards."""
    paint, at, light = figure.paint, crown(figure), figure.face.light_side
    canvas.fill(at.whole(_BELOW_CAP, 3), paint.hair.shade)
    shell = at.whole(_CAP)
    canvas.fill(shell, paint.cloth.base)
    canvas.fill(at.shape(_CAP_SHADE, -light, 3), paint.cloth.shade)
    canvas.stroke(at.line(_CAP_LIGHT, light), 0.022, paint.cloth.light, 0.0, 0.0)
    if figure.face.hair_seed % 2:
        _draw_visor(canvas, figure, at)
    else:
        _draw_opening(canvas, figure, at)
    canvas.outline(shell, _OUTER, paint.cloth.line)
    for side in (-1, 1):
        canvas.stroke(at.line(_PANEL, side), FOLD, paint.cloth.line, 0.4, 1)
    button = ellipse(at.x, at.y - 0.15 * at.size, 0.022, 0.010, 12)
    piece(canvas, button, paint.accent)


def _draw_visor(canvas: Canvas, figure: Figure, at: Frame) -> None:
    tones = figure.paint.accent
    visor = at.whole(_VISOR)
    canvas.fill(at.whole(_BELOW_VISOR, 3), figure.paint.hair.shade)
    canvas.fill(visor, tones.base)
    canvas.fill(at.whole(_VISOR_SHADE, 3), tones.shade)
    lit = at.line(_VISOR_LIGHT, figure.face.light_side)
    canvas.stroke(lit, 0.012, tones.light, 0.1, 0.1)
    canvas.outline(visor, _OUTER * 0.9, tones.line)


def _draw_opening(canvas: Canvas, figure: Figure, at: Frame) -> None:
    """Draw the gap at the back of a cap, with hair in it, and the strap below."""
    paint = figure.paint
    gap = at.whole(_OPENING)
    piece(canvas, gap, paint.cloth, paint.hair.shade)
    strap: Path = smooth(at.place(_STRAP), 4)
    canvas.stroke(strap, 0.042, paint.accent.line, 1, 1)
    canvas.stroke(strap, 0.030, paint.accent.base, 1, 1)


def draw_beret(canvas: Canvas, figure: Figure) -> None:
    """Draw a soft beret that hangs to one side."""
    tones, at = figure.paint.accent, crown(figure)
    side = 1 if figure.face.hair_seed % 2 else -1
    rim = at.line(_BERET_RIM, side)
    canvas.stroke(moved(rim, 0.0, 0.020), 0.050, figure.paint.hair.shade, 0.4, 0.4)
    canvas.stroke(rim, 0.050, tones.line, 0.8, 0.8)
    canvas.stroke(rim, 0.038, tones.shade, 0.8, 0.8)
    puff = at.shape(_BERET, side)
    canvas.fill(puff, tones.base)
    canvas.fill(at.shape(_BERET_SHADE, side, 3), tones.shade)
    lit = at.line([(-0.72, 0.08), (-0.30, -0.04), (0.20, -0.05)], side)
    canvas.stroke(lit, 0.014, tones.light, 0.1, 0.1)
    canvas.outline(puff, _OUTER, tones.line)
    stalk = at.place([(-0.02, -0.14), (0.0, -0.24)], side)
    canvas.stroke(stalk, 0.014, tones.line, 1, 1)
