"""What ties hair: a band round it, or a bow."""

from __future__ import annotations

import numpy as np

from data.faces.canvas import Canvas
from data.faces.curves import Path
from data.faces.figure import Figure
from data.faces.wear.bow import draw_bow

_LINE = 0.0055
_HALF = 0.015  # half the length of a band along the hair


def draw_tie(canvas: Canvas, figure: Figure, path: Path, width: float, bow: float) -> None:
    """Tie hair that is `width` wide in the middle of a short path, with a band or a bow."""
    face, accent = figure.face, figure.paint.accent
    middle = path[len(path) // 2]
    if face.hair_seed // 4 % 2 and face.gender == "woman":
        x, y = middle
        draw_bow(canvas, x, y, bow, accent, face.light_side, tails=0.0)
        return
    along = path[-1] - path[0]
    along = along * (_HALF / np.hypot(*along))
    line = _LINE * canvas.ink
    ends = np.array([middle - along, middle + along])
    canvas.band(ends, width + 2 * line, accent.line)
    canvas.band(middle + (ends - middle) * (1 - line / _HALF), width, accent.base)
