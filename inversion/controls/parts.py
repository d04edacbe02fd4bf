"""The colour of hair, skin, eyes or clothes, where a reader of the grey input sees them.

Pixels mix what covers them. With P the shares that the regions and all else cover of each place,
and one colour to each region, x = P c in the mean; least squares give the colours back as

    c = (P^T P)^-1 P^T x = W x,

linear in the picture, so 'the hair is red' is evidence like any other. Where a region is hardly
seen, its row of W is long, and tells of it with much noise.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from inversion.controls.chroma import Wanted

LEAST = (
    3.0  # places, of GRID^2, that a region must cover in all to be found: 48 pixels of 256 x 256
)
STD = {"hair": 0.015, "skin": 0.015, "eyes": 0.03, "clothes": 0.03}  # on the scale of [-1, 1]
PLACE_STD = 0.1  # of a place that is not the mixture that it is taken for


def unmixing(shares: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights `[GRID, GRID]` that give each region's colour; only of those found.

    Args:
        shares: of each place that each region covers, `[GRID, GRID]` in [0, 1].
    """
    found = {name: share.double() for name, share in shares.items() if share.sum() >= LEAST}
    if not found:
        return {}
    named = torch.stack(list(found.values()))
    mixed = torch.cat([named, (1 - named.sum(0, keepdim=True)).clamp(min=0)])
    columns = mixed.flatten(1).mT
    weights = torch.linalg.pinv(columns, rtol=1e-3)[: len(found)]
    weights = weights / weights.sum(1, keepdim=True)  # P need not sum to 1 where it was clipped
    return dict(zip(found, weights.unflatten(1, named.shape[1:]), strict=True))


def part_colours(weights: Mapping[str, Tensor], rgb: Tensor) -> dict[str, Tensor]:
    """Return each region's colour `[3]` in a picture `rgb [3, GRID, GRID]` in [0, 1]."""
    return {
        name: torch.einsum("ij,cij->c", w, rgb.double()).clamp(0, 1) for name, w in weights.items()
    }


def parts(weights: Mapping[str, Tensor], colours: Mapping[str, Tensor]) -> Wanted | None:
    """Return what is asked for of the regions that have weights; None if of none."""
    names = [name for name in colours if name in weights]
    if not names:
        return None
    meant = torch.tensor([STD[name] for name in names], dtype=torch.float64)
    weight, rgb = (torch.stack([each[name] for name in names]) for each in (weights, colours))
    read = PLACE_STD * weight.flatten(1).norm(dim=1)
    return Wanted(weight, rgb, torch.hypot(meant, read))
