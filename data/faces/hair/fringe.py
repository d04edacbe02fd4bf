"""The lower edge of the fringe: clumps of hair as a row of valleys and tips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random

import numpy as np

from data.faces.curves import Path, bezier
from data.faces.description import FaceDescription

Point = tuple[float, float]


@dataclass(frozen=True)
class Clump:
    """One tapering piece of fringe between two valleys."""

    left: Point
    tip: Point
    right: Point

    def edge(self) -> Path:
        """Trace from the left valley over the tip to the right valley."""
        return np.concatenate([_blade(self.left, self.tip), _blade(self.right, self.tip)[::-1]])


def _blade(valley: Point, tip: Point) -> Path:
    (vx, vy), (tx, ty) = valley, tip
    return bezier(valley, (vx + 0.12 * (tx - vx), vy + 0.62 * (ty - vy)), tip, samples=9)


def parting(face: FaceDescription) -> float:
    """Give the x at which the hair parts on the crown."""
    return 0.085 * face.hair_part


def clumps(face: FaceDescription, half_width: float) -> list[Clump]:
    """Lay out the fringe from the left temple to the right one."""
    random = Random(face.hair_seed)
    tips, valleys = _LAYOUTS[face.fringe](face, random)
    temple = 0.60 + random.uniform(0, 0.05)
    tips = [(-half_width + 0.012, temple), *tips, (half_width - 0.012, temple)]
    edge = (-half_width - 0.004, 0.50)
    nodes = [edge, *valleys, (-edge[0], edge[1])]
    return [Clump(a, tip, b) for a, tip, b in zip(nodes[:-1], tips, nodes[1:], strict=True)]


def _row(
    random: Random, xs: Sequence[float], tip_y: float, valley_y: float, lean: float, jitter: float
) -> tuple[list[Point], list[Point]]:
    """Put one tip between each two of the valleys `xs`, leaning to a side."""
    valleys = [(x, valley_y + random.uniform(-jitter, jitter)) for x in xs]
    tips = []
    for a, b in pairwise(xs):
        x = (a + b) / 2 + lean * (b - a)
        droop = 0.16 * (abs(x) / 0.28) ** 2.5 * 0.35
        tips.append((x, tip_y + droop + random.uniform(-jitter, jitter)))
    return tips, valleys


def _spread(random: Random, count: int, half: float, jitter: float) -> list[float]:
    step = 2 * half / count
    return [-half + step * i + random.uniform(-jitter, jitter) * step for i in range(count + 1)]


def _blunt(face: FaceDescription, random: Random) -> tuple[list[Point], list[Point]]:
    tips, valleys = _row(random, _spread(random, 8, 0.255, 0.12), 0.508, 0.470, 0.0, 0.006)
    deep = random.sample(range(2, 7), 2)
    return tips, [(x, y - 0.055 if i in deep else y) for i, (x, y) in enumerate(valleys)]


def _layered(face: FaceDescription, random: Random) -> tuple[list[Point], list[Point]]:
    count = random.choice((5, 6, 7))
    lean = 0.22 * face.hair_part
    return _row(random, _spread(random, count, 0.262, 0.18), 0.525, 0.400, lean, 0.018)


def _swept(face: FaceDescription, random: Random) -> tuple[list[Point], list[Point]]:
    side = 1 if face.hair_part >= 0 else -1
    xs = [-0.262, -0.135, -0.02, 0.075, 0.165, 0.262]
    ys = [0.475, 0.425, 0.385, 0.345, 0.270, 0.430]
    valleys = [(x + random.uniform(-0.01, 0.01), y) for x, y in zip(xs, ys, strict=True)]
    tips = [(-0.245, 0.580), (-0.125, 0.555), (-0.015, 0.530), (0.075, 0.485), (0.245, 0.535)]
    tips = [(x, y + random.uniform(-0.012, 0.012)) for x, y in tips]
    if side > 0:
        return tips, valleys
    return [(-x, y) for x, y in tips[::-1]], [(-x, y) for x, y in valleys[::-1]]


def _parted(face: FaceDescription, random: Random) -> tuple[list[Point], list[Point]]:
    middle = parting(face)
    xs = [-0.268, -0.215, -0.135, middle, 0.135, 0.215, 0.268]
    ys = [0.50, 0.475, 0.385, 0.235, 0.385, 0.475, 0.50]
    tips = [(-0.262, 0.625), (-0.205, 0.575), (-0.150, 0.475)]
    tips = [*tips, *[(-x, y) for x, y in tips[::-1]]]
    tips = [(x + random.uniform(-0.006, 0.006), y + random.uniform(-0.02, 0.012)) for x, y in tips]
    return tips, list(zip(xs, ys, strict=True))


def _crossed(face: FaceDescription, random: Random) -> tuple[list[Point], list[Point]]:
    middle = 0.045 * face.hair_part
    xs = [-0.262, -0.175, -0.055 + middle, 0.055 + middle, 0.175, 0.262]
    ys = [0.455, 0.405, 0.335, 0.335, 0.405, 0.455]
    tips = [(-0.228, 0.570), (-0.122, 0.515), (1.6 * middle, 0.590), (0.122, 0.515), (0.228, 0.570)]
    tips = [(x + random.uniform(-0.01, 0.01), y + random.uniform(-0.018, 0.012)) for x, y in tips]
    return tips, list(zip(xs, ys, strict=True))


_LAYOUTS = {
    "back": _parted,
    "blunt": _blunt,
    "layered": _layered,
    "swept": _swept,
    "parted": _parted,
    "crossed": _crossed,
}
