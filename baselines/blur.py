"""Gaussian blur as one matrix per axis, so that any width and either border is exact."""

from __future__ import annotations

import torch
from torch import Tensor


def blur_matrix(size: int, sigma: float, radius: int, *, reflects: bool = True) -> Tensor:
    """Return the matrix `[size, size]` (float64) of a Gaussian cut off at `radius` pixels.

    Args:
        size: of the axis, in pixels.
        sigma: standard deviation in pixels.
        radius: taps on either side, less than `size`.
        reflects: beyond the border lies the picture mirrored (numpy's 'reflect'); else its last
            pixel again ('edge').
    """
    taps = torch.arange(-radius, radius + 1)
    weights = torch.exp(-((taps.double() / sigma) ** 2) / 2)
    places = torch.arange(size)[:, None] + taps
    last = size - 1
    places = last - (last - places.abs()).abs() if reflects else places.clamp(0, last)
    shares = (weights / weights.sum()).expand(size, -1)
    return torch.zeros(size, size, dtype=torch.float64).scatter_add_(1, places, shares)


def gaussian_blur(x: Tensor, sigma: float, radius: int | None = None, **border: bool) -> Tensor:
    """Blur `x [N, C, H, W]`; radius: 4 sigma if not given; border: as `blur_matrix` has it."""
    reach = max(1, round(4 * sigma)) if radius is None else radius
    rows, columns = (blur_matrix(n, sigma, min(reach, n - 1), **border).to(x) for n in x.shape[-2:])
    return rows @ x @ columns.mT
