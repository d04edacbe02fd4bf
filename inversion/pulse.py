"""PULSE (Menon et al. 2020), the search of the source systems, for comparison.

Latents of all layers start at random and stay on their spheres while Adam descends on

    100 max(mean (A G(ws) - y)^2, eps) + 0.05 GEOCROSS(ws)          (pictures in [0, 1])

StyleGAN3 has no noise inputs, so PULSE's search of them has nothing to do. Where the authors'
program mixes the candidates of a batch or keeps the last picture, this one does not.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from inversion.optimize import State, evaluate
from inversion.pipeline import Inverter, OnStep, Step

L2_WEIGHT, GEOCROSS_WEIGHT = 100.0, 0.05
ENOUGH = 2e-3  # mean squared error, pictures in [0, 1], below which nothing pulls


@dataclass(frozen=True)
class PulseConfig:
    """The schedule; its defaults are the published ones.

    Raises:
        ValueError: a value is out of range.
    """

    num_steps: int = 100
    lr: float = 0.4

    def __post_init__(self) -> None:
        for name in ("num_steps", "lr"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be positive.")

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, 'linear1cycledrop'.

        A tenth of `lr` to all of it and back in the first 0.9 of the steps, then down to a
        thousandth.
        """
        progress = step / self.num_steps
        if progress < 0.9:
            return self.lr * (1 + 9 * (1 - abs(2 * progress / 0.9 - 1))) / 10
        return self.lr * (0.1 + (progress - 0.9) / 0.1 * (0.001 - 0.1))


def geocross(ws: Tensor) -> Tensor:
    """Return how far apart the layers' latents `ws [N, L, dim]` are along the geodesic, `[N]`.

    64 mean_ij theta_ij^2, theta_ij = 2 atan2(|w_i - w_j|, |w_i + w_j|); the factor is published as
    512 / 8 (Menon et al. 2020, section 3.3).
    """
    one, other = ws[:, :, None], ws[:, None]
    apart, together = _length(one - other), _length(one + other)
    return 64 * (2 * torch.atan2(apart, together)).square().mean((1, 2))


def _length(difference: Tensor) -> Tensor:
    """Return lengths over the last axis; of nothing, 1e-8, so that the gradient is finite."""
    return (difference.square().sum(-1) + 1e-16).sqrt()


def pulse_loss(y_hat: Tensor, y: Tensor, ws: Tensor) -> Tensor:
    """Return the loss of each sample, `[N]`.

    Args:
        y_hat: measurements of the pictures, `[N, 1, h, w]` in [-1, 1].
        y: the input, `[1, 1, h, w]` in [-1, 1].
        ws: latents of the pictures, `[N, L, dim]`.
    """
    error = ((y_hat - y) / 2).square().flatten(1).mean(1)
    return L2_WEIGHT * error.clamp(min=ENOUGH) + GEOCROSS_WEIGHT * geocross(ws)


def spherical_adam(
    objective: Callable[[Tensor], Tensor], x: Tensor, config: PulseConfig
) -> Iterator[State]:
    """Descend on `objective: x [N, L, dim] -> [N]`, yielding the best so far of each sample.

    After every step of Adam each vector is brought back to the length it started with.
    """
    x = x.detach().clone()
    radius = x.norm(dim=-1, keepdim=True)
    m, s = torch.zeros_like(x), torch.zeros_like(x)
    best_x, best_value = x, x.new_full((len(x),), math.inf)
    for step in range(config.num_steps):
        value, gradient = evaluate(objective, x)
        is_better = value < best_value
        best_x = torch.where(is_better[:, None, None], x, best_x)
        best_value = torch.where(is_better, value, best_value)
        yield State(step, best_x, best_value)
        m, s = m.lerp(gradient, 1 - 0.9), s.lerp(gradient.square(), 1 - 0.999)
        m_hat, s_hat = m / (1 - 0.9 ** (step + 1)), s / (1 - 0.999 ** (step + 1))
        x = x - config.rate(step) * m_hat / (s_hat.sqrt() + 1e-8)
        x = x * (radius / x.norm(dim=-1, keepdim=True))


@dataclass(frozen=True)
class PulseInverter(Inverter):
    """Candidates by PULSE; it makes no use of `start`, nor of how `config` says to search."""

    pulse: PulseConfig = field(default_factory=PulseConfig)

    @property
    def options(self) -> dict[str, Any]:
        """What the search goes by: the published schedule, and how pictures are made."""
        shared = ("chunk", "output_side", "precision", "tau", "sigma")  # the latter for log_lik
        return {name: getattr(self.config, name) for name in shared} | asdict(self.pulse)

    def search(self, indices: range, on_step: OnStep) -> tuple[Tensor, Tensor]:
        layers, dim = self.prior.num_ws, self.prior.dim
        evidence, prior = self.input.evidence, self.prior.diagonal()
        shared = evidence.y.new_zeros(len(indices), dim)

        def objective(x: Tensor) -> Tensor:
            ws = prior.to_ws(shared, x)
            return pulse_loss(evidence.A(self._samples(ws)), evidence.y, ws)

        x = self._draw("pulse", indices, layers * dim).unflatten(1, (layers, dim))
        for state in spherical_adam(objective, x, self.pulse):
            x = state.best_x
            on_step(Step(indices.start, state.step, partial(prior.to_ws, shared, x)))
        return x.flatten(1), prior.to_ws(shared, x)
