"""From one small grey picture to several coloured ones: start, solve, keep the best, project."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor

from engine.seeding import derive_generator
from inversion.config import InversionConfig
from inversion.evidence import Evidence, rms_255
from inversion.inputs import Input
from inversion.latent import LatentPrior
from inversion.objective import RandomisedProblem
from inversion.operators import sample_at
from inversion.optimize import minimize
from inversion.precondition import NUM_PROBES, Preconditioner, curvature_root
from inversion.project import Projection
from inversion.starts import best_of_guesses
from stylegan import Generator

Start = Callable[[Tensor], Tensor]  # standard normal [N, dim] -> where to start in v, [N, dim]


@dataclass(frozen=True)
class Step:
    """Where the search of a chunk stands; `ws` makes its best latents, `[chunk, num_ws, w_dim]`."""

    first: int  # number of the chunk's first candidate
    number: int
    ws: Callable[[], Tensor]


OnStep = Callable[[Step], object]


@dataclass(frozen=True)
class Candidates:
    """Some solved candidates, `k = first, first + 1, ...`; one entry per candidate."""

    first: int
    ws: Tensor  # [N, num_ws, w_dim]
    pictures: Tensor  # [N, 3, P, P], G's own, sampled at P and clipped to [-1, 1]
    residual_before_rms_255: Tensor  # [N], of G's own pictures, in grey levels
    residuals_rms_255: dict[str, Tensor]  # [N] of the generator's samples, by name of evidence
    log_lik: Tensor  # [N], log p(y | ws), of all evidence
    log_prior: Tensor  # [N], log p of the latent, up to a constant
    projection: Projection


@dataclass(frozen=True)
class Inverter:
    """Everything that stays the same from candidate to candidate."""

    G: Generator
    prior: LatentPrior
    input: Input
    start: Start
    config: InversionConfig
    seed: int
    further: tuple[Evidence, ...] = ()  # beside the input's own; names differ
    share: Tensor | None = None  # [1, num_ws, dim], a guess of what each layer adds to v
    curvature: Tensor | None = None  # root [n, d] of the mean curvature in x; None: to be measured
    transform: Tensor | None = None  # [1, 3, 3], how the face lies, as `G.synthesis` takes it

    def candidates(
        self, num_samples: int, on_step: OnStep = lambda step: None
    ) -> Iterator[Candidates]:
        """Solve for candidates 0 ... num_samples - 1, a chunk at a time.

        Candidate k depends on (seed, k) alone: chunks are always full, so that the arithmetic of
        one never changes with the number asked for.

        Args:
            num_samples: how many are wanted.
            on_step: called after every optimiser step of a chunk.
        """
        chunk = self.config.chunk
        for first in range(0, num_samples, chunk):
            yield self._solve(first, min(chunk, num_samples - first), on_step)

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """All that is known of the picture, the input first."""
        return (self.input.evidence, *self.further)

    @cached_property
    def _preconditioner(self) -> Preconditioner:
        root = self.measured_curvature() if self.curvature is None else self.curvature
        return Preconditioner.of_curvature(root)

    def measured_curvature(self, num_probes: int = NUM_PROBES, rank: int = NUM_PROBES) -> Tensor:
        """Return a root `[rank, d]` of the misfit's mean curvature over the prior."""

        def whitened(x: Tensor) -> Tensor:
            img = self._samples(self._ws(x.to(self.input.y)))
            return torch.cat([e.whitened(img) for e in self.evidence], dim=1)

        dim, generator = (
            self.prior.dim * (1 + self.prior.num_ws),
            derive_generator(0, "preconditioner"),
        )
        return curvature_root(whitened, dim, generator, num_probes, rank)

    def pictures(self, ws: Tensor) -> Tensor:
        """Return the generator's own pictures `[N, 3, R, R]`, in [-1, 1]."""
        return posed(self.G, self.transform)(ws).clamp(-1, 1)

    def _samples(self, ws: Tensor) -> Tensor:
        """Return the pictures `[N, 3, R, R]` that the search goes by."""
        return posed(self.G, self.transform)(ws, precision=self.config.precision)

    @property
    def options(self) -> dict[str, Any]:
        """What the search goes by, its `num_steps` being the most that a chunk takes."""
        return asdict(self.config)

    def _solve(self, first: int, wanted: int, on_step: OnStep) -> Candidates:
        x, ws = self.search(range(first, first + self.config.chunk), on_step)
        with torch.inference_mode():
            img = self.pictures(ws)
        return self._finish(first, x[:wanted], ws[:wanted], img[:wanted])

    def search(self, indices: range, on_step: OnStep) -> tuple[Tensor, Tensor]:
        """Return the latents of a chunk, `[N, d]`, standard normal a priori, and their ws."""
        dim, anchor = self.prior.dim, self._anchor(indices)
        targets = [self._target(e, indices) for e in self.evidence]

        def misfit(x: Tensor) -> Tensor:
            img = self._samples(self._ws(x))
            pairs = zip(self.evidence, targets, strict=True)
            return torch.cat([e.misfit(img, target) for e, target in pairs], dim=1)

        problem = RandomisedProblem(misfit, anchor)
        if self.further:
            x = self._chosen_start(anchor, targets)
        else:
            x = torch.cat([self.start(anchor[:, :dim]), anchor[:, dim:] + self._share], dim=1)
        x = self._descend(problem, x, indices.start, on_step)
        return x, self._ws(x)

    @torch.no_grad()
    def _chosen_start(self, anchor: Tensor, targets: list[Tensor]) -> Tensor:
        """Return the guess that fits all evidence best, each piece counting as one number.

        No layer's own share is drawn yet: it would blur what the guesses differ in.
        """
        dim = self.prior.dim
        layers = torch.zeros_like(anchor[:, dim:]) + self._share

        def guess(noise: Tensor) -> Tensor:
            return torch.cat([self.start(noise), layers], dim=1)

        def cost(x: Tensor) -> Tensor:
            img = self._samples(self._ws(x))
            pairs = zip(self.evidence, targets, strict=True)
            return torch.stack([e.misfit(img, t).square().mean(1) for e, t in pairs]).sum(0)

        return best_of_guesses(guess, cost, anchor[:, :dim])

    def _descend(
        self, problem: RandomisedProblem, x: Tensor, first: int, on_step: OnStep
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
            on_step(Step(first, state.step, partial(lambda t: self._ws(P.to_x(t)), t)))
        return P.to_x(t)

    def _finish(self, first: int, x: Tensor, ws: Tensor, img: Tensor) -> Candidates:
        pictures = sample_at(img, self.input.side).clamp(-1, 1)
        return Candidates(
            first,
            ws,
            pictures,
            residual_before_rms_255=rms_255(self.input.error(pictures)),
            residuals_rms_255={e.name: e.residual_rms_255(img) for e in self.evidence},
            log_lik=torch.stack([e.log_lik(img) for e in self.evidence]).sum(0),
            log_prior=-x.square().sum(1) / 2,
            projection=self.input.projection(pictures),
        )

    def _ws(self, x: Tensor) -> Tensor:
        """Unpack `x = [v, delta / delta_std]` `[N, dim (1 + num_ws)]` into ws."""
        v, delta = x[:, : self.prior.dim], x[:, self.prior.dim :]
        layered = delta.unflatten(1, (self.prior.num_ws, self.prior.dim)) * self.config.delta_std
        return self.prior.to_ws(v, layered)

    @property
    def _share(self) -> Tensor | float:
        return 0.0 if self.share is None else self.share.flatten(1) / self.config.delta_std

    def _target(self, evidence: Evidence, indices: range) -> Tensor:
        stream = "eps" if evidence is self.input.evidence else f"eps of {evidence.name}"
        return evidence.perturbed(self._generator(stream, k) for k in indices)

    def _anchor(self, indices: range) -> Tensor:
        return self._draw("anchor", indices, self.prior.dim * (1 + self.prior.num_ws))

    def _draw(self, stream: str, indices: range, dim: int) -> Tensor:
        rows = [torch.randn(1, dim, generator=self._generator(stream, k)) for k in indices]
        return torch.cat(rows).to(self.input.y)

    def _generator(self, stream: str, k: int) -> torch.Generator:
        return derive_generator(self.seed, stream, k)


def posed(G: Generator, transform: Tensor | None) -> Callable[..., Tensor]:
    """Return the synthesis of faces that lie as told; upright without."""
    return G.synthesis if transform is None else partial(G.synthesis, transform=transform)


def rebuild(
    G: Generator, ws: Tensor, given: Input, chunk: int, transform: Tensor | None = None
) -> Projection:
    """Make the finished pictures again from their latents `[K, num_ws, w_dim]`.

    Chunks are filled up as when the latents were found, so that the bytes are the same.
    """
    parts = []
    for part in ws.split(chunk):
        padded = torch.cat([part, part[-1:].expand(chunk - len(part), -1, -1)])
        with torch.inference_mode():
            parts.append(posed(G, transform)(padded).clamp(-1, 1)[: len(part)])
    return given.projection(sample_at(torch.cat(parts), given.side).clamp(-1, 1))
