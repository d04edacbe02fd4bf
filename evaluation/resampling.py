"""Move and turn pictures by windowed sincs, on a grid of pixels and on one twice as fine."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

LOBES = 4  # of the windowed sinc, to each side


def windowed_sinc(t: Tensor) -> Tensor:
    """Return sinc(t) times the Lanczos window of `LOBES` lobes."""
    return torch.where(t.abs() < LOBES, torch.sinc(t) * torch.sinc(t / LOBES), 0.0)


def filtered(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Convolve `x [C, H, W]` along both axes, where the odd filters lie in the picture."""
    planes = F.conv2d(x[:, None], rows.flip(0)[None, None, :, None])
    return F.conv2d(planes, columns.flip(0)[None, None, None])[:, 0]


def shift_taps(amount: float) -> tuple[Tensor, int]:
    """Return the filter that moves a signal by the rest of `amount` samples, and the whole part."""
    offset = round(amount)
    rest = amount - offset
    if abs(rest) < 1e-9:
        return torch.ones(1, dtype=torch.float64), offset
    weights = windowed_sinc(torch.arange(-LOBES, LOBES + 1, dtype=torch.float64) - rest)
    return weights / weights.sum(), offset


def half_band() -> Tensor:
    """Return the low-pass of half the band, of sum 1, for a grid twice as fine as the pixels."""
    weights = windowed_sinc(torch.arange(1 - 2 * LOBES, 2 * LOBES, dtype=torch.float64) / 2)
    return weights / weights.sum()


def upsampled(x: Tensor) -> Tensor:
    """Return `x [C, R, R]` on a grid twice as fine, `[C, 2 R - 1, 2 R - 1]`: pixel i is at 2 i."""
    side = 2 * x.shape[-1] - 1
    fine = x.new_zeros(len(x), side, side)
    fine[:, ::2, ::2] = 4 * x
    return smoothed(fine)


def smoothed(fine: Tensor) -> Tensor:
    """Keep of a fine picture what a grid of pixels holds; beyond its edge all is 0."""
    taps = half_band().to(fine)
    return filtered(F.pad(fine, [len(taps) // 2] * 4), taps, taps)


def turned(fine: Tensor, rotation: Tensor) -> Tensor:
    """Return the fine picture `[C, S, S]` with what was at p at `rotation` p, about its centre.

    Points are (x, y); beyond the edge all is 0.
    """
    side = fine.shape[-1]
    middle = (side - 1) / 2
    axis = torch.arange(side, dtype=fine.dtype) - middle
    points = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1).flatten(0, 1)
    sources = points @ rotation.to(fine) + middle  # rows: the inverse is the transpose
    return interpolated(fine, sources).view(len(fine), side, side)


def interpolated(fine: Tensor, points: Tensor) -> Tensor:
    """Return the values `[C, P]` of a picture `[C, S, S]` at points `[P, 2]` (x, y) between."""
    whole = points.floor()
    padded = F.pad(fine, [LOBES] * 4)
    corner = whole.long().clamp(-LOBES, fine.shape[-1])  # beyond that all is 0 anyway
    near = (corner == whole).all(1)
    steps = torch.arange(1 - LOBES, LOBES + 1)
    weights = windowed_sinc((points - whole)[..., None] - steps.to(points))  # [P, 2, taps]
    weights = weights / weights.sum(-1, keepdim=True) * near[:, None, None]
    width = padded.shape[-1]
    flat, total = padded.flatten(1), fine.new_zeros(len(fine), len(points))
    for i, down in enumerate(steps.tolist()):
        row = (corner[:, 1] + down + LOBES).clamp(0, width - 1) * width
        for j, right in enumerate(steps.tolist()):
            column = (corner[:, 0] + right + LOBES).clamp(0, width - 1)
            total += flat[:, row + column] * (weights[:, 1, i] * weights[:, 0, j])
    return total
