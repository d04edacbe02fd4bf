"""The shape of the hair around the skull: its contour, and the way strands run over it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from random import Random

import numpy as np
from numpy.typing import NDArray

from data.faces.curves import Path, bezier
from data.faces.figure import Figure

MIDDLE_Y = 0.47  # of the skull
_EDGE = 95.0  # degrees from upright where the contour passes to the hair behind


@dataclass(frozen=True)
class _Tufts:
    """How locks stand out of the contour; the places are those of the right half."""

    places: tuple[tuple[float, float, float], ...]  # degrees from upright, half base, length
    lean: float  # degrees from straight outwards, away from the crown
    sunk: float  # the skull below lies this share lower


_TUFTS = {
    "spiky": _Tufts(((13, 13, 0.13), (42, 15, 0.16), (69, 12, 0.13), (89, 7, 0.075)), 26, 0.10),
    "upright": _Tufts(((8, 9, 0.052), (26, 9, 0.060), (45, 9, 0.048), (63, 8, 0.030)), 14, 0.075),
    "messy": _Tufts(((17, 10, 0.062), (50, 12, 0.078), (80, 10, 0.070)), 52, 0.045),
}


@dataclass(frozen=True)
class Tuft:
    """One lock that stands out of the contour: full above, hollow below."""

    upper: Path  # from the base to the tip
    lower: Path  # from the tip to the base
    side: int
    start: float  # degrees from upright where it leaves the skull, and where it returns
    stop: float

    def contour(self) -> Path:
        """Run along the tuft from left to right."""
        path = np.concatenate([self.upper, self.lower])
        return path if self.side > 0 else path[::-1]


def parting(figure: Figure) -> float:
    """Give the x at which the hair parts on the crown."""
    return 0.085 * figure.face.hair_part


def tufts(figure: Figure) -> list[Tuft]:
    """Give the locks that stand out of the contour, from left to right."""
    style = _style(figure)
    if style is None:
        return []
    random = Random(figure.face.hair_seed + 1)
    return [_tuft(figure, style, *place) for place in _places(style, random)]


def _style(figure: Figure) -> _Tufts | None:
    """Choose the tufts; short hair combed up from the forehead stands upright."""
    face = figure.face
    is_upright = (face.hair_style, face.fringe, face.gender) == ("short", "back", "man")
    return _TUFTS.get("upright" if is_upright else face.hair_style)


def dome(figure: Figure) -> Path:
    """Outline the top of the hair from the left over the crown to the right."""
    style, locks = _style(figure), tufts(figure)
    if style is None:
        middle = np.degrees(np.arcsin(parting(figure) / figure.body.hair_half))
        halves = np.linspace(-_EDGE, middle, 15), np.linspace(middle, _EDGE, 15)[1:]
        path = _on_skull(figure, np.concatenate(halves))
        path[:, 1] += 0.013 * np.exp(-np.abs(path[:, 0] - parting(figure)) / 0.03)
        return path
    sunk, at, pieces = style.sunk, -_EDGE, []
    for lock in locks:
        pieces += [_arc(figure, at, lock.start, sunk), lock.contour()]
        at = lock.stop
    return np.concatenate([*pieces, _arc(figure, at, _EDGE, sunk)])


def _arc(figure: Figure, start: float, stop: float, sunk: float) -> Path:
    return _on_skull(figure, np.linspace(start, stop, 2 + int(max(stop - start, 0) / 8)), sunk)


def _on_skull(figure: Figure, degrees: NDArray[np.float64], sunk: float = 0.0) -> Path:
    """Give points of the smooth contour at angles from upright, positive to the right."""
    body, angle = figure.body, np.radians(degrees)
    sin, cos = np.sin(angle), np.cos(angle)
    x = body.hair_half * np.sign(sin) * np.abs(sin) ** 0.95
    y = MIDDLE_Y - (MIDDLE_Y - body.crown_y) * np.sign(cos) * np.abs(cos) ** 0.96
    middle = np.array([0.0, MIDDLE_Y])
    return middle + (1 - sunk * np.maximum(cos, 0)[:, None]) * (np.stack([x, y], axis=1) - middle)


def _places(style: _Tufts, random: Random) -> list[tuple[float, float, float]]:
    """Give start and stop in degrees and the length of every tuft, from left to right."""
    places = []
    for side in (-1, 1):
        for middle, half, length in style.places:
            size = random.uniform(0.80, 1.15)
            at = side * middle + random.uniform(-4, 4)
            places.append((at - half * size, at + half * size, length * size))
    places.sort()
    for k, (left, right) in enumerate(pairwise(places)):
        if left[1] > right[0]:
            meet = (left[1] + right[0]) / 2
            places[k], places[k + 1] = (left[0], meet, left[2]), (meet, right[1], right[2])
    return places


def _tuft(figure: Figure, style: _Tufts, start: float, stop: float, length: float) -> Tuft:
    """Shape one blade that leans away from the crown."""
    first, middle, last = _on_skull(figure, np.array([start, (start + stop) / 2, stop]), style.sunk)
    side = 1 if start + stop > 0 else -1
    if abs(start + stop) < 60:  # the topmost all lean to one side
        side = 1 if figure.face.hair_seed % 2 else -1
    out = (middle - (0.0, MIDDLE_Y)) / np.hypot(*(middle - (0.0, MIDDLE_Y)))
    down = np.array([-out[1], out[0]]) * side
    lean = np.radians(style.lean)
    tip = middle + length * (np.cos(lean) * out + np.sin(lean) * down)
    tip[1] = max(tip[1], 0.070 + 0.10 * abs(tip[0]))  # inside the picture when tilted
    rise, fall = (first, last) if side > 0 else (last, first)
    upper = bezier(rise, rise + 0.50 * (tip - rise) + 0.30 * length * out, tip, samples=7)
    lower = bezier(tip, fall + 0.40 * (tip - fall) + 0.10 * length * out, fall, samples=7)
    return Tuft(upper, lower, side, start, stop)


def flow(figure: Figure, starts: Path, t: NDArray[np.float64]) -> Path:
    """Give points on the strands that run from `starts` [..., 2] (t = 0) to the parting (1)."""
    root = np.array([parting(figure), figure.body.crown_y + 0.024])
    root = root + starts * (0.16, 0.0) + np.abs(starts[..., :1]) * (0.0, 0.06)
    bend = starts * (1.10, 0.0) + (root + (starts - root) * 0.22) * (0.0, 1.0)
    s = t[..., None]
    return (1 - s) ** 2 * starts + 2 * s * (1 - s) * bend + s * s * root


_STEPS = np.linspace(0, 1, 9)


def strands(
    figure: Figure, starts: Path, begin: NDArray[np.float64], end: NDArray[np.float64]
) -> Path:
    """Trace pieces [m, 9, 2] of the strands from `starts` [m, 2], between shares of their ways."""
    t = begin[:, None] + (end - begin)[:, None] * _STEPS
    return flow(figure, starts[:, None], t)


# Where tied hair leaves the cap: inwards from its side, height, on both sides or one.
_TIES = {
    "twin_tails": (0.085, 0.215, True),
    "buns": (0.100, 0.190, True),
    "ponytail": (0.150, 0.130, False),
    "side_tail": (0.030, 0.415, False),
}


# Where tight strands begin below and above a tie: share of the hair's half width, height.
_FROM_BELOW = ((0.72, 0.46), (0.92, 0.40))
_FROM_ABOVE = ((0.42, 0.24), (0.74, 0.27))


def pulled(figure: Figure) -> list[Path]:
    """Trace strands [9, 2] that are pulled tight towards the ties of the hair."""
    if figure.face.hair_style not in _TIES:
        return []
    inwards, y, is_paired = _TIES[figure.face.hair_style]
    half, tie = figure.body.hair_half, (figure.body.hair_half - inwards, y)
    places = [(x * half, height) for x, height in (_FROM_ABOVE if y > 0.3 else _FROM_BELOW)]
    lines = []
    for side in (-1, 1) if is_paired else (1 if figure.face.hair_seed % 2 else -1,):
        crown = side * parting(figure), figure.body.crown_y + 0.045
        lines += [_tight(tie, start) * (side, 1) for start in (*places, crown)]
    return lines


def _tight(tie: tuple[float, float], start: tuple[float, float]) -> Path:
    """Bow a strand from a tie over the roundness of the skull to where it begins."""
    (x, y), (start_x, start_y) = tie, start
    along = 0.22 if start_y < y else 0.55
    bend = start_x + (0.5 + along) * (x - start_x), start_y + along * (y - start_y) - 0.015
    return bezier(tie, bend, start, samples=9)
