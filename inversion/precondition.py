"""Coordinates in which the descent is well conditioned.

The misfit |Sigma^-1/2 A G(x)|^2 / 2 bends by about J^T Sigma^-1 J, J the Jacobian of A G: along
some directions of the latent thousands of times more than the prior does, along others not at
all. Adam follows each coordinate on its own, so coordinates should be directions of equal
curvature. Their mean over the prior is measured with random probes, for every block of the latent
(v and each layer's own share) apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

NUM_PROBES, BATCH = 256, 8
POWER = -0.25  # of the curvature; 0 only turns the axes, -0.5 would make the mean curvature 1


@dataclass(frozen=True)
class Preconditioner:
    """The linear map x = P t, block by block."""

    to_x_blocks: Tensor  # P, [B, dim, dim]
    to_t_blocks: Tensor  # P^-1, [B, dim, dim]

    @classmethod
    def fit(
        cls, whitened: Callable[[Tensor], Tensor], num_blocks: int, dim: int, generator: Generator
    ) -> Preconditioner:
        """Measure the mean curvature and choose P = V (1 + lambda)^POWER, its eigenvectors V.

        For u ~ N(0, I), E[g g^T] = J^T Sigma^-1 J with g = J^T Sigma^-1/2 u, one backward pass.

        Args:
            whitened: x [N, num_blocks dim] -> Sigma^-1/2 A G(x), [N, ...].
            num_blocks: how many blocks x has.
            dim: length of a block.
            generator: of the probes.
        """
        curvature = torch.zeros(num_blocks, dim, dim)
        for _ in range(NUM_PROBES // BATCH):
            x = torch.randn(BATCH, num_blocks * dim, generator=generator).requires_grad_(True)
            r = whitened(x)
            u = torch.randn(r.shape, generator=generator).to(r)
            (g,) = torch.autograd.grad((r * u).sum(), x)
            g = g.unflatten(1, (num_blocks, dim))
            curvature += torch.einsum("nbi,nbj->bij", g, g)
        values, vectors = torch.linalg.eigh(curvature / NUM_PROBES)
        scale = (1 + values.clamp(min=0)).pow(POWER)[:, None]
        return cls(vectors * scale, (vectors / scale).mT)

    def to_x(self, t: Tensor) -> Tensor:
        """Return latents x `[N, B dim]` of coordinates t `[N, B dim]`."""
        return _apply(self.to_x_blocks, t)

    def to_t(self, x: Tensor) -> Tensor:
        """Return coordinates t `[N, B dim]` of latents x `[N, B dim]`."""
        return _apply(self.to_t_blocks, x)


def _apply(blocks: Tensor, x: Tensor) -> Tensor:
    parts = x.unflatten(1, blocks.shape[:2])
    return torch.einsum("bij,nbj->nbi", blocks.to(x), parts).flatten(1)
