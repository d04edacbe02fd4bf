"""Frechet distance between two sets of pictures, by mean and covariance of their features.

`|m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1^1/2 S2 S1^1/2)^1/2` (Dowson and Landau 1982) in float64.
The features are a callable's; the distance is called FID only when they are Inception's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from data.image_io import LUMA

logger = logging.getLogger(__name__)
Features = Callable[[Tensor], Tensor]  # pictures [N, 3, H, W] in [-1, 1] to features [N, d]


class FeatureError(ValueError):
    """Features that no distance can be computed from."""

    code = "E-DATA-FEATURES"


class Gaussian(NamedTuple):
    """A normal distribution."""

    mean: Tensor  # [d]
    cov: Tensor  # [d, d]


class Moments:
    """Count, mean and covariance of the features seen so far.

    `a + b` holds what both have seen. So does the sum of `a.gram` and `b.gram`: ranks reduce that
    one tensor and make `Moments` of the result. Where a mean is far above its deviation, their
    squared ratio times 1e-16 is the relative error.
    """

    def __init__(self, gram: Tensor) -> None:
        self.gram = gram  # sum over x of (1, x)(1, x)^T, [1 + d, 1 + d] float64

    @classmethod
    def of(cls, features: Tensor) -> Moments:
        """Return the moments of `features [N, d]`.

        Raises:
            FeatureError: another shape.
        """
        if features.ndim != 2:
            raise FeatureError(f"features: got shape {tuple(features.shape)}. Give [N, d].")
        x = F.pad(features.detach().double(), (1, 0), value=1.0)
        return cls(x.T @ x)

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.gram + other.gram)

    @property
    def count(self) -> int:
        """Number of pictures."""
        return int(self.gram[0, 0])

    def gaussian(self) -> Gaussian:
        """Return mean and unbiased covariance, on the CPU; warn where they are a rough estimate.

        Raises:
            FeatureError: fewer than two pictures.
        """
        count, dim = self.count, len(self.gram) - 1
        if count < 2:
            raise FeatureError(f"features of {count} pictures: too few. Give two or more.")
        if count <= dim:
            logger.warning(
                "%d pictures for %d features: the Frechet distance is biased upwards", count, dim
            )
        gram = self.gram.cpu()
        mean = gram[0, 1:] / count
        return Gaussian(mean, (gram[1:, 1:] - count * mean.outer(mean)) / (count - 1))


def accumulate(batches: Iterable[Tensor], features: Features) -> Moments:
    """Return the moments of the features of all pictures.

    Raises:
        FeatureError: no batch, or features of another shape than `[N, d]`.
    """
    with torch.inference_mode():
        each = (Moments.of(features(pictures)) for pictures in batches)
        total = next(each, None)
        if total is None:
            raise FeatureError("features of 0 pictures: too few. Give two or more.")
        return sum(each, start=total)


def draws(sample: Callable[[int], Tensor], num: int, batch: int) -> Iterator[Tensor]:
    """Yield `num` pictures of `sample(n)` in batches; only the last is smaller than `batch`."""
    for first in range(0, num, batch):
        yield sample(min(batch, num - first))


def frechet_distance(a: Gaussian, b: Gaussian) -> float:
    """Return the squared Frechet distance of two normal distributions, nan for what is not finite.

    The trace of the root is the sum of the singular values of `S1^1/2 S2^1/2`: no root is taken of
    what rounding leaves of zero eigenvalues, and so singular covariances are no trouble.

    Raises:
        FeatureError: they have different numbers of features.
    """
    if a.mean.shape != b.mean.shape:
        what = f"features of lengths {len(a.mean)} and {len(b.mean)}"
        raise FeatureError(f"{what} cannot be compared. Compute both with the same features.")
    if not all(value.isfinite().all() for value in (*a, *b)):
        return float("nan")
    overlap = torch.linalg.svdvals(_root(a.cov).T @ _root(b.cov)).sum()
    offset = (a.mean.double() - b.mean.double()).square().sum()
    distance = offset + a.cov.double().trace() + b.cov.double().trace() - 2 * overlap
    return distance.clamp(min=0).item()  # rounding leaves a little less than 0 of equal ones


def _root(cov: Tensor) -> Tensor:
    """Return R with `cov = R R^T`; which one, no singular value of `R1^T R2` can tell."""
    eigenvalues, vectors = torch.linalg.eigh(cov.double())
    return vectors * eigenvalues.clamp(min=0).sqrt()


def pixels16(pictures: Tensor) -> Tensor:
    """Return luma, R - luma and B - luma at 16x16: the features of `fd_pixels16`, `[N, 768]`.

    They need no network and no download, and see layout and colour but no detail: a distance to
    follow a training by, not one to compare models of different authors with.

    Args:
        pictures: `[N, 3, H, W]` in [-1, 1], clipped to it.

    Raises:
        FeatureError: another shape.
    """
    if pictures.ndim != 4 or pictures.shape[1] != 3:
        shape = tuple(pictures.shape)
        raise FeatureError(f"pictures: got shape {shape}. Give [N, 3, H, W].")
    rgb = pictures.float().clamp(-1, 1)
    small = F.interpolate(rgb, size=(16, 16), mode="bicubic", antialias=True)
    luma = torch.einsum("c,nchw->nhw", small.new_tensor(LUMA), small)
    return torch.stack([luma, small[:, 0] - luma, small[:, 2] - luma], dim=1).flatten(1)
