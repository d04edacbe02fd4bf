"""Solve for a latent and, with it, for a few numbers that say how the input came about."""

from __future__ import annotations

import itertools
from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from inversion.optimize import minimize
from inversion.pipeline import Inverter
from inversion.precondition import Preconditioner

NUM_STARTS = 4  # of what was tried, that are followed to their minima
ROUNDS = 3  # in each of which the neighbours of the best are tried, half as far as before
NUM_STEPS = 40
BATCH = 9
STEP = 0.05  # of numbers, for slopes by differences


@dataclass(frozen=True)
class JointSearch(Inverter):
    """Find the numbers `[n]`, standard normal a priori, of the largest posterior density.

    The posterior has many maxima: a grid of numbers is tried first, each with the latent that is
    guessed for it, and the most promising are followed. The latent is the same in all layers: their
    own shares would do as well what the numbers are there for, moving the face or blurring it.
    """

    @abstractmethod
    def grid(self) -> Tensor:
        """Return the numbers to try first, `[K, n]`."""

    @abstractmethod
    def guesses(self, numbers: Tensor) -> Tensor:
        """Return the v `[N, dim]` that numbers `[N, n]` suggest."""

    @abstractmethod
    def misfit(self, ws: Tensor, numbers: Tensor) -> Tensor:
        """Return the whitened misfit `[N, m]` of pictures that came about so."""

    def numbers(self) -> Tensor:
        """Return the best numbers `[n]` found."""
        dim, to_ws = self.prior.dim, self.prior.to_ws
        root = self.measured_curvature() if self.curvature is None else self.curvature
        P = Preconditioner.of_curvature(root[:, :dim])
        v, numbers = self._promising()
        scale = self._scale(to_ws(v), numbers)

        def objective(t: Tensor) -> Tensor:
            v, numbers = P.to_x(t[:, :dim]), t[:, dim:] * scale
            prior = v.square().sum(1) + numbers.square().sum(1)
            return _unscaled(self.misfit(to_ws(v), numbers)) + prior / 2

        t = torch.cat([P.to_t(v), numbers / scale], dim=1)
        for state in minimize(objective, t, num_steps=NUM_STEPS, tolerance=0.1):
            best = state.best_x[int(state.best_value.argmin()), dim:]
        return best * scale

    @torch.no_grad()
    def _promising(self) -> tuple[Tensor, Tensor]:
        """Return the v `[NUM_STARTS, dim]` and numbers that fit best of all tried."""
        tried = self.grid().to(self.input.y)
        distance = torch.stack([column.unique().diff().min() for column in tried.T])
        v, costs = self._fitted(tried)
        corners = torch.tensor(list(itertools.product((-1, 0, 1), repeat=len(distance))))
        for _ in range(ROUNDS):
            distance = distance / 2
            near = tried[costs.argmin()] + corners.to(distance) * distance
            more, their_costs = self._fitted(near)
            tried, v = torch.cat([tried, near]), torch.cat([v, more])
            costs = torch.cat([costs, their_costs])
        best = costs.argsort()[:NUM_STARTS]
        return v[best], tried[best]

    def _fitted(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Return what is guessed for each row of numbers, and how badly it fits."""
        v, costs = [], []
        for part in numbers.split(BATCH):
            v.append(self.guesses(part))
            costs.append(self.misfit(self.prior.to_ws(v[-1]), part).square().sum(1))
        return torch.cat(v), torch.cat(costs)

    @torch.no_grad()
    def _scale(self, ws: Tensor, numbers: Tensor) -> Tensor:
        """Return `[n]`, for each number the width of the posterior if the latent were known."""
        bends = []
        for step in STEP * torch.eye(numbers.shape[1]).to(numbers):
            ahead, behind = (self.misfit(ws, numbers + s * step) for s in (1, -1))
            slope = (ahead - behind) / (2 * STEP)
            bends.append(slope.square().mean() / ((ahead + behind) / 2).square().mean())
        return (1 + slope.shape[1] * torch.stack(bends)).rsqrt()


def _unscaled(misfit: Tensor) -> Tensor:
    """Return -log p `[N]` of a misfit `[N, m]` in noise known but for its size, at least 1.

    With the size known, all but the true numbers would be infinitely unlikely to start from.
    """
    m = misfit.shape[1]
    return m / 2 * (misfit.square().sum(1) / m).log1p()
