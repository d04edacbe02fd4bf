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

Whiten = Callable[[Tensor], Tensor]  # r [N, ...] -> Sigma^-1/2 r, up to a rotation


@dataclass(frozen=True)
class RandomisedProblem:
    """One problem per sample; the latent is `x [N, d]`, standard normal a priori."""

    measure: Callable[[Tensor], Tensor]  # f: x [N, d] -> y_hat [N, ...]
    target: Tensor  # y + eps, [N, ...]
    anchor: Tensor  # a, [N, d]
    whiten: Whiten
    residual: Callable[[Tensor, Tensor], Tensor]  # (y_hat, target) -> what counts as error

    def __call__(self, x: Tensor) -> Tensor:
        """Return the objective of every sample, `[N]`."""
        misfit = self.whiten(self.residual(self.measure(x), self.target))
        distance = x - self.anchor
        return misfit.square().flatten(1).sum(1) / 2 + distance.square().flatten(1).sum(1) / 2


def one_sided_residual(y: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    """Return a residual `y_hat - target` that forgives overshoot where y is saturated.

    A file holds 0 or 255 wherever the measurement is at or beyond the end of the scale, so there
    only the other direction is an error.
    """
    at_white, at_black = y >= 1, y <= -1

    def residual(y_hat: Tensor, target: Tensor) -> Tensor:
        r = y_hat - target
        r = r.where(~at_white, r.clamp(max=0))
        return r.where(~at_black, r.clamp(min=0))

    return residual
