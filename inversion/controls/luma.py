"""The luma that a grey input fixes, and wanted colours brought to it."""

from __future__ import annotations

from dataclasses import replace

import torch.nn.functional as F
from torch import Tensor

from inversion.controls.chroma import GRID, Wanted
from inversion.controls.oklab import at_luma, to_oklab


def luma_on_grid(look: Tensor) -> Tensor:
    """Return the luma of the grid's places, `[GRID, GRID]` in [0, 1].

    Args:
        look: the input as a small grey square, `[1, 1, s, s]` in [-1, 1].
    """
    sampled = F.interpolate(look.double(), (GRID, GRID), mode="bicubic", antialias=True)
    return ((sampled[0, 0] + 1) / 2).clamp(0, 1)


def fitted(wanted: Wanted, luma: Tensor) -> Wanted:
    """Give wanted colours the luma of where they are wanted; hue stays, and chroma where it can.

    Args:
        wanted: colours of any luma.
        luma: of the grid's places, `[GRID, GRID]` in [0, 1].
    """
    means = wanted.weights.double().flatten(1) @ luma.double().flatten()
    return replace(wanted, rgb=at_luma(wanted.rgb, means))


def chroma_kept(before: Tensor, after: Tensor) -> float:
    """Return which share of their OKLab chroma colours `[m, 3]` have kept, in all."""
    lengths = [to_oklab(rgb.double())[..., 1:].norm(dim=-1).sum() for rgb in (before, after)]
    return float(lengths[1] / lengths[0].clamp(min=1e-6))
