"""The ring of light on the roundness of the hair, broken where clumps part."""

from __future__ import annotations

from random import Random

import numpy as np
from numpy.typing import NDArray

from data.faces.canvas import Canvas
from data.faces.curves import Path
from data.faces.figure import Figure
from data.faces.hair.cap import flow

_PIECES = ((-0.80, -0.28), (-0.19, -0.07), (0.04, 0.62), (0.72, 0.84))  # towards the light
_LEVEL = 0.47  # share of the way from the temples to the parting


def draw_ring(canvas: Canvas, figure: Figure) -> None:
    """Draw the pieces of the ring: few and thin on dull hair, with a bright core on shiny hair."""
    face = figure.face
    random = Random(face.hair_seed + 2)
    for start, stop in _PIECES:
        strength = face.hair_shine + 0.15 * (start + stop)
        count = 2 * round((stop - start) / 0.13) + 3
        teeth = np.array([random.uniform(0.6, 1.5) if k % 2 else 0.4 for k in range(count)])
        if strength < 0.15:
            continue
        xs = np.linspace(start, stop, count) * face.light_side
        tall = 0.045 + 0.055 * strength
        canvas.fill(_piece(figure, xs, tall, teeth), figure.paint.hair.light)
        if strength > 0.45 and count > 5:
            core = _piece(figure, 0.94 * xs[1:-1], 0.42 * tall, teeth[1:-1])
            canvas.fill(core, figure.paint.hair.gleam)


def _piece(
    figure: Figure, xs: NDArray[np.float64], tall: float, teeth: NDArray[np.float64]
) -> Path:
    """Outline a piece: an even upper edge, teeth along the strands below, pointed ends."""
    count = len(xs)
    there_and_back = np.concatenate([xs, xs[::-1]]) * figure.body.hair_half
    starts = np.stack([there_and_back, np.full(2 * count, 0.50)], axis=1)
    swell = tall * np.sin(np.linspace(0, np.pi, count)) ** 0.6
    t = np.concatenate([0.5 * swell, -(swell * teeth)[::-1]])
    return flow(figure, starts, _LEVEL + t)
