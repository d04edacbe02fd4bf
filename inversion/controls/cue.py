"""A blurred picture as a cue: which colours lie roughly where, and no shapes.

The cue is the wanted picture blurred by a Gaussian of 20 pixels at 256, a fifth of the width at
half maximum. Padding reflects, and of the cue only the chroma counts.
"""

from __future__ import annotations

import torch
from torch import Tensor

from inversion.controls.chroma import GRID, Wanted
from inversion.controls.hint import HintError

SIGMA = 20 / 256  # of the blur, in picture widths
POINTS = 16  # along a side, at which the cue is read: closer ones would only repeat each other
STD = 0.03  # of what is read, on the scale of [-1, 1]


def cue(rgba: Tensor) -> Wanted:
    """Return what a blurred picture asks for.

    Args:
        rgba: `[4, P, P]` in [0, 1]; what is transparent says nothing.

    Raises:
        HintError: it is all transparent.
    """
    read = _points(rgba.shape[-1]).to(rgba.device)
    rgb, alpha = (read @ part.double() @ read.mT for part in (rgba[:3], rgba[3]))
    known = alpha.flatten() > 0.99
    if not known.any():
        raise HintError("--cue: it is transparent everywhere. Make opaque what counts.")
    blur = _blur().to(rgba.device)
    weights = torch.einsum("ai,bj->abij", blur, blur).flatten(0, 1)[known]
    std = torch.full((len(weights),), STD, device=rgba.device)
    return Wanted(weights, rgb.flatten(1).mT[known].clamp(0, 1), std)


def _points(side: int) -> Tensor:
    """Return the matrix `[POINTS, side]` that reads a picture between its four nearest pixels."""
    middles = (torch.arange(POINTS, dtype=torch.float64) + 0.5) * side / POINTS - 0.5
    taps = torch.arange(side, dtype=torch.float64)
    return (1 - (taps[None] - middles[:, None]).abs()).clamp(min=0)


def _blur() -> Tensor:
    """Return the matrix `[POINTS, GRID]` that blurs the grid and reads it at the points."""
    middles = (torch.arange(POINTS, dtype=torch.float64) + 0.5) / POINTS
    places = (torch.arange(-GRID, 2 * GRID, dtype=torch.float64) + 0.5) / GRID
    weights = torch.exp(-(((places[None] - middles[:, None]) / SIGMA) ** 2) / 2)
    before, inside, after = weights.split(GRID, dim=1)
    folded = inside + before.flip(1) + after.flip(1)
    return folded / folded.sum(1, keepdim=True)
