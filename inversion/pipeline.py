"""From one small grey picture to several coloured ones: start, solve, keep the best, project."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from inversion.config import InversionConfig
from inversion.latent import LatentPrior
from inversion.objective import RandomisedProblem, one_sided_residual
from inversion.operators import GreySmall, MeasurementNoise
from inversion.optimize import minimize
from inversion.project import Projection, project
from stylegan import Generator
from stylegan.seeding import derive_generator

Start = Callable[[Tensor], Tensor]  # standard normal [N, dim] -> where to start in v, [N, dim]


@dataclass(frozen=True)
class Candidates:
    """Some solved candidates, `k = first, first + 1, ...`; one entry per candidate."""

    first: int
    ws: Tensor  # [N, num_ws, w_dim]
    pictures: Tensor  # [N, 3, R, R], G's own, clipped to [-1, 1]
    residual_before_rms_255: Tensor  # [N], of G's own pictures, in grey levels
    log_lik: Tensor  # [N], log p(y | ws)
    log_prior: Tensor  # [N], log p of the latent, up to a constant
    projection: Projection


@dataclass(frozen=True)
class Inverter:
    """Everything that stays the same from candidate to candidate."""

    G: Generator
    prior: LatentPrior
    A: GreySmall
    y: Tensor  # [1, 1, h, w] in [-1, 1]
    start: Start
    config: InversionConfig
    seed: int

    def candidates(
        self, num_samples: int, on_step: Callable[[], None] = lambda: None
    ) -> Iterator[Candidates]:
        """Solve for candidates 0 ... num_samples - 1, a chunk at a time.

        Candidate k depends on (seed, k) alone: chunks are always full, so that the arithmetic of
        one never changes with the number asked for.

        Args:
            num_samples: how many are wanted.
            on_step: called after every optimiser step.
        """
        chunk = self.config.chunk
        for first in range(0, num_samples, chunk):
            yield self._solve(first, min(chunk, num_samples - first), on_step)

    def _solve(self, first: int, wanted: int, on_step: Callable[[], None]) -> Candidates:
        indices = range(first, first + self.config.chunk)
        noise = MeasurementNoise(self.A, self.config.tau, self.config.sigma)
        anchor = self._draw("anchor", indices, self.prior.dim * (1 + self.prior.num_ws))
        eps = [noise.sample(self._one(), derive_generator(self.seed, "eps", k)) for k in indices]
        problem = RandomisedProblem(
            measure=lambda x: self.A(self._synthesise(self._ws(x), self.config.precision)),
            target=self.y + torch.cat(eps).to(self.y),
            anchor=anchor,
            whiten=noise.whiten,
            residual=one_sided_residual(self.y),
        )
        x = torch.cat([self.start(anchor[:, : self.prior.dim]), anchor[:, self.prior.dim :]], dim=1)
        for state in minimize(problem, x, num_steps=self.config.num_steps, lr=self.config.lr):
            x = state.best_x
            on_step()
        return self._finish(first, wanted, x, noise)

    def _finish(self, first: int, wanted: int, x: Tensor, noise: MeasurementNoise) -> Candidates:
        with torch.inference_mode():
            ws = self._ws(x)
            pictures = self._synthesise(ws).clamp(-1, 1)[:wanted]
            r = one_sided_residual(self.y)(self.A(pictures), self.y)
            constant = noise.log_det() + self.y.numel() * math.log(2 * math.pi)
        return Candidates(
            first=first,
            ws=ws[:wanted],
            pictures=pictures,
            residual_before_rms_255=r.square().flatten(1).mean(1).sqrt() * 127.5,
            log_lik=-(noise.whiten(r).square().flatten(1).sum(1) + constant) / 2,
            log_prior=-x[:wanted].square().sum(1) / 2,
            projection=project(pictures, self.y, self.A),
        )

    def _ws(self, x: Tensor) -> Tensor:
        """Unpack `x = [v, delta / delta_std]` `[N, dim (1 + num_ws)]` into ws."""
        v, delta = x[:, : self.prior.dim], x[:, self.prior.dim :]
        layered = delta.unflatten(1, (self.prior.num_ws, self.prior.dim)) * self.config.delta_std
        return self.prior.to_ws(v, layered)

    def _synthesise(self, ws: Tensor, precision: str = "fp32") -> Tensor:
        return self.G.synthesis(ws, precision=precision)

    def _draw(self, stream: str, indices: range, dim: int) -> Tensor:
        rows = [
            torch.randn(1, dim, generator=derive_generator(self.seed, stream, k)) for k in indices
        ]
        return torch.cat(rows).to(self.y)

    def _one(self) -> tuple[int, int, int, int]:
        return (1, 1, *self.A.size)


def rebuild(G: Generator, ws: Tensor, y: Tensor, A: GreySmall, chunk: int) -> Projection:
    """Make the finished pictures again from their latents `[K, num_ws, w_dim]`.

    Chunks are filled up as when the latents were found, so that the bytes are the same.
    """
    parts = []
    for part in ws.split(chunk):
        padded = torch.cat([part, part[-1:].expand(chunk - len(part), -1, -1)])
        with torch.inference_mode():
            parts.append(G.synthesis(padded).clamp(-1, 1)[: len(part)])
    return project(torch.cat(parts), y, A)
