"""The ring of light on the roundness of the hair, broken where clumps part."""

from __future__ import annotations

from random import Random

import numpy as np

from data.faces.canvas import Canvas
from data.faces.figure import Figure
from data.faces.hair.cap import flow

_PIECES = ((-0.80, -0.30), (-0.24, -0.04), (0.06, 0.42), (0.49, 0.80))


def draw_ring(canvas: Canvas, figure: Figure) -> None:
    """Draw the pieces of the ring: few and thin on dull hair, with a bright core on shiny hair."""
    face = figure.face
    if face.hair_shine < 0.1:
        return
    random = Random(face.hair_seed + 2)
    for start, stop in _PIECES:
        side = face.light_side * (start + stop) / 2
        strength = face.hair_shine * (1 + 0.35 * side)
        if strength < 0.25 and side < 0.2:
            continue
        count = max(5, 2 * round((stop - start) / 0.10) + 1)
        xs = np.linspace(start, stop, count) + 0.06 * face.light_side
        upper, lower = _piece(figure, random, xs, 0.035 + 0.060 * strength)
        canvas.fill(np.concatenate([upper, lower[::-1]]), figure.paint.hair.light)
        if strength > 0.45:
            upper, lower = _piece(figure, random, xs[1:-1], 0.35 * (0.035 + 0.060 * strength))
            canvas.fill(np.concatenate([upper, lower[::-1]]), figure.paint.hair.gleam)


def _piece(
    figure: Figure, random: Random, xs: np.ndarray, tall: float
) -> tuple[np.ndarray, np.ndarray]:
    """Give the upper and the lower edge of a piece; both end in points along the strands."""
    count = len(xs)
    starts = np.stack([xs * figure.body.hair_half, np.full(count, 0.50)], axis=1)
    swell = np.sin(np.linspace(0, np.pi, count)) ** 0.7
    teeth = np.array([random.uniform(0.7, 1.3) if k % 2 else 0.35 for k in range(count)])
    level = 0.40
    return (
        flow(figure, starts, level + tall * swell * (0.5 + 0.5 * teeth)),
        flow(figure, starts, level - tall * swell * teeth * 1.3),
    )
