"""Losses on pictures whose latents nobody knows, and of the flow on those whose are known."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from encoder.flow import Flow
from encoder.model import Guess
from engine.seeding import derive_generator

Distances = Callable[[Tensor, Tensor], Tensor]  # two sets [N, 3, R, R] -> [N]


@dataclass(frozen=True)
class ImageLoss:
    """How far the picture of a guess is from the picture that was looked at (Richardson et al.
    2021, pSp, section 3.2), with layers kept near each other (Tov et al. 2021, e4e, eq. 3).

    Args:
        render: (v, delta) -> pictures `[N, 3, R, R]`, differentiable.
        measure: pictures -> `[N, 1, h, w]`, the exact measurement before rounding.
        perceptual: LPIPS, where its weights are given.
    """

    render: Callable[[Tensor, Tensor], Tensor]
    measure: Callable[[Tensor], Tensor]
    perceptual: Distances | None = None
    pixels_weight: float = 1.0
    luma_weight: float = 1.0
    perceptual_weight: float = 0.8
    delta_weight: float = 0.1
    prior_weight: float = 0.01  # of |v|^2 per element, which is 1 for latents of the prior

    def __call__(self, guess: Guess, x: Tensor) -> Tensor:
        """Return the loss of each of `x [N, 3, R, R]`, `[N]`."""
        found = self.render(guess.v, guess.delta)
        loss = (
            self.pixels_weight * _mean_square(found - x)
            + self.luma_weight * _mean_square(self.measure(found) - self.measure(x))
            + self.delta_weight * _mean_square(guess.delta)
            + self.prior_weight * _mean_square(guess.v)
        )
        if self.perceptual is None:
            return loss
        return loss + self.perceptual_weight * self.perceptual(found, x)


def _mean_square(difference: Tensor) -> Tensor:
    return difference.square().flatten(1).mean(1)


def flow_losses(
    flow: Flow,
    guess: Guess,
    v: Tensor,
    seed: int,
    indices: Sequence[int],
    turn: int = 0,
    draws: int = 4,
) -> Tensor:
    """Return the flow's loss for each sample `[N]`, the mean over places on its path.

    The flow is small beside the network whose features it is told, so one look pays for several.

    Args:
        flow: the flow.
        guess: what is known of the samples.
        v: their latents `[N, dim]`.
        seed: of the noise, with `indices` and `turn` and nothing else.
        indices: of the samples.
        turn: how often they have been seen before.
        draws: places on the path for each.
    """
    generators = (derive_generator(seed, "flow", i, turn) for i in indices)
    noise, angle = zip(*(_draw_places(g, draws, flow.dim) for g in generators), strict=True)
    truth, condition = (t.repeat_interleave(draws, 0) for t in (v, guess.condition))
    losses = flow.losses(truth, condition, torch.cat(noise).to(v), torch.cat(angle).to(v))
    return losses.unflatten(0, (len(v), draws)).mean(1)


def _draw_places(generator: Generator, draws: int, dim: int) -> tuple[Tensor, Tensor]:
    """Return noise `[draws, dim]` and angles `[draws, 1]`, one in each equal part of the path."""
    noise = torch.randn(draws, dim, generator=generator)
    within = torch.rand(draws, 1, generator=generator)
    return noise, (torch.arange(draws)[:, None] + within) * (math.pi / 2 / draws)
