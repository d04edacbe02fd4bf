"""The fringe: clumps of hair from temple to temple as a row of valleys and tips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random

import numpy as np

from data.faces.anatomy import Anatomy
from data.faces.curves import Path, bezier, smooth
from data.faces.figure import Figure

Point = tuple[float, float]
Row = tuple[list[Point], list[Point]]  # tips, and one valley more than tips, from left to right


_TEMPLES = {"long": 1.24, "hime": 0.90, "wavy": 1.26, "bob": 1.26}  # how far hair falls there


@dataclass(frozen=True)
class Clump:
    """One piece of hair between two valleys; its sides bend sideways by `bend`."""

    left: Point
    tip: Point
    right: Point
    bend: float = 0.0
    is_cut: bool = False  # level, as with scissors
    is_level: bool = False  # no more than a piece of the hairline
    barb: int = 0  # the side on which a small lock splits off: -1 left, 1 right

    def side(self, is_right: bool) -> Path:
        """Trace one side from its valley to the tip."""
        (vx, vy), (tx, ty) = (self.right if is_right else self.left), self.tip
        if self.is_level:
            return np.array([(vx, vy), self.tip])
        if self.is_cut:
            return np.array([(vx, vy), (vx + 0.06 * (tx - vx), ty - 0.009), (tx, ty)])
        middle = vx + 0.10 * (tx - vx) + self.bend, vy + 0.60 * (ty - vy)
        path = bezier((vx, vy), middle, self.tip, samples=7)
        return path if self.barb != (1 if is_right else -1) else _barbed(path, self.barb)

    def edge(self) -> Path:
        """Trace from the left valley over the tip to the right valley."""
        return np.concatenate([self.side(False), self.side(True)[::-1]])


def _barbed(path: Path, side: int) -> Path:
    """Split a small lock off a side: its tip stands out, then the clump goes on from above it."""
    width = 0.22 * abs(path[0, 0] - path[-1, 0]) + 0.008
    tip, notch = path[4] + (side * width, 0.010), path[3]
    bulge = (path[2] + tip) / 2 + (side * 0.4 * width, 0.0)
    return np.concatenate([path[:3], [bulge, tip, notch], path[4:]])


def clumps(figure: Figure) -> list[Clump]:
    """Lay out the fringe from the left temple to the right one."""
    face, body = figure.face, figure.body
    random = Random(face.hair_seed)
    tips, valleys = _ROWS[face.fringe](figure, random)
    placed = [_placed(body, point) for point in tips]
    nodes = [_placed(body, point) for point in valleys]
    row = [
        _clump(figure, random, a, _short_of_eye(body, tip), b)
        for a, tip, b in zip(nodes[:-1], placed, nodes[1:], strict=True)
    ]
    return [_temple(figure, random, row[0].left), *row, _temple(figure, random, row[-1].right)]


def _clump(figure: Figure, random: Random, left: Point, tip: Point, right: Point) -> Clump:
    """Bow a clump against the way its tip points, so that it falls in a curve."""
    if figure.face.fringe == "blunt":
        return Clump(left, tip, right, is_cut=True)
    if figure.face.fringe == "back":
        return Clump(left, tip, right, is_level=True)
    bend = -0.34 * (tip[0] - (left[0] + right[0]) / 2)
    chance = 0.0 if figure.face.fringe == "parted" else 0.4
    is_split = random.random() < chance and right[0] - left[0] > 0.085
    return Clump(left, tip, right, bend, barb=random.choice((-1, 1)) if is_split else 0)


def below(row: Sequence[Clump]) -> list[Clump]:
    """Lay out the clumps that peep out between those of `row`, one in each valley."""
    behind = []
    for first, second in pairwise(row):
        x, y = first.right
        reach = min(first.tip[1], second.tip[1]) - y
        if 0.03 < reach < 0.2 and not first.is_cut:
            width = 0.36 * min(second.tip[0] - first.tip[0], 0.12)
            tip = x + 0.4 * width, y + 0.72 * reach
            behind.append(Clump((x - width, y), tip, (x + width, y), 0.006))
    return behind


def crossing(figure: Figure) -> tuple[Point, Point] | None:
    """Give root and tip of a lock that lies across the other clumps, if there is one."""
    face = figure.face
    random = Random(face.hair_seed + 7)
    side = 1 if face.hair_seed % 2 else -1
    if face.fringe == "crossed":
        middle = 0.10 * face.hair_part
        root, tip = (middle + side * 0.19, 0.56), (middle - side * 0.21, 0.99)
    elif face.fringe in ("layered", "swept") and random.random() < 0.5:
        x = random.uniform(-0.45, 0.45)
        root, tip = (x, 0.58), (x - side * random.uniform(0.14, 0.24), 0.96)
    else:
        return None
    return _placed(figure.body, root), _short_of_eye(figure.body, _placed(figure.body, tip))


def _placed(body: Anatomy, point: Point) -> Point:
    """Turn half widths of the hair, and the way from the crown to the eyes, to picture units."""
    x, down = point
    return x * body.hair_half, body.crown_y + down * (body.eye_y - body.crown_y)


def _short_of_eye(body: Anatomy, tip: Point) -> Point:
    """Shorten a clump that would hide a pupil."""
    x, y = tip
    gap = abs(abs(x) - body.eye_x) / (0.95 * body.eye_half_width)
    free = body.eye_y - body.eye_half_height * (0.50 - 0.75 * min(gap, 1.6) ** 3)
    return x, min(y, free)


def _temple(figure: Figure, random: Random, inner: Point) -> Clump:
    """Hang the outermost clump in front of the ear."""
    side = 1 if inner[0] > 0 else -1
    face, body = figure.face, figure.body
    outer = side * (body.hair_half + 0.002), 0.505
    down = _TEMPLES.get(face.hair_style, 1.10) + random.uniform(-0.04, 0.06)
    tip = _placed(body, (side * 0.80, min(down, 1.06) if face.fringe == "back" else down))
    left, right = (inner, outer) if side > 0 else (outer, inner)
    return Clump(left, tip, right, side * 0.012)


def _jittered(random: Random, points: Sequence[Point], dx: float, dy: float) -> list[Point]:
    return [(x + random.uniform(-dx, dx), y + random.uniform(-dy, dy)) for x, y in points]


def _flipped(row: Row) -> Row:
    tips, valleys = row
    return [(-x, y) for x, y in tips[::-1]], [(-x, y) for x, y in valleys[::-1]]


def _wildness(figure: Figure) -> float:
    return {"messy": 2.2, "spiky": 1.6}.get(figure.face.hair_style, 1.0)


def _widths(random: Random, count: int) -> list[float]:
    """Split the fringe from -0.76 to 0.76 into clumps, wide ones beside narrow ones."""
    sizes = [(1.25, 0.7, 1.0, 0.6)[k % 4] * random.uniform(0.85, 1.15) for k in range(count)]
    shift = random.randrange(count)
    ends = np.concatenate([[0], np.cumsum(sizes[shift:] + sizes[:shift])])
    return (ends / ends[-1] * 1.52 - 0.76).tolist()


def _blunt(figure: Figure, random: Random) -> Row:
    xs = _widths(random, 9)
    level = random.uniform(0.83, 0.87)
    deep = set(random.sample(range(2, 8), 3))
    valleys = [(x, level - (0.14 if i in deep else 0.035)) for i, x in enumerate(xs)]
    tips = [((a + b) / 2, level + 0.10 * ((a + b) / 2) ** 4) for a, b in pairwise(xs)]
    return _jittered(random, tips, 0.0, 0.010), valleys


def _layered(figure: Figure, random: Random) -> Row:
    xs = _widths(random, random.choice((5, 6, 7)))
    wild = _wildness(figure)
    lean = 0.20 * figure.face.hair_part
    valleys = _jittered(random, [(x, 0.66 + 0.16 * abs(x)) for x in xs], 0, 0.03 * wild)
    tips = [
        ((a + b) / 2 + (lean - 0.22 * (a + b)) * (b - a), 0.92 + 0.12 * (b - a))
        for a, b in pairwise(xs)
    ]
    return _jittered(random, tips, 0.02 * wild, 0.045 * wild), valleys


def _swept(figure: Figure, random: Random) -> Row:
    wild = _wildness(figure)
    tips = [(-0.71, 1.02), (-0.47, 0.97), (-0.17, 0.98), (0.10, 0.84), (0.69, 0.98)]
    valleys = [(-0.76, 0.80), (-0.52, 0.75), (-0.24, 0.66), (0.04, 0.58), (0.36, 0.38)]
    tips = _jittered(random, tips, 0.02 * wild, 0.02 * wild)
    row = tips, [*_jittered(random, valleys, 0.015, 0.015), (0.76, 0.80)]
    return row if figure.face.hair_part >= 0 else _flipped(row)


def _parted(figure: Figure, random: Random) -> Row:
    wild, middle = _wildness(figure), 0.22 * figure.face.hair_part
    half = [(0.49, 0.84), (0.63, 1.02)]
    tips = [*[(-x, y) for x, y in half[::-1]], *half]
    valleys = [(-0.74, 0.82), (-0.53, 0.68), (middle, 0.33), (0.53, 0.68), (0.74, 0.82)]
    return _jittered(random, tips, 0.02 * wild, 0.03 * wild), valleys


def _crossed(figure: Figure, random: Random) -> Row:
    wild, middle = _wildness(figure), 0.10 * figure.face.hair_part
    centre = middle + (0.07 if figure.face.hair_seed % 2 else -0.07)
    tips = [(-0.66, 1.02), (-0.41, 0.88), (centre, 1.06), (0.41, 0.88), (0.66, 1.02)]
    valleys = [(-0.76, 0.80), (-0.50, 0.72), (middle - 0.17, 0.52)]
    valleys += [(middle + 0.17, 0.52), (0.50, 0.72), (0.76, 0.80)]
    return _jittered(random, tips, 0.025 * wild, 0.03 * wild), valleys


def _back(figure: Figure, random: Random) -> Row:
    """Leave the forehead open: the tips are no more than points of the hairline."""
    half = [(0.0, 0.385), (0.24, 0.37), (0.43, 0.41), (0.58, 0.50), (0.68, 0.66), (0.735, 0.84)]
    line = smooth([*[(-x, y) for x, y in half[:0:-1]], *half], 2)
    points = [(float(x), float(y)) for x, y in line]
    return [(0.985 * x, y + 0.012) for x, y in points[1::2]], points[0::2]


_ROWS: dict[str, Callable[[Figure, Random], Row]] = {
    "back": _back,
    "blunt": _blunt,
    "layered": _layered,
    "swept": _swept,
    "parted": _parted,
    "crossed": _crossed,
}
