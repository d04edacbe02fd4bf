"""Shoulders: the shape that each garment fills, with the shadow of the head, folds and seams."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from data.faces.anatomy import Anatomy
from data.faces.canvas import Canvas
from data.faces.colour import Tones
from data.faces.curves import Path, moved, smooth
from data.faces.figure import Figure
from data.faces.wear.cloth import FOLD, Frame, Points

_OUTER = 0.0064  # outer contour
_BELOW = 1.13  # below the picture for every tilt and size
# In units of `collar`: the right half of a round neckline, and the front of what is worn below.
ROUND: Points = [(0, 0.30), (0.5, 0.20), (0.88, -0.10), (1.06, -0.36)]
FRONT: Points = [(-1.2, -0.6), (1.2, -0.6), (0.7, 2.4), (-0.7, 2.4)]
# Lines of the sleeves: x in half widths of the shoulders, y from their top, for the right side.
_SEAM = [(0.80, 0.05), (0.735, 0.10), (0.72, 0.20)]
_FOLD = [(0.63, 0.075), (0.59, 0.10), (0.60, 0.125)]


def collar(figure: Figure) -> Frame:
    """Give the place of collars: x = 1 is the side of the neck, y = 0 where shoulders begin."""
    return Frame(0.0, _top(figure.body), figure.body.neck_half)


def _top(body: Anatomy) -> float:
    """Give the height of the shoulders under clothes, which lie a little above the skin."""
    return min(body.shoulder_y - 0.012, body.chin_y + 0.065)


@contextmanager
def torso(
    canvas: Canvas, figure: Figure, tones: Tones, neckline: Points, is_round: bool = True
) -> Iterator[None]:
    """Draw shoulders in a material; what the block draws stays on them, below their outline.

    `neckline` is its right half from the middle outwards, in units of `collar`.
    """
    edge = _edge(figure, neckline, is_round)
    shape = np.concatenate([edge, [(edge[-1, 0], _BELOW), (edge[0, 0], _BELOW)]])
    canvas.fill(shape, tones.base)
    with canvas.inside(shape):
        _shade(canvas, figure, tones)
        yield
    canvas.stroke(edge, _OUTER, tones.line, 1, 1)


def _edge(figure: Figure, neckline: Points, is_round: bool) -> Path:
    """Trace the upper edge from the left arm over the neckline to the right arm."""
    neck = collar(figure).across(neckline, 3 if is_round else 1)
    outer = shoulder(figure.body)
    outer = outer[outer[:, 0] > neck[-1, 0] + 0.01]
    return np.concatenate([(outer * (-1, 1))[::-1], neck, outer])


def shoulder(body: Anatomy) -> Path:
    """Trace the right shoulder from the neck outwards and down the arm."""
    neck, wide, y = body.neck_half, body.shoulder_half, _top(body)
    return smooth(
        [
            (neck, y - 0.020),
            (neck + 0.035, y + 0.006),
            (0.50 * wide, y + 0.034),
            (0.82 * wide, y + 0.058),
            (1.00 * wide, y + 0.104),
            (1.05 * wide, _BELOW),
        ],
        4,
    )


def _shade(canvas: Canvas, figure: Figure, tones: Tones) -> None:
    """Lay the shadow of the head, that of the far arm, and a fold from each armpit."""
    wide, y, light = figure.body.shoulder_half, _top(figure.body), figure.face.light_side
    arm = [(0.70, -0.05), (0.80, 0.055), (0.66, 0.10), (0.70, 0.16), (1.2, 0.25), (1.2, -0.05)]
    canvas.fill(np.array([(-light * u * wide, y + v) for u, v in arm]), tones.shade)
    head = [(-0.62, -0.06), (-0.58, 0.030), (-0.20, 0.046), (0.30, 0.030), (0.44, -0.06)]
    canvas.fill(smooth([(light * u * wide, y + v) for u, v in head], 4), tones.shade)
    lit = moved(shoulder(figure.body)[7:17] * (light, 1), 0.0, 0.010)
    canvas.stroke(lit, 0.012, tones.light, 0.0, 0.0)
    for side in (-1, 1):
        for line, start, end in ((_SEAM, 0.2, 0.8), (_FOLD, 0.0, 0.5)):
            path = smooth([(side * u * wide, y + v) for u, v in line], 4)
            canvas.stroke(path, FOLD, tones.line, start, end)
