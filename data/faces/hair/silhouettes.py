"""Contours of the hair behind the head: one side from the crown to the ends, for each style."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np

from data.faces.curves import Path, bezier, moved, smooth
from data.faces.figure import Figure

Nodes = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Side:
    """The right side of a style: x in half widths of the hair, v from crown (0) to chin (1)."""

    flow: Nodes  # from the temple down
    tufts: tuple[tuple[float, float, float, float], ...] = ()  # a tip and the valley behind it
    wave: float = 0.0


_SKULL: Nodes = ((0.0, 0.041), (0.39, 0.083), (0.665, 0.171), (0.88, 0.303), (0.98, 0.50))
_COVERED = 2  # nodes of a contour that the cap always hides
_STYLES = {
    "long": Side(((1.01, 0.66), (1.06, 0.86), (1.13, 1.06), (1.20, 1.27))),
    "hime": Side(((1.00, 0.66), (1.02, 0.86), (1.045, 1.06), (1.07, 1.27))),
    "wavy": Side(((1.03, 0.62), (1.12, 0.82), (1.20, 1.04), (1.25, 1.27)), wave=0.075),
    "bob": Side(
        ((1.04, 0.60), (1.095, 0.73), (1.08, 0.85)),
        ((0.90, 1.00, 0.83, 0.945), (0.62, 1.015, 0.52, 0.96), (0.36, 1.0, 0.10, 0.96)),
    ),
    "short": Side(
        ((0.96, 0.60), (0.92, 0.68)),
        ((0.82, 0.83, 0.76, 0.79), (0.62, 0.93, 0.52, 0.88), (0.38, 0.98, 0.10, 0.94)),
    ),
    "spiky": Side(
        ((0.96, 0.56),),
        ((1.15, 0.70, 0.92, 0.68), (1.02, 0.86, 0.76, 0.81), (0.72, 1.00, 0.46, 0.92)),
    ),
    "messy": Side(
        ((0.98, 0.60), (0.95, 0.67)),
        ((1.07, 0.80, 0.88, 0.77), (0.92, 0.93, 0.70, 0.88), (0.66, 1.03, 0.40, 0.95)),
    ),
}
_TIED = Side(((0.90, 0.60), (0.79, 0.71), (0.62, 0.81), (0.38, 0.89), (0.10, 0.91)))


@dataclass(frozen=True)
class Contour:
    """One side of the hair in picture units, from behind the crown downwards."""

    path: Path
    flow: Path  # its smooth part beside the cap and below
    tufts: tuple[Path, ...]  # root, tip and end of each


def contour(figure: Figure, side: int) -> Contour:
    """Trace the hair behind the head on one side."""
    shape = _STYLES.get(figure.face.hair_style, _TIED)
    random = Random(figure.face.hair_seed + (11 if side > 0 else 12))
    samples = 6 if shape.wave else 4
    skull = smooth((*_SKULL, *shape.flow), samples)
    if shape.wave:
        skull = skull + _waves(skull[:, 1], shape.wave, random)
    tufts = _tufts(skull[-1], shape, random)
    path = np.concatenate([skull, *(_tuft(*tuft) for tuft in tufts)])
    placed = [_placed(figure, part, side) for part in (path, skull[_COVERED * samples :], *tufts)]
    return Contour(placed[0], placed[1], tuple(placed[2:]))


def _placed(figure: Figure, path: Path, side: int) -> Path:
    body = figure.body
    scale = (side * body.hair_half, body.chin_y - body.crown_y)
    return moved(path * scale, 0.0, body.crown_y)


def _waves(v: Path, swing: float, random: Random) -> Path:
    """Sway with a swing that grows from the temple down."""
    phase = random.uniform(-0.6, 0.6)
    x = swing * np.clip((v - 0.5) / 0.3, 0, 1) * np.sin(2 * np.pi * (v - 0.5) / 0.36 + phase)
    return np.stack([x, np.zeros_like(x)], axis=1)


def _tufts(valley: Path, shape: Side, random: Random) -> list[Path]:
    tufts = []
    for x, v, end_x, end_v in shape.tufts:
        tip = (x + random.uniform(-0.03, 0.03), v + random.uniform(-0.02, 0.02))
        tufts.append(np.array([valley, tip, (end_x, end_v)]))
        valley = tufts[-1][2]
    return tufts


def _tuft(root: Path, tip: Path, end: Path) -> Path:
    return np.concatenate([flick(root, tip), flick(end, tip)[::-1]])


def flick(root: Path, tip: Path) -> Path:
    """Run down from a root and out to a tip."""
    return bezier(root, root + (tip - root) * np.array([0.10, 0.62]), tip, samples=6)
