"""The randomised problem whose solution is one posterior sample (perturb, then optimise).

Draw `a ~ N(0, I)` and `eps ~ N(0, Sigma)`, then minimise over the latent x

    |Sigma^-1/2 (f(x) - y - eps)|^2 / 2 + |x - a|^2 / 2.

For a linear f the minimiser is an exact sample of the posterior (Papandreou and Yuille 2010;
Orieux et al. 2012); for a generator it is the usual approximation. Nothing is shared between
samples.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class RandomisedProblem:
    """One problem per sample; the latent is `x [N, d]`, standard normal a priori."""

    misfit: Callable[[Tensor], Tensor]  # x -> Sigma^-1/2 (f(x) - y - eps), [N, m]
    anchor: Tensor  # a, [N, d]

    def __call__(self, x: Tensor) -> Tensor:
        """Return the objective of every sample, `[N]`."""
        distance = x - self.anchor
        return self.misfit(x).square().sum(1) / 2 + distance.square().sum(1) / 2
