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
    tufts: tuple[tuple[float, float, float, float], ...]  # a tip and the valley behind it, each
    wave: float = 0.0


_SKULL: Nodes = ((0.0, 0.03), (0.40, 0.055), (0.72, 0.165), (0.92, 0.34), (0.98, 0.50))
_STYLES = {
    "long": Side(
        ((1.01, 0.66), (1.06, 0.86), (1.13, 1.02)),
        ((1.27, 1.145, 1.14, 1.09), (1.26, 1.30, 0.9, 1.3)),
    ),
    "hime": Side(((1.00, 0.66), (1.02, 0.86), (1.045, 1.06)), ((1.08, 1.30, 0.9, 1.3),)),
    "wavy": Side(
        ((1.03, 0.62), (1.12, 0.80), (1.18, 0.97)),
        ((1.33, 1.08, 1.17, 1.04), (1.30, 1.30, 0.9, 1.3)),
        0.07,
    ),
    "bob": Side(
        ((1.04, 0.60), (1.095, 0.73), (1.09, 0.84)),
        ((0.92, 1.0, 0.86, 0.935), (0.70, 1.02, 0.63, 0.95), (0.50, 1.01, 0.30, 0.96)),
    ),
    "short": Side(
        ((0.96, 0.60), (0.92, 0.68)),
        ((0.83, 0.83, 0.74, 0.78), (0.62, 0.94, 0.50, 0.88), (0.40, 1.01, 0.20, 0.96)),
    ),
    "spiky": Side(
        ((0.96, 0.58),),
        ((1.13, 0.74, 0.88, 0.71), (0.98, 0.91, 0.68, 0.84), (0.66, 1.06, 0.30, 0.98)),
    ),
    "messy": Side(
        ((0.99, 0.60), (0.97, 0.68)),
        ((1.08, 0.82, 0.88, 0.78), (0.94, 0.97, 0.66, 0.90), (0.60, 1.07, 0.28, 1.00)),
    ),
}
_TIED = Side(((0.90, 0.60), (0.79, 0.71), (0.62, 0.81), (0.38, 0.89), (0.10, 0.91)), ())


def contour(figure: Figure, side: int) -> tuple[Path, Path]:
    """Trace one side of the hair from behind the crown downwards, and the valleys between tufts."""
    shape = _STYLES.get(figure.face.hair_style, _TIED)
    random = Random(figure.face.hair_seed + (11 if side > 0 else 12))
    path, valleys = _tufted(smooth((*_SKULL, *shape.flow), 5), shape, random)
    if shape.wave:
        path = path + _waves(path[:, 1], shape.wave, random)
    return _placed(figure, path, side), _placed(figure, valleys, side)


def _placed(figure: Figure, path: Path, side: int) -> Path:
    body = figure.body
    scale = (side * body.hair_half, body.chin_y - body.crown_y)
    return moved(path * scale, 0.0, body.crown_y)


def _waves(v: Path, swing: float, random: Random) -> Path:
    """Sway with a swing that grows from the temple down."""
    phase = random.uniform(-0.6, 0.6)
    x = swing * np.clip((v - 0.5) / 0.3, 0, 1) * np.sin(2 * np.pi * (v - 0.5) / 0.36 + phase)
    return np.stack([x, np.zeros_like(x)], axis=1)


def _tufted(flow: Path, shape: Side, random: Random) -> tuple[Path, Path]:
    pieces, valley = [flow], flow[-1]
    for tip_x, tip_v, x, v in shape.tufts:
        tip = np.array([tip_x + random.uniform(-0.03, 0.03), tip_v + random.uniform(-0.02, 0.02)])
        end = np.array([x, v])
        pieces += [_flick(valley, tip), _flick(end, tip)[::-1]]
        valley = end
    return np.concatenate(pieces), np.array([(x, v) for _, _, x, v in shape.tufts] or [flow[-1]])


def _flick(root: Path, tip: Path) -> Path:
    """Run down from a root and out to a tip."""
    return bezier(root, root + (tip - root) * np.array([0.10, 0.62]), tip, samples=7)
