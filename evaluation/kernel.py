"""KID: the squared maximum mean discrepancy of two sets of features by a cubic kernel.

Binkowski et al., "Demystifying MMD GANs", 2018: k(x, y) = (x . y / d + 1)^3, no bias at any number
of pictures. It is a mean over disjoint blocks of both sets, which says how sure it is.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

LEAST_BLOCKS = 10
BLOCK = 1000  # pictures, about, where there are enough for more than the least blocks


def kernel_distance(x: Tensor, y: Tensor) -> Tensor:
    """Return the unbiased estimate of MMD^2 of `x [m, d]` and `y [n, d]`, two rows or more each."""
    x, y = x.double(), y.double()
    within = [(k.sum() - k.trace()) / (len(k) * (len(k) - 1)) for k in (_k(x, x), _k(y, y))]
    return within[0] + within[1] - 2 * _k(x, y).mean()


def _k(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.mT / x.shape[1] + 1) ** 3


def kid(reals: Tensor, fakes: Tensor, generator: torch.Generator) -> tuple[float, float]:
    """Return KID and its standard error; nan for features that are not finite.

    Every picture is in one block; the error is the blocks' deviation over the root of their number.

    Args:
        reals: features `[m, d]`.
        fakes: features `[n, d]`; with fewer than 20 of either, both numbers are nan.
        generator: shuffles both, since a data set may be sorted.
    """
    num_blocks = max(LEAST_BLOCKS, min(len(reals), len(fakes)) // BLOCK)
    if min(len(reals), len(fakes)) < 2 * LEAST_BLOCKS:
        return math.nan, math.nan
    blocks = [
        features[torch.randperm(len(features), generator=generator)].tensor_split(num_blocks)
        for features in (reals, fakes)
    ]
    found = torch.stack([kernel_distance(x, y) for x, y in zip(*blocks, strict=True)])
    return found.mean().item(), (found.std() / math.sqrt(num_blocks)).item()
