"""Coordinates in which the descent is well conditioned.

The misfit |Sigma^-1/2 A G(x)|^2 / 2 bends by about J^T Sigma^-1 J, J the Jacobian of A G: along
some directions of the latent thousands of times more than the prior does, along most not at all.
A descent that knows nothing yet should see equal curvature wherever it looks. The curvature's mean
over the prior is measured with random probes, of which a few hundred find all that is bent. An
encoder's file keeps it, so that an inversion need not pay for them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

NUM_PROBES, BATCH = 64, 8  # of one inversion where no file keeps the curvature; at a time


@dataclass(frozen=True)
class Preconditioner:
    """The symmetric linear map x = P t; P is 1 but for the span of a few directions."""

    directions: Tensor  # [n, d], orthonormal
    scale: Tensor  # [n], the eigenvalues of P along them

    @classmethod
    def of_curvature(cls, root: Tensor) -> Preconditioner:
        """Choose P = (1 + C)^-1/2 for the curvature C = root^T root, root `[n, d]`."""
        _, singular, directions = torch.linalg.svd(root, full_matrices=False)
        return cls(directions, (1 + singular.square()).rsqrt())

    def to_x(self, t: Tensor) -> Tensor:
        """Return latents x `[N, d]` of coordinates t `[N, d]`."""
        return self._stretch(t, self.scale)

    def to_t(self, x: Tensor) -> Tensor:
        """Return coordinates t `[N, d]` of latents x `[N, d]`."""
        return self._stretch(x, 1 / self.scale)

    def _stretch(self, x: Tensor, scale: Tensor) -> Tensor:
        directions, scale = self.directions.to(x), scale.to(x)
        return x + ((scale - 1) * (x @ directions.T)) @ directions


def curvature_root(
    whitened: Callable[[Tensor], Tensor], dim: int, generator: Generator, num_probes: int, rank: int
) -> Tensor:
    """Measure the mean curvature C over the prior; return `root [rank, dim]`, C = root^T root.

    For u ~ N(0, I), E[g g^T] = J^T Sigma^-1 J with g = J^T Sigma^-1/2 u, one backward pass. Of
    what the probes find, the `rank` most bent directions are kept.

    Args:
        whitened: x [N, dim] -> Sigma^-1/2 A G(x), [N, ...].
        dim: length of x.
        generator: of the probes.
        num_probes: how many, rounded up to a multiple of `BATCH`.
        rank: rows of the answer; those beyond what was probed are 0.
    """
    num = -(-num_probes // BATCH)
    probes = torch.cat([_probe(whitened, dim, generator) for _ in range(num)])
    _, singular, directions = torch.linalg.svd(probes / len(probes) ** 0.5, full_matrices=False)
    root = probes.new_zeros(rank, dim)
    kept = min(rank, len(singular))
    root[:kept] = singular[:kept, None] * directions[:kept]
    return root


def _probe(whitened: Callable[[Tensor], Tensor], dim: int, generator: Generator) -> Tensor:
    x = torch.randn(BATCH, dim, generator=generator).requires_grad_(True)
    r = whitened(x)
    u = torch.randn(r.shape, generator=generator).to(r)
    (g,) = torch.autograd.grad((r * u).sum(), x)
    return g.to(r.device)
