"""The networks of a call, read from their files when they are first asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from torch import Tensor

from colouring.options import Options
from engine.files import file_sha256
from inversion.config import InversionConfig
from inversion.latent import LatentPrior
from inversion.pipeline import Start
from stylegan import Generator, load_generator
from stylegan.device import pick_device
from stylegan.generator import native_precision

if TYPE_CHECKING:
    from encoder.gaussian import GaussianEncoder
    from encoder.model import Encoder


@dataclass(frozen=True)
class Models:
    """The generator, what is known of its latents, and the encoder."""

    options: Options

    @cached_property
    def device(self) -> str:
        """Where they are."""
        return pick_device(self.options.device)

    @cached_property
    def G(self) -> Generator:
        """The generator."""
        return load_generator(self.options.generator, self.device)

    @cached_property
    def prior(self) -> LatentPrior:
        """The generator's latents, Gaussianised."""
        return LatentPrior.fit(self.G)

    @cached_property
    def config(self) -> InversionConfig:
        """How to search."""
        return InversionConfig(precision=native_precision())

    @cached_property
    def encoder(self) -> Encoder | GaussianEncoder | None:
        """The encoder, if there is one."""
        if self.options.encoder is None:
            return None
        from encoder import load_encoder

        return load_encoder(self.options.encoder, self.options.generator).to(self.device)

    @property
    def curvature(self) -> Tensor | None:
        """Return how the misfit bends, as the encoder's file keeps it, if it does."""
        return None if self.encoder is None else self.encoder.curvature

    @cached_property
    def sha256(self) -> dict[str, str | None]:
        """The digests of the files."""
        files: dict[str, Any] = {k: getattr(self.options, k) for k in ("generator", "encoder")}
        return {kind: file_sha256(path) if path else None for kind, path in files.items()}

    def start(self, y: Tensor) -> Start:
        """Return where candidates start: near the guess from `y [1, 1, h, h]`, or in the prior."""
        network, y = self.encoder, y.to(self.device)
        if network is None:
            return lambda noise: noise
        return lambda noise: network.sample(y, noise)
