"""What an encoder learns from: latents and the small grey pictures that a generator makes of them.

Everything about example i is a function of (seed, stream, i): neither the number of processes nor
a resumption changes it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from encoder.model import Look, to_canvas
from engine.seeding import derive_generator
from stylegan import Generator


class Prior(Protocol):
    """The Gaussianised latent space of a generator (`inversion.latent`)."""

    @property
    def dim(self) -> int:
        """Length of v."""

    def to_ws(self, v: Tensor, delta: Tensor | None = None) -> Tensor:
        """Return ws of v `[N, dim]` and the layers' own shares `[N, num_ws, dim]`."""

    def from_w(self, w: Tensor) -> Tensor:
        """Return v of w `[N, w_dim]`."""


class Spoiler(Protocol):
    """Draws degradations of examples and applies them."""

    def __call__(
        self, x: Tensor, stream: str, indices: Sequence[int], of_guess: bool = False
    ) -> list[tuple[Tensor, Tensor]]:
        """Return, for each of `x [N, 3, R, R]`, y `[1, 1, s, s]` and what is told of it `[told]`.

        Of a guess only what is known is repeated: not the noise, and of an example whose
        degradation is not told nothing but its size.
        """


@dataclass(frozen=True)
class RealPictures:
    """Pictures whose latents nobody knows."""

    look: Look
    x: Tensor  # [N, 3, R, R]


@dataclass(frozen=True)
class Batch:
    """One process's share of a step."""

    indices: list[int]
    look: Look
    v: Tensor  # [N, dim]
    measure: Callable[[Tensor, Tensor], Tensor]  # (v, delta) -> A y_hat on the canvas
    real: RealPictures | None = None


@dataclass(frozen=True)
class Examples:
    """Make batches, the generator frozen."""

    G: Generator
    prior: Prior
    spoil: Spoiler
    seed: int
    precision: str = "fp32"  # of the generator's pictures
    pictures: Callable[[Sequence[int]], Tensor] | None = None  # real ones, [N, 3, R, R] in [-1, 1]

    def render(self, v: Tensor, delta: Tensor | None = None) -> Tensor:
        """Return pictures `[N, 3, R, R]` of latents."""
        return self.G.synthesis(self.prior.to_ws(v, delta), precision=self.precision)

    @torch.no_grad()
    def batch(self, stream: str, indices: Sequence[int]) -> Batch:
        """Return the examples of these indices; every fourth brings a real picture with it."""
        rows = [
            torch.randn(self.G.config.z_dim, generator=derive_generator(self.seed, stream, i))
            for i in indices
        ]
        ws = self.G.mapping(torch.stack(rows).to(self.G.mapping.w_avg.device))
        x = self.G.synthesis(ws, precision=self.precision)
        real = [i for i in indices if i % 4 == 0] if self.pictures else []
        return Batch(
            list(indices),
            self._look(x, stream, indices),
            self.prior.from_w(ws[:, 0]),
            lambda v, delta: self._remeasure(v, delta, stream, indices),
            self._real_pictures(real) if real else None,
        )

    def held_out(self, num: int, size: int = 100) -> Batch:
        """Return the first `num` examples that training never sees, made `size` at a time."""
        pieces = [range(first, min(first + size, num)) for first in range(0, num, size)]
        parts = [self.batch("held-out", piece) for piece in pieces]
        look, v = Look.join([part.look for part in parts]), torch.cat([part.v for part in parts])
        return Batch(list(range(num)), look, v, parts[0].measure)

    def _look(self, x: Tensor, stream: str, indices: Sequence[int]) -> Look:
        pairs = self.spoil(x, f"degradation {stream}", indices)
        looks = [Look.at(y, told[None].to(y)) for y, told in pairs]
        return Look.join(looks)

    @torch.no_grad()
    def _remeasure(self, v: Tensor, delta: Tensor, stream: str, indices: Sequence[int]) -> Tensor:
        x = self.render(v, delta)
        pairs = self.spoil(x, f"degradation {stream}", indices, of_guess=True)
        return torch.cat([to_canvas(y) for y, _ in pairs])

    def _real_pictures(self, indices: Sequence[int]) -> RealPictures:
        assert self.pictures is not None
        x = self.pictures(indices).to(self.G.mapping.w_avg.device)
        return RealPictures(self._look(x, "real", indices), x)
