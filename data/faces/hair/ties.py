"""What ties hair: a band round it, or a bow."""

from __future__ import annotations

from data.faces.canvas import Canvas
from data.faces.curves import Path
from data.faces.figure import Figure
from data.faces.wear.bow import draw_bow

_LINE = 0.006


def draw_tie(canvas: Canvas, figure: Figure, path: Path, width: float, bow: float) -> None:
    """Tie hair that is `width` wide along a short path, with a band or a bow of a given reach."""
    face, accent = figure.face, figure.paint.accent
    if face.hair_seed // 4 % 2:
        x, y = path[len(path) // 2]
        draw_bow(canvas, x, y, bow, accent, face.light_side, tails=0.0)
        return
    canvas.band(path, width + 2 * _LINE * canvas.ink, accent.line)
    canvas.band(path[1:-1], width, accent.base)
