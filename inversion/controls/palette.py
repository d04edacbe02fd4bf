"""The colours of another picture, wherever they lie in it.

Two pictures have the same palette if their chroma (OKLab's a and b) is distributed alike. Seen
along one direction of the a-b plane a distribution is its quantiles, and the mean square difference
of quantiles over all directions is the sliced Wasserstein distance (Bonneel et al. 2015):
differentiable, and blind to places. The quantiles are taken for a measurement,

    y_kq = mean of the q-th share of the sorted projections on direction k,

which makes the misfit that distance, weighted. This is no Gaussian evidence: a reference of
another subject has quantiles that the truth does not have up to an error that could be measured.
`STD` only says how closely they are followed, and the candidates are samples of nothing known.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from inversion.controls.chroma import grid_matrix
from inversion.controls.oklab import to_oklab
from inversion.evidence import Evidence, IndependentNoise

DIRECTIONS, QUANTILES = 12, 32
STD = 0.02  # of a quantile, OKLab units; a just noticeable difference is about 0.02


class ChromaQuantiles:
    """Quantiles of the chroma of the generator's samples, `[N, 3, R, R]` -> `[N, K, Q]`.

    K is DIRECTIONS, Q QUANTILES. Piecewise smooth: pixels that change ranks leave no jump.
    """

    def __init__(self, img_resolution: int, side: int) -> None:
        self._d = grid_matrix(img_resolution, side)

    def __call__(self, img: Tensor) -> Tensor:
        """Measure samples, on the scale of [-1, 1]."""
        d = self._d.to(img)
        return quantiles((d @ img @ d.mT).clamp(-1, 1))


def quantiles(places: Tensor) -> Tensor:
    """Return the quantiles `[N, K, Q]` of pictures `[N, 3, GRID, GRID]` in [-1, 1]."""
    chroma = to_oklab((places.flatten(2).mT + 1) / 2)[..., 1:]
    angle = torch.arange(DIRECTIONS).to(chroma) * (math.pi / DIRECTIONS)
    projected = chroma @ torch.stack([angle.cos(), angle.sin()])
    ordered = projected.mT.sort(dim=2).values
    return ordered.unflatten(2, (QUANTILES, -1)).mean(3)


def palette_evidence(reference: Tensor, img_resolution: int, side: int) -> Evidence:
    """Return the evidence that a picture has the colours of another.

    Args:
        reference: `[1, 3, GRID, GRID]` in [-1, 1].
        img_resolution: R, of the generator.
        side: P, of the finished pictures.
    """
    y = quantiles(reference).float()
    # two numbers a quantile are independent, however many directions they are seen from
    std = torch.full_like(y, STD * math.sqrt(DIRECTIONS / 2))
    return Evidence("palette", ChromaQuantiles(img_resolution, side), y, IndependentNoise(std))
