"""The shape of the hair around the skull: its contour, and the way strands run over it."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import numpy as np
from numpy.typing import NDArray

from data.faces.curves import Path, bezier
from data.faces.figure import Figure

MIDDLE_Y = 0.47  # of the skull
_RIM_Y = 0.505  # where the contour passes to the hair behind

# Locks that stand out of the contour: (angle of the middle in degrees from upright, half of its
# base in degrees, length), for the right half; random signs and sizes make each head its own.
_TUFTS = {
    "spiky": [
        (9, 11, 0.100), (33, 13, 0.128), (57, 11, 0.115), (78, 10, 0.095), (96, 8, 0.060),
    ],
    "messy": [(14, 9, 0.035), (45, 10, 0.052), (72, 9, 0.062), (93, 8, 0.052)],
}  # fmt: skip
_SUNK = {"spiky": 0.058, "messy": 0.014}  # the skull below tufts lies this share lower


def parting(figure: Figure) -> float:
    """Give the x at which the hair parts on the crown."""
    return 0.085 * figure.face.hair_part


def dome(figure: Figure) -> Path:
    """Outline the top of the hair from the left over the crown to the right."""
    style = figure.face.hair_style
    if style in _TUFTS:
        return _tufted(figure, style)
    degrees = np.linspace(-95, 95, 29)
    path = _on_skull(figure, degrees)
    notch = np.exp(-(((path[:, 0] - parting(figure)) / 0.028) ** 2))
    path[:, 1] += 0.010 * notch
    return path


def _on_skull(figure: Figure, degrees: NDArray[np.float64], sunk: float = 0.0) -> Path:
    """Give points of the smooth contour at angles from upright, positive to the right."""
    body, angle = figure.body, np.radians(degrees)
    sin, cos = np.sin(angle), np.cos(angle)
    x = body.hair_half * np.sign(sin) * np.abs(sin) ** 0.92
    y = MIDDLE_Y - (MIDDLE_Y - body.crown_y) * np.sign(cos) * np.abs(cos) ** 0.94
    middle = np.array([0.0, MIDDLE_Y])
    return middle + (1 - sunk) * (np.stack([x, y], axis=1) - middle)


def _tufted(figure: Figure, style: str) -> Path:
    """Run along the contour and out to the tip of every tuft."""
    random, sunk = Random(figure.face.hair_seed + 1), _SUNK[style]
    angles = np.array([-95.0])
    pieces: list[Path] = []
    for start, stop, length in _places(style, random):
        if start - angles[-1] > 1:
            arc = np.linspace(angles[-1], start, max(3, int((start - angles[-1]) / 6)))
            pieces.append(_on_skull(figure, arc, sunk))
        pieces.append(_tuft(figure, start, stop, length, sunk))
        angles = np.array([stop])
    pieces.append(_on_skull(figure, np.linspace(angles[-1], 95, 3), sunk))
    return np.concatenate(pieces)


def _places(style: str, random: Random) -> list[tuple[float, float, float]]:
    """Give start, stop and length of every tuft, from left to right."""
    places = []
    for side in (-1, 1):
        for middle, half, length in _TUFTS[style]:
            at = side * middle + random.uniform(-3, 3)
            size = random.uniform(0.78, 1.15)
            places.append((at - half * size, at + half * size, length * size))
    places.sort()
    for k, (left, right) in enumerate(pairwise(places)):
        if left[1] > right[0]:
            meet = (left[1] + right[0]) / 2
            places[k], places[k + 1] = (left[0], meet, left[2]), (meet, right[1], right[2])
    return places


def _tuft(figure: Figure, start: float, stop: float, length: float, sunk: float) -> Path:
    """Draw one blade that leans away from the crown, hollow below and full above."""
    first, middle, last = _on_skull(figure, np.array([start, (start + stop) / 2, stop]), sunk)
    lean = 1 if start + stop > 0 else -1
    out = middle - (0.0, MIDDLE_Y)
    out /= np.hypot(*out)
    down = np.array([-out[1], out[0]]) * lean
    tip = middle + length * (out + 0.55 * down)
    tip[1] = max(tip[1], 0.058)
    bulge = 0.45 * length * out
    rise, fall = (first, last) if lean > 0 else (last, first)
    upper = bezier(rise, rise + bulge + 0.25 * (tip - rise), tip, samples=6)
    lower = bezier(tip, fall + 0.45 * bulge - 0.1 * length * down, fall, samples=6)
    blade = np.concatenate([upper, lower])
    return blade if lean > 0 else blade[::-1]


def flow(figure: Figure, starts: Path, t: NDArray[np.float64]) -> Path:
    """Give points [m, 2] on the strands that run from `starts` [m, 2] (t = 0) to the parting."""
    root = np.array([parting(figure), figure.body.crown_y + 0.024])
    root = root + starts * (0.16, 0.0) + np.abs(starts[:, :1]) * (0.0, 0.06)
    bend = starts * (1.10, 0.0) + (root + (starts - root) * 0.22) * (0.0, 1.0)
    s = t[:, None]
    return (1 - s) ** 2 * starts + 2 * s * (1 - s) * bend + s * s * root


def strand(figure: Figure, start: tuple[float, float], reach: float, samples: int = 10) -> Path:
    """Trace one strand from `start` towards the parting, up to the share `reach` of its way."""
    return flow(figure, np.tile(start, (samples, 1)), np.linspace(0, reach, samples))
