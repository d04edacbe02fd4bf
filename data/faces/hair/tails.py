"""Tails of tied hair."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np

from data.faces.canvas import Canvas
from data.faces.curves import Path, moved, smooth
from data.faces.figure import Figure
from data.faces.hair.lock import draw_lock, lock_widths
from data.faces.hair.ties import draw_tie


@dataclass(frozen=True)
class Tail:
    """Where a tail runs on the right side: x from the rim of the hair, y in picture units."""

    nodes: tuple[tuple[float, float], ...]
    widest: float
    bow: float  # reach of the bow that may tie it


TWIN = Tail(
    ((-0.045, 0.235), (0.02, 0.205), (0.075, 0.33), (0.085, 0.56), (0.05, 0.78), (0.075, 0.96)),
    0.130,
    0.066,
)
LOW = Tail(  # tied beside the head, falls over the shoulder
    ((-0.04, 0.40), (0.02, 0.385), (0.07, 0.50), (0.06, 0.70), (-0.005, 0.88), (-0.015, 1.04)),
    0.145,
    0.075,
)
HIGH = Tail(  # tied behind the crown
    (
        (-0.246, 0.130), (-0.19, 0.082), (-0.10, 0.085), (-0.005, 0.19), (0.045, 0.38),
        (0.05, 0.62), (0.01, 0.83), (0.035, 0.99),
    ),
    0.145,
    0.070,
)  # fmt: skip


def draw_tail(canvas: Canvas, figure: Figure, tail: Tail, side: int) -> None:
    """Draw a tail of two locks and what ties it."""
    random = Random(figure.face.hair_seed + (21 if side > 0 else 22))
    spine = smooth(moved(np.array(tail.nodes), figure.body.hair_half, 0.0), 6) * (side, 1.0)
    widths = lock_widths(len(spine), tail.widest, 0.40, 0.85, 1.0, 1.0, 0.85, 0.55, 0.02)
    fan = np.linspace(0, 1, len(spine))[:, None] ** 1.5
    sway = side * random.uniform(0.010, 0.026)
    far, near = spine + fan * np.array([sway, -0.012]), spine - fan * np.array([sway, 0.035])
    draw_lock(canvas, figure, far, widths, 1, far=True)
    draw_lock(canvas, figure, near, 0.86 * widths, 2)
    draw_tie(canvas, figure, _knot(spine), 0.46 * tail.widest, tail.bow)


def _knot(spine: Path) -> Path:
    return spine[2:7]
