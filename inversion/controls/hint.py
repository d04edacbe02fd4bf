"""Strokes of the user's brush: the colour that a painted place should have.

A stroke is known cell by cell: its mean colour, as surely as the cell is covered. Soft brushes and
strokes thinner than a cell weigh what they cover.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from inversion.controls.chroma import GRID, Wanted

CELLS = 32  # along a side
STD = 0.015  # of the chroma of a cell that is painted all over, on the scale of [-1, 1]
LEAST = 1 / 64  # share of a cell below which paint counts for nothing: one pixel of 8 x 8


class HintError(ValueError):
    """Strokes of which nothing can be made."""

    code = "E-INV-HINT"


def hint(rgba: Tensor) -> Wanted:
    """Return what strokes ask for.

    Args:
        rgba: `[4, P, P]` in [0, 1], P at least GRID; colour where alpha is 0 does not matter.

    Raises:
        HintError: nothing is painted.
    """
    rgba = rgba.double()
    paint = F.interpolate(
        torch.cat([rgba[:3] * rgba[3:], rgba[3:]])[None], (GRID, GRID), mode="area"
    )[0]
    cells, coverage = _cells(paint[3])
    painted = coverage >= LEAST
    if not painted.any():
        raise HintError("--hint: no pixel is painted. Leave all but the strokes transparent.")
    cells, coverage = cells[painted], coverage[painted]
    colour = torch.einsum("mij,cij->mc", (cells > 0).double(), paint[:3])
    total = (cells > 0).double().flatten(1) @ paint[3].flatten()
    return Wanted(cells, (colour / total[:, None]).clamp(0, 1), STD / coverage.sqrt())


def _cells(alpha: Tensor) -> tuple[Tensor, Tensor]:
    """Return weights `[CELLS^2, GRID, GRID]` of each cell's painted places, and its coverage."""
    step = GRID // CELLS
    number = torch.arange(GRID, device=alpha.device) // step
    cell = number[:, None] * CELLS + number[None]
    weights = F.one_hot(cell, CELLS**2).permute(2, 0, 1) * alpha
    total = weights.flatten(1).sum(1)
    return weights / total.clamp(min=1e-12)[:, None, None], total / step**2
