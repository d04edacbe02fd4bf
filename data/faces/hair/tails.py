"""Tails of tied hair."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

from data.faces.canvas import Canvas
from data.faces.curves import Path, moved, smooth
from data.faces.figure import Figure
from data.faces.hair.lock import draw_lock
from data.faces.hair.ties import draw_tie


@dataclass(frozen=True)
class Tail:
    """Where a tail runs on the right side: x from the rim of the hair, y in picture units."""

    nodes: tuple[tuple[float, float], ...]
    widest: float
    tied: float  # share of its length at which it is tied
    bow: float  # reach of the bow that may tie it


TWIN = Tail(
    (
        (-0.150, 0.275), (-0.060, 0.215), (0.010, 0.195), (0.066, 0.290), (0.082, 0.46),
        (0.072, 0.65), (0.032, 0.80), (0.065, 0.98),
    ),
    0.140,
    0.15,
    0.066,
)  # fmt: skip
LOW = Tail(  # tied beside the head, falls over the shoulder
    (
        (-0.120, 0.435), (-0.035, 0.395), (0.025, 0.390), (0.060, 0.48), (0.060, 0.62),
        (0.030, 0.78), (-0.030, 0.92), (-0.020, 1.06),
    ),
    0.140,
    0.21,
    0.075,
)  # fmt: skip
HIGH = Tail(  # tied behind the crown
    (
        (-0.246, 0.185), (-0.19, 0.108), (-0.10, 0.098), (-0.005, 0.19), (0.045, 0.38),
        (0.05, 0.62), (0.01, 0.83), (0.035, 0.99),
    ),
    0.150,
    0.11,
    0.070,
)  # fmt: skip
_HATS = {"beret", "cap", "straw_hat", "witch_hat"}


def below_hat(figure: Figure, tail: Tail) -> Tail:
    """Tie a tail low where a hat covers its place."""
    return LOW if figure.face.headwear in _HATS else tail


def draw_tail(canvas: Canvas, figure: Figure, tail: Tail, side: int) -> None:
    """Draw a tail of two locks and what ties it."""
    random = Random(figure.face.hair_seed + (21 if side > 0 else 22))
    spine = _spine(figure, tail, random) * (side, 1.0)
    widths = _widths(tail, len(spine))
    fan = np.linspace(0, 1, len(spine))[:, None] ** 1.5
    sway = side * random.uniform(0.010, 0.026)
    far, near = spine + fan * np.array([sway, -0.012]), spine - fan * np.array([sway, 0.035])
    draw_lock(canvas, figure, far, widths, 1, far=True)
    draw_lock(canvas, figure, near, 0.86 * widths, 2)
    knot = round(tail.tied * len(spine))
    draw_tie(canvas, figure, spine[knot - 1 : knot + 3], 0.46 * tail.widest, tail.bow)


def _spine(figure: Figure, tail: Tail, random: Random) -> Path:
    """Trace the middle of a tail on the right side; its end swings as it likes."""
    nodes = moved(np.array(tail.nodes), figure.body.hair_half, 0.0)
    nodes[-2:, 0] += random.uniform(-0.03, 0.02), random.uniform(-0.06, 0.02)
    return smooth(nodes, 5)


def _widths(tail: Tail, count: int) -> NDArray[np.float64]:
    """Give the full widths: narrow where it is tied, widest in the middle, pointed at the end."""
    places = [0.0, tail.tied, tail.tied + 0.14, 0.6, 0.8, 0.92, 1.0]
    shares = [0.62, 0.40, 0.92, 1.0, 0.85, 0.50, 0.0]
    return tail.widest * np.interp(np.linspace(0, 1, count), places, shares)
