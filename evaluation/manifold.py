"""How much of one set lies in the other: precision, recall, density and coverage.

The manifold of a set is the union of balls around its features, each as large as the distance to
the k-th nearest other one. Precision and recall: Kynkaanniemi et al., "Improved precision and
recall metric for assessing generative models", 2019, k = 3. Density and coverage: Naeem et al.,
"Reliable fidelity and diversity metrics for generative models", 2020, k = 5.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

K_PRECISION, K_COVERAGE = 3, 5
MOST = 10_000  # pictures of a set; of more, as many evenly spaced ones
_ROWS = 1000  # of a matrix of distances at a time
NAMES = ("precision", "recall", "density", "coverage")


def prdc(
    reals: Tensor, fakes: Tensor, k_precision: int = K_PRECISION, k_coverage: int = K_COVERAGE
) -> dict[str, float]:
    """Return the shares `NAMES`, in [0, 1] but for density, which may be above 1.

    Precision: of fakes in the reals' manifold; recall: of reals in the fakes'; density: the mean
    number of the reals' balls that a fake lies in, over k; coverage: of reals with a fake in their
    ball.

    Args:
        reals: features `[m, d]`.
        fakes: features `[n, d]`; nan where one is not finite, or k others are not there.
        k_precision: of precision and recall.
        k_coverage: of density and coverage.
    """
    reals, fakes = spread_sample(reals), spread_sample(fakes)
    is_enough = min(len(reals), len(fakes)) > max(k_precision, k_coverage)
    if not (is_enough and reals.isfinite().all() and fakes.isfinite().all()):
        return dict.fromkeys(NAMES, math.nan)
    near_real, wide_real = radii(reals, (k_precision, k_coverage))
    [near_fake] = radii(fakes, (k_precision,))
    precise, recalled, balls = 0, torch.zeros(len(reals), dtype=torch.bool), 0
    nearest = torch.full_like(wide_real, math.inf)
    for rows, distances in _distances(fakes, reals):  # [rows, m]
        precise += int((distances <= near_real).any(1).sum())
        recalled |= (distances <= near_fake[rows, None]).any(0)
        balls += int((distances <= wide_real).sum())
        nearest = torch.minimum(nearest, distances.amin(0))
    shares = (
        precise / len(fakes),
        recalled.double().mean().item(),
        balls / (k_coverage * len(fakes)),
        (nearest <= wide_real).double().mean().item(),
    )
    return dict(zip(NAMES, shares, strict=True))


def spread_sample(features: Tensor) -> Tensor:
    """Return all rows of `[n, d]`, or `MOST` evenly spaced ones, in float64."""
    num = min(len(features), MOST)
    return features[torch.arange(num) * len(features) // num].double()


def radii(features: Tensor, ks: tuple[int, ...]) -> list[Tensor]:
    """Return for each k the distance of every row `[n, d]` to its k-th nearest other, `[n]`."""
    smallest = [
        distances.topk(max(ks) + 1, largest=False).values  # itself is the first
        for _, distances in _distances(features, features)
    ]
    ordered = torch.cat(smallest)
    return [ordered[:, k] for k in ks]


def _distances(x: Tensor, y: Tensor) -> Iterator[tuple[slice, Tensor]]:
    for first in range(0, len(x), _ROWS):
        rows = slice(first, first + _ROWS)
        yield rows, torch.cdist(x[rows], y)
