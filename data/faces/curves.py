"""Curves as arrays of points [n, 2] in picture units (x to the right from the middle, y down)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

Path = NDArray[np.float64]


@cache
def _catmull_rom(samples: int) -> Path:
    t = np.arange(samples) / samples
    return 0.5 * np.stack(
        [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2],
        axis=1,
    )


def smooth(
    points: Sequence[Sequence[float] | Path] | Path, samples: int = 8, closed: bool = False
) -> Path:
    """Run a Catmull-Rom spline through the points."""
    p = np.asarray(points, dtype=np.float64)
    if closed:
        p = np.concatenate([p[-1:], p, p[:2]])
    else:
        p = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    windows = np.stack([p[:-3], p[1:-2], p[2:-1], p[3:]], axis=1)  # [segments, 4, 2]
    path = (_catmull_rom(samples) @ windows).reshape(-1, 2)
    return path if closed else np.concatenate([path, p[-2:-1]])


def moved(path: Path, dx: float, dy: float) -> Path:
    """Shift a path."""
    return path + np.array([dx, dy])


@cache
def _bernstein(degree: int, samples: int) -> Path:
    t = np.linspace(0, 1, samples)
    if degree == 2:
        return np.stack([(1 - t) ** 2, 2 * t * (1 - t), t**2], axis=1)
    return np.stack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3], axis=1)


def bezier(*points: Sequence[float] | Path, samples: int = 12) -> Path:
    """Sample a Bezier curve of three or four control points."""
    return _bernstein(len(points) - 1, samples) @ np.asarray(points, dtype=np.float64)


def ellipse(x: float, y: float, rx: float, ry: float, samples: int = 28) -> Path:
    """Sample an upright ellipse."""
    angle = np.arange(samples) * (2 * np.pi / samples)
    return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], axis=1)


_TURNED = np.array([-1.0, 1.0])


def ribbon(path: Path, widths: NDArray[np.float64] | float) -> Path:
    """Outline strokes along paths [..., n, 2] with the full width given at each point."""
    offset = np.empty_like(path)  # across the path: its direction turned by 90 degrees
    offset[..., 1:-1, :] = path[..., 2:, :] - path[..., :-2, :]
    offset[..., 0, :] = path[..., 1, :] - path[..., 0, :]
    offset[..., -1, :] = path[..., -1, :] - path[..., -2, :]
    offset = offset[..., ::-1] * _TURNED
    half = np.maximum(np.hypot(offset[..., 0], offset[..., 1]), 1e-9)
    offset *= (np.asarray(widths) / 2 / half)[..., None]
    return np.concatenate([path + offset, (path - offset)[..., ::-1, :]], axis=-2)


@cache
def taper(count: int, start: float, end: float) -> NDArray[np.float64]:
    """Give widths in [0, 1] that are 1 in the middle and fall to `start` and `end` at the tips."""
    t = np.linspace(0, 1, count)
    bump = np.sqrt(np.clip(4 * t * (1 - t), 0, 1))
    widths = bump + (1 - bump) * (start + (end - start) * t)
    widths.flags.writeable = False  # the next caller gets the same array
    return widths


def mirrored(half: Sequence[Sequence[float]]) -> Path:
    """Close a shape from its right half (listed from top to bottom) and the mirror image of it."""
    right = np.asarray(half, dtype=np.float64)
    return np.concatenate([right, (right * (-1, 1))[::-1]])
