"""Coordinates in which the descent is well conditioned.

The misfit |Sigma^-1/2 A G(x)|^2 / 2 bends by about J^T Sigma^-1 J, J the Jacobian of A G: along
some directions of the latent thousands of times more than the prior does, along most not at all.
A descent that knows nothing yet should see equal curvature wherever it looks. The curvature's mean
over the prior is measured with random probes, of which a few dozen find what is strongly bent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

NUM_PROBES, BATCH = 64, 8


@dataclass(frozen=True)
class Preconditioner:
    """The symmetric linear map x = P t; P is 1 but for the span of a few directions."""

    directions: Tensor  # [n, d], orthonormal
    scale: Tensor  # [n], the eigenvalues of P along them

    @classmethod
    def fit(
        cls, whitened: Callable[[Tensor], Tensor], dim: int, generator: Generator
    ) -> Preconditioner:
        """Measure the mean curvature C and choose P = (1 + C)^-1/2.

        For u ~ N(0, I), E[g g^T] = J^T Sigma^-1 J with g = J^T Sigma^-1/2 u, one backward pass.

        Args:
            whitened: x [N, dim] -> Sigma^-1/2 A G(x), [N, ...].
            dim: length of x.
            generator: of the probes.
        """
        probes = torch.cat([_probe(whitened, dim, generator) for _ in range(NUM_PROBES // BATCH)])
        _, singular, directions = torch.linalg.svd(probes / NUM_PROBES**0.5, full_matrices=False)
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


def _probe(whitened: Callable[[Tensor], Tensor], dim: int, generator: Generator) -> Tensor:
    x = torch.randn(BATCH, dim, generator=generator).requires_grad_(True)
    r = whitened(x)
    u = torch.randn(r.shape, generator=generator).to(r)
    (g,) = torch.autograd.grad((r * u).sum(), x)
    return g.to(r.device)
