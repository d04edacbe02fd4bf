"""One lock of hair: a tapering band with outline, shaded edge, gleam and a strand line."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from data.faces.canvas import Canvas
from data.faces.colour import Tones
from data.faces.curves import Path, ribbon


def draw_lock(
    canvas: Canvas, path: Path, widths: NDArray[np.float64], hair: Tones, light_side: int
) -> None:
    """Draw a lock along `path` [n, 2] with full widths [n] and the light from one side."""
    canvas.fill(ribbon(path, widths + 0.012), hair.line)
    canvas.fill(ribbon(path, widths), hair.base)
    downwards = 1 if path[-1, 1] >= path[0, 1] else -1
    away = -light_side * downwards
    _band(canvas, path, widths, away * 0.32, 0.36, hair.shade)
    if widths.max() > 0.05:
        _band(canvas, path, widths, -away * 0.16, 0.07, hair.light, 0.25, 0.75)
        _band(canvas, path, widths, away * 0.12, 0.055, hair.line, 0.35, 1.0)


def _band(
    canvas: Canvas,
    path: Path,
    widths: NDArray[np.float64],
    centre: float,
    share: float,
    colour: tuple[int, int, int],
    start: float = 0.0,
    stop: float = 1.0,
) -> None:
    """Fill a stripe of the lock; `centre` (0 is the middle) and `share` are in its widths."""
    first, last = int(start * len(path)), max(int(stop * len(path)), 3)
    tangent = np.gradient(path, axis=0)
    normal = np.stack([tangent[:, 1], -tangent[:, 0]], axis=1)
    normal /= np.maximum(np.hypot(normal[:, 0], normal[:, 1]), 1e-9)[:, None]
    middle = path + normal * (centre * widths)[:, None]
    fade = np.sin(np.linspace(0, np.pi, last - first)) ** 0.5 if start > 0 else 1.0
    canvas.fill(ribbon(middle[first:last], share * widths[first:last] * fade), colour)
