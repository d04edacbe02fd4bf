"""Hair behind the head and over the shoulders."""

from __future__ import annotations

import numpy as np

from data.faces.canvas import Canvas
from data.faces.colour import RGB
from data.faces.curves import Path, ribbon, taper
from data.faces.figure import Figure
from data.faces.hair.silhouettes import contour

_LOOSE = {"long", "hime", "wavy", "bob"}


def draw_back_hair(canvas: Canvas, figure: Figure) -> None:
    """Draw the mass of hair behind head and neck."""
    sides = {side: contour(figure, side) for side in (-1, 1)}
    shape = np.concatenate([sides[1], sides[-1][::-1]])
    canvas.gradient(shape, _fading(figure, "deep"))
    for side, path in sides.items():
        _draw_side(canvas, figure, side, path)
        canvas.stroke(path[4:], 0.0070, figure.paint.hair.line, 0.3, 0.5)


def _fading(figure: Figure, tone: str) -> tuple[RGB, ...]:
    hair, tips = getattr(figure.paint.hair, tone), getattr(figure.paint.tips, tone)
    return (hair, hair, tips)


def _draw_side(canvas: Canvas, figure: Figure, side: int, path: Path) -> None:
    """Light the outer clumps and rule the strands between them."""
    if figure.face.hair_style not in _LOOSE:
        return
    hair = figure.paint.hair
    is_lit = side == figure.face.light_side
    for share, width, tone in ((0.80, 0.09, "shade"), (0.99, 0.12, "base" if is_lit else "shade")):
        flow = _flow(path, share, 14)
        canvas.gradient(ribbon(flow, width * taper(len(flow), 0.3, 0.1)), _fading(figure, tone))
    for share in (0.74, 0.90):
        canvas.stroke(_flow(path, share, 16), 0.0045, hair.line, 0.0, 0.4)


def _flow(path: Path, share: float, start: int) -> Path:
    """Follow the contour further inside."""
    return path[start:] * (share, 1.0)


def draw_shoulder_hair(canvas: Canvas, figure: Figure) -> None:
    """Draw what falls over the shoulders, in front of the clothes."""
