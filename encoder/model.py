"""The encoder: features, the mean of the latent, and how far the mean is from the truth."""

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from encoder.backbone import FEATURES, Backbone
from engine.files import file_sha256
from stylegan.checkpoint import (
    CheckpointError,
    config_from,
    read_weights,
    restore,
    save_weights,
)
from stylegan.config import ConfigError, require_range


@dataclass(frozen=True)
class EncoderConfig:
    """What an encoder is made of and which generator it belongs to.

    Raises:
        ConfigError: a value is out of range.
    """

    latent_dim: int  # length of v
    generator_sha256: str  # of the generator's file
    input_size: int = 32  # side of the network's input in pixels; measurements are resized to it

    def __post_init__(self) -> None:
        require_range("latent_dim", self.latent_dim, int, 1, 1 << 16)
        require_range("input_size", self.input_size, int, 8, 1 << 10)
        if type(self.generator_sha256) is not str:
            raise ConfigError("generator_sha256 is no text; it must be the digest of a file.")


def resize_measurement(y: Tensor, size: int) -> Tensor:
    """Resize `y [N, 1, h, w]` to `[N, 1, size, size]`, the encoder's input (bicubic)."""
    if y.shape[-2:] == (size, size):
        return y
    return F.interpolate(y, (size, size), mode="bicubic", antialias=True, align_corners=False)


class Encoder(nn.Module):
    """Guess the Gaussianised latent v of a picture from its small grey measurement."""

    residual_sqrt_cov: Tensor

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = Backbone()
        self.head = nn.Linear(FEATURES, config.latent_dim)
        self.register_buffer("residual_sqrt_cov", torch.eye(config.latent_dim))

    def forward(self, y: Tensor) -> Tensor:
        """Return the mean of v `[N, latent_dim]` for measurements `[N, 1, h, w]` in [-1, 1]."""
        return self.head(self.backbone(resize_measurement(y, self.config.input_size)))

    def sample(self, y: Tensor, noise: Tensor) -> Tensor:
        """Return samples of a Gaussian about the guess for one measurement.

        Args:
            y: `[1, 1, h, w]` in [-1, 1].
            noise: standard normal, `[K, latent_dim]`.

        Returns:
            `v [K, latent_dim]`: the mean plus noise with the covariance of the errors that the
            encoder made on held-out renders.
        """
        return self(y) + noise @ self.residual_sqrt_cov


def save_encoder(path: Path, encoder: Encoder, **facts: object) -> None:
    """Write an encoder as release weights."""
    save_weights(path, "encoder", asdict(encoder.config), encoder.state_dict(), **facts)


def load_encoder(path: Path | str, generator_path: Path | str) -> Encoder:
    """Load an encoder in evaluation mode, frozen, and check that it fits the generator.

    Raises:
        CheckpointError: missing, damaged, or trained for another generator.
    """
    metadata, state = read_weights(Path(path), "encoder")
    config = config_from(metadata, EncoderConfig, Path(path))
    found = file_sha256(Path(generator_path))
    if config.generator_sha256 != found:
        raise CheckpointError(
            f"{path}: made for generator {config.generator_sha256[:12]}, but {generator_path} is "
            f"{found[:12]}. Give the generator it was trained with, or leave --encoder out.",
            "E-MODEL-MISMATCH",
        )
    return restore(Encoder, config, state, Path(path))
