"""A plait of three strands that hangs in front of a shoulder."""

from __future__ import annotations

import numpy as np

from data.faces.canvas import Canvas
from data.faces.curves import Path, bezier, moved, smooth
from data.faces.figure import Figure
from data.faces.hair.lock import draw_lock, fill_hair, lock_widths
from data.faces.hair.ties import draw_tie

_LOBES = 7
_TOP, _END = 0.60, 0.925


def draw_braid(canvas: Canvas, figure: Figure, side: int) -> None:
    """Draw a plait from behind the ear over the shoulder down to its tie."""
    spine = _spine(figure, side)
    pitch = (_END - _TOP) / _LOBES
    _draw_tuft(canvas, figure, spine[-1])
    for k in reversed(range(_LOBES)):
        wide = 0.082 - 0.022 * k / _LOBES
        _draw_lobe(canvas, figure, spine[k], side if k % 2 else -side, (wide, pitch))
    draw_tie(canvas, figure, moved(_BAND, *spine[-1]), 0.062, 0.062)


_BAND = np.array([(0.0, -0.017), (0.0, -0.009), (0.0, 0.003), (0.0, 0.011)])


def _spine(figure: Figure, side: int) -> Path:
    """Give the middles of the lobes, one each, and the end."""
    half = figure.body.hair_half
    nodes = [(half - x, y) for x, y in ((0.075, 0.60), (0.014, 0.70), (0.006, 0.81), (0.045, 0.93))]
    path = smooth(nodes, 8)
    ys = np.linspace(_TOP, _END, _LOBES + 1)
    return np.stack([side * np.interp(ys, path[:, 1], path[:, 0]), ys], axis=1)


def _draw_lobe(
    canvas: Canvas, figure: Figure, place: Path, way: int, size: tuple[float, float]
) -> None:
    """Draw one strand as it comes round from the side `way` and dives under the middle."""
    hair = figure.paint.hair
    dye = ((place[1] - _TOP) / 0.5, (place[1] - _TOP) / 0.4)
    shape = moved(_LOBE * size * (way, 1.0), *place)
    canvas.outline(shape, 0.0075, hair.line)
    fill_hair(canvas, figure, shape, ("base" if way == figure.face.light_side else "shade",), dye)
    crease = moved(_CREASE * size * (way, 1.0), *place)
    canvas.stroke(crease, 0.0042, hair.line, 0.0, 0.5)


# A lobe to the right of the middle of the plait, in units of its width and of the pitch.
_LOBE = np.concatenate(
    [
        bezier((-0.40, -0.2), (0.9, -0.9), (1.15, 0.9), (-0.22, 1.75), samples=8),
        bezier((-0.22, 1.75), (-0.45, 0.9), (-0.40, -0.2), samples=4),
    ]
)
_CREASE = bezier((-0.1, 0.2), (0.5, 0.25), (0.1, 1.2), samples=5)


def _draw_tuft(canvas: Canvas, figure: Figure, end: Path) -> None:
    """Draw the loose ends below the tie."""
    path = smooth([end, moved(end, 0.006, 0.035), moved(end, -0.002, 0.085)], 6)
    widths = lock_widths(len(path), 0.085, 0.5, 0.95, 0.9, 0.5, 0.03)
    draw_lock(canvas, figure, path, widths, 1, (0.7, 1.0))
