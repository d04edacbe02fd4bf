"""Solve for a latent and, with it, for a few numbers that say how the input came about."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from inversion.optimize import minimize
from inversion.pipeline import Inverter

NUM_STARTS = 4  # of what was tried, that are followed to their minima
NUM_STEPS = 40
BATCH = 9
STEP = 0.05  # of numbers, for slopes by differences


@dataclass(frozen=True)
class JointSearch(Inverter):
    """Find the numbers `[n]`, standard normal a priori, of the largest posterior density.

    The posterior has many maxima: a grid of numbers is tried first, each with the latent that is
    guessed for it, and the most promising are followed.
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
        P, width = self._preconditioner, self.prior.dim * (1 + self.prior.num_ws)
        x, numbers = self._promising(width)
        scale = self._scale(self._ws(x), numbers)

        def objective(t: Tensor) -> Tensor:
            x, numbers = P.to_x(t[:, :width]), t[:, width:] * scale
            prior = x.square().sum(1) + numbers.square().sum(1)
            return (self.misfit(self._ws(x), numbers).square().sum(1) + prior) / 2

        t = torch.cat([P.to_t(x), numbers / scale], dim=1)
        for state in minimize(objective, t, num_steps=NUM_STEPS, tolerance=0.1):
            best = state.best_x[int(state.best_value.argmin()), width:]
        return best * scale

    @torch.no_grad()
    def _promising(self, width: int) -> tuple[Tensor, Tensor]:
        """Return the latents `[NUM_STARTS, width]` and numbers that fit best of all tried."""
        tried, costs, grid = [], [], self.grid().to(self.input.y)
        for numbers in grid.split(BATCH):
            x = F.pad(self.guesses(numbers), (0, width - self.prior.dim))
            costs.append(self.misfit(self._ws(x), numbers).square().sum(1))
            tried.append(x)
        best = torch.cat(costs).argsort()[:NUM_STARTS]
        return torch.cat(tried)[best], grid[best]

    @torch.no_grad()
    def _scale(self, ws: Tensor, numbers: Tensor) -> Tensor:
        """Return `[n]`, for each number the width of the posterior if the latent were known."""
        bends = []
        for step in STEP * torch.eye(numbers.shape[1]).to(numbers):
            ahead, behind = (self.misfit(ws, numbers + s * step) for s in (1, -1))
            slope = (ahead - behind) / (2 * STEP)
            bends.append(slope.square().sum(1).mean())
        return (1 + torch.stack(bends)).rsqrt()
