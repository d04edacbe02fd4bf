"""From one small grey picture to several coloured ones: start, solve, keep the best, project."""

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from engine.seeding import derive_generator
from inversion.config import InversionConfig
from inversion.latent import LatentPrior
from inversion.objective import RandomisedProblem, one_sided_residual
from inversion.operators import GreySmall, MeasurementNoise, sample_at
from inversion.optimize import minimize
from inversion.precondition import Preconditioner
from inversion.project import Projection, project
from stylegan import Generator

Start = Callable[[Tensor], Tensor]  # standard normal [N, dim] -> where to start in v, [N, dim]


@dataclass(frozen=True)
class Candidates:
    """Some solved candidates, `k = first, first + 1, ...`; one entry per candidate."""

    first: int
    ws: Tensor  # [N, num_ws, w_dim]
    pictures: Tensor  # [N, 3, P, P], G's own, sampled at P and clipped to [-1, 1]
    residual_before_rms_255: Tensor  # [N], of G's own pictures, in grey levels
    log_lik: Tensor  # [N], log p(y | ws)
    log_prior: Tensor  # [N], log p of the latent, up to a constant
    projection: Projection


@dataclass(frozen=True)
class Inverter:
    """Everything that stays the same from candidate to candidate.

    `A` measures finished pictures, of side P; a generator's R x R samples are sampled at P first.
    """

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

    @cached_property
    def _A_of_samples(self) -> GreySmall:
        """`A` of pictures given by the generator's own R x R samples."""
        side = self.A.img_resolution
        return GreySmall(self.G.config.img_resolution, self.A.size, sampled_at=side)

    @cached_property
    def _noise(self) -> MeasurementNoise:
        return MeasurementNoise(self._A_of_samples, self.config.tau, self.config.sigma)

    @cached_property
    def _preconditioner(self) -> Preconditioner:
        return Preconditioner.fit(
            lambda x: self._noise.whiten(self._measure(x)),
            self.prior.dim * (1 + self.prior.num_ws),
            derive_generator(0, "preconditioner"),
        )

    def _measure(self, x: Tensor) -> Tensor:
        return self._measure_ws(self._ws(x.to(self.y)))

    def _measure_ws(self, ws: Tensor) -> Tensor:
        return self._A_of_samples(self.G.synthesis(ws, precision=self.config.precision))

    @property
    def options(self) -> dict[str, Any]:
        """What the search goes by, its `num_steps` being the most that a chunk takes."""
        return asdict(self.config)

    def _solve(self, first: int, wanted: int, on_step: Callable[[], None]) -> Candidates:
        x, ws = self.search(range(first, first + self.config.chunk), on_step)
        with torch.inference_mode():
            img = self.G.synthesis(ws).clamp(-1, 1)
        return self._finish(first, x[:wanted], ws[:wanted], img[:wanted])

    def search(self, indices: range, on_step: Callable[[], None]) -> tuple[Tensor, Tensor]:
        """Return the latents of a chunk, `[N, d]`, standard normal a priori, and their ws."""
        dim, anchor = self.prior.dim, self._anchor(indices)
        shape = (1, 1, *self.A.size)
        eps = [self._noise.sample(shape, self._generator("eps", k)) for k in indices]
        problem = RandomisedProblem(
            measure=self._measure,
            target=self.y + torch.cat(eps).to(self.y),
            anchor=anchor,
            whiten=self._noise.whiten,
            residual=one_sided_residual(self.y),
        )
        x = torch.cat([self.start(anchor[:, :dim]), anchor[:, dim:]], dim=1)
        x = self._descend(problem, x, on_step)
        return x, self._ws(x)

    def _descend(
        self, problem: RandomisedProblem, x: Tensor, on_step: Callable[[], None]
    ) -> Tensor:
        P, config = self._preconditioner, self.config
        t = P.to_t(x)
        for state in minimize(
            lambda t: problem(P.to_x(t)),
            t,
            num_steps=config.num_steps,
            tolerance=config.tolerance,
        ):
            t = state.best_x
            on_step()
        return P.to_x(t)

    def _finish(self, first: int, x: Tensor, ws: Tensor, img: Tensor) -> Candidates:
        pictures = sample_at(img, self.A.img_resolution).clamp(-1, 1)
        r = one_sided_residual(self.y)(self.A(pictures), self.y)
        return Candidates(
            first,
            ws,
            pictures,
            residual_before_rms_255=r.square().flatten(1).mean(1).sqrt() * 127.5,
            log_lik=self._log_lik(img),
            log_prior=-x.square().sum(1) / 2,
            projection=project(pictures, self.y, self.A),
        )

    def _log_lik(self, img: Tensor) -> Tensor:
        r = one_sided_residual(self.y)(self._A_of_samples(img), self.y)
        misfit = self._noise.whiten(r).square().flatten(1).sum(1)
        return -(misfit + self._noise.log_det() + self.y.numel() * math.log(2 * math.pi)) / 2

    def _ws(self, x: Tensor) -> Tensor:
        """Unpack `x = [v, delta / delta_std]` `[N, dim (1 + num_ws)]` into ws."""
        v, delta = x[:, : self.prior.dim], x[:, self.prior.dim :]
        layered = delta.unflatten(1, (self.prior.num_ws, self.prior.dim)) * self.config.delta_std
        return self.prior.to_ws(v, layered)

    def _anchor(self, indices: range) -> Tensor:
        return self._draw("anchor", indices, self.prior.dim * (1 + self.prior.num_ws))

    def _draw(self, stream: str, indices: range, dim: int) -> Tensor:
        rows = [torch.randn(1, dim, generator=self._generator(stream, k)) for k in indices]
        return torch.cat(rows).to(self.y)

    def _generator(self, stream: str, k: int) -> torch.Generator:
        return derive_generator(self.seed, stream, k)


def rebuild(G: Generator, ws: Tensor, y: Tensor, A: GreySmall, chunk: int) -> Projection:
    """Make the finished pictures again from their latents `[K, num_ws, w_dim]`.

    Chunks are filled up as when the latents were found, so that the bytes are the same.
    """
    parts = []
    for part in ws.split(chunk):
        padded = torch.cat([part, part[-1:].expand(chunk - len(part), -1, -1)])
        with torch.inference_mode():
            parts.append(G.synthesis(padded).clamp(-1, 1)[: len(part)])
    return project(sample_at(torch.cat(parts), A.img_resolution).clamp(-1, 1), y, A)
