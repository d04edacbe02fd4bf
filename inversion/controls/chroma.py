"""Colour as linear evidence: weighted means of a picture's chroma.

A grey input says the luma of every place and nothing of the chroma; a control says the chroma of
some places and nothing of their luma. Chroma is what a shift of grey leaves alone, as the projector
does: two coordinates U x of each pixel with U 1 = 0. All controls that name a colour measure

    y_i = sum_p W_ip U x_p

and differ only in their weights W over a grid of n x n places: one small place for a stroke of the
brush, a Gaussian for a blurred cue, a row of unmixing weights for 'the hair'.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from inversion.evidence import Evidence, IndependentNoise
from inversion.operators import bicubic_matrix

GRID = 64  # places along a side; colour is known no finer
CHROMA = ((0.5**0.5, -(0.5**0.5), 0.0), (6**-0.5, 6**-0.5, -2 * 6**-0.5))  # U, orthonormal rows


def chroma_of(rgb: Tensor) -> Tensor:
    """Return U x `[..., 2]` of colours `[..., 3]`."""
    return rgb @ rgb.new_tensor(CHROMA).mT


def grid_matrix(img_resolution: int, side: int) -> Tensor:
    """Return the matrix `[GRID, R]` from a generator's samples to the grid, by way of `side`."""
    return bicubic_matrix(GRID, side) @ bicubic_matrix(side, img_resolution)


class ChromaMeans:
    """Weighted means of chroma of the generator's samples, `[N, 3, R, R]` -> `[N, m, 2]`.

    Linear and differentiable; samples are on the scale of [-1, 1], and so are the means.
    """

    def __init__(self, img_resolution: int, side: int, weights: Tensor) -> None:
        """Build the operator for pictures of side R that are finished at `side`.

        Args:
            weights: W `[m, GRID, GRID]`; each row sums to 1, or to 0.
        """
        self.weights = weights.double()
        self._d = grid_matrix(img_resolution, side)

    def __call__(self, img: Tensor) -> Tensor:
        """Measure the samples."""
        chroma = torch.einsum("uc,nchw->nuhw", img.new_tensor(CHROMA), img)
        d = self._d.to(img)
        places = (d @ chroma @ d.mT).flatten(2)
        return (places @ self.weights.flatten(1).to(img).mT).mT


@dataclass(frozen=True)
class Wanted:
    """Colours that a control asks for, one for each row of weights."""

    weights: Tensor  # [m, GRID, GRID], rows that sum to 1
    rgb: Tensor  # [m, 3], in [0, 1]
    std: Tensor  # [m], how well each is meant, on the scale of [-1, 1]


def chroma_evidence(name: str, wanted: Wanted, img_resolution: int, side: int) -> Evidence:
    """Return the evidence that the means have the chroma wanted.

    The generator's own error tau has no part in it: a finished picture has the generator's chroma.

    Args:
        name: of the control.
        wanted: the colours, of the luma that the input gives them (`luma.fitted`).
        img_resolution: R, of the generator.
        side: P, of the finished pictures.
    """
    A = ChromaMeans(img_resolution, side, wanted.weights)
    y = 2 * chroma_of(wanted.rgb)[None].float()
    return Evidence(name, A, y, IndependentNoise(wanted.std[:, None].expand_as(y).float()))
