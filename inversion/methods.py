"""The ways to candidates that are compared: ours, what the encoder alone gives, and PULSE."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from torch import Tensor

from inversion.config import InversionConfig
from inversion.counting import counted
from inversion.guesses import Guesses
from inversion.inputs import Canvas, Input, small_input
from inversion.latent import LatentPrior
from inversion.operators import Frame, GreySmall, MeasurementError
from inversion.pipeline import Candidates, Inverter
from inversion.pulse import PulseConfig, PulseInverter
from stylegan import Generator
from stylegan.generator import native_precision

METHODS = ("ours", "pulse", "encoder", "flow")


class Guesser(Protocol):
    """An encoder: y `[1, 1, h, w]` and normal noise `[N, dim]` to v `[N, dim]`, or their mean."""

    @property
    def curvature(self) -> Tensor | None: ...
    def sample(self, y: Tensor, noise: Tensor, told: Tensor | None = None) -> Tensor: ...
    def mean(self, y: Tensor, told: Tensor | None = None) -> Tensor: ...


@dataclass(frozen=True)
class Solver:
    """One of `METHODS` for any small grey picture.

    'encoder' is its mean, which is one, 'flow' its samples, both without a search; 'pulse' is as
    published.
    """

    method: str
    G: Generator
    prior: LatentPrior
    encoder: Guesser
    config: InversionConfig
    samples: int = 8
    pulse: PulseConfig = field(default_factory=PulseConfig)
    told: Callable[[int], Tensor] | None = None  # side of y -> what the encoder is told of it

    @property
    def side(self) -> int:
        """Side of the pictures."""
        return self.config.finished_side(self.G.config.img_resolution)

    def inverter(self, y: Tensor, seed: int) -> Inverter:
        """Return what solves for the candidates of y `[1, 1, h, w]`."""

        told = None if self.told is None else self.told(y.shape[-1])

        def sampled(noise: Tensor) -> Tensor:
            return self.encoder.sample(y, noise, told)

        def mean(noise: Tensor) -> Tensor:
            return self.encoder.mean(y, told).expand_as(noise)

        start = mean if self.method == "encoder" else sampled
        problem = (self.G, self.prior, self.given(y), start, self.config, seed)
        if self.method == "pulse":
            return PulseInverter(*problem, pulse=self.pulse)
        if self.method == "ours":
            return Inverter(*problem, curvature=self.encoder.curvature)
        return Guesses(*problem)

    def given(self, y: Tensor) -> Input:
        """Return y `[1, 1, h, w]` as what is known of a picture."""
        canvas = Canvas(self.G.config.img_resolution, self.side, self.config)
        return small_input(y, Frame.around(y.shape[2], y.shape[3]), canvas)

    def __call__(self, y: Tensor) -> tuple[Tensor, dict[str, list[float]]]:
        """Return candidates `[K, 3, P, P]` of y in [-1, 1], and what they took.

        Ours are projected; the others are the generator's own pictures, as those systems give
        them. What is random depends on y alone.
        """
        device = self.G.mapping.w_avg.device
        seed = zlib.crc32(((y + 1) * 127.5).round().byte().cpu().numpy().tobytes())
        with counted(self.G) as evaluations:
            found = list(self.inverter(y.to(device), seed).candidates(self.samples))
        facts = facts_of(found) | {"evaluations": [evaluations.pictures / self.samples]}
        if self.method == "ours":
            return torch.cat([part.projection.pixels for part in found]), facts
        del facts["correction"]
        return torch.cat([part.pictures for part in found]), facts


def solvers(G: Generator, encoder: Guesser, side: int, samples: int) -> dict[str, Solver]:
    """Return every method that an encoder allows, for pictures of a side.

    Raises:
        MeasurementError: the generator's pictures are larger.
    """
    config = InversionConfig(precision=native_precision(), output_side=side)
    if (made := config.finished_side(G.config.img_resolution)) != side:
        what = f"pictures of {side}x{side} are wanted of a generator that makes {made}x{made}"
        raise MeasurementError(f"{what}. Give faces of that size.")
    prior = LatentPrior.fit(G)
    possible = [name for name in METHODS if name != "flow" or hasattr(encoder, "flow")]
    found = {name: Solver(name, G, prior, encoder, config, samples) for name in possible}
    if "encoder" in found:
        alone = replace(config, chunk=1)
        found["encoder"] = Solver("encoder", G, prior, encoder, alone, samples=1)
    return found


def measure_of(side: int) -> Callable[[tuple[int, int]], Callable[[Tensor], Tensor]]:
    """Return (h, w) -> what makes pictures of a side small and grey, as a file holds them."""
    return functools.cache(lambda size: GreySmall(side, size).quantised)


def facts_of(found: list[Candidates]) -> dict[str, list[float]]:
    """Return what a solver says of its pictures before projection, and how far that went."""
    before = torch.cat([part.residual_before_rms_255 for part in found])
    corrections = torch.cat([part.projection.correction_rms_255 for part in found])
    return {"before": before.tolist(), "correction": corrections.tolist()}
