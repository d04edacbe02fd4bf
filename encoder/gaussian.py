"""The first kind of encoder, whose files are still read: a mean with one covariance for all.

It takes pictures resized to one small size, knows nothing of degradations and has no flow.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import resnet50

from encoder.backbone import FEATURES
from stylegan.config import ConfigError, require_range


@dataclass(frozen=True)
class GaussianConfig:
    """What such an encoder is made of and which generator it belongs to.

    Raises:
        ConfigError: a value is out of range.
    """

    latent_dim: int  # length of v
    generator_sha256: str  # of the generator's file
    input_size: int = 32  # side of the network's input in pixels

    def __post_init__(self) -> None:
        require_range("latent_dim", self.latent_dim, int, 1, 1 << 16)
        require_range("input_size", self.input_size, int, 8, 1 << 10)
        if type(self.generator_sha256) is not str:
            raise ConfigError("generator_sha256 is no text; it must be the digest of a file.")


class _Backbone(nn.Module):
    """torchvision's ResNet-50 with a 3x3 stem of stride 2, without pooling, of one channel."""

    def __init__(self) -> None:
        super().__init__()
        self.net = resnet50(weights=None, zero_init_residual=True)
        self.net.conv1 = nn.Conv2d(1, 64, 3, stride=2, padding=1, bias=False)
        self.net.maxpool = nn.Identity()
        self.net.fc = nn.Identity()

    def forward(self, y: Tensor) -> Tensor:
        return self.net(y)


class GaussianEncoder(nn.Module):
    """Guess the Gaussianised latent v of a picture from its small grey measurement."""

    residual_sqrt_cov: Tensor
    curvature = None  # unknown

    def __init__(self, config: GaussianConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = _Backbone()
        self.head = nn.Linear(FEATURES, config.latent_dim)
        self.register_buffer("residual_sqrt_cov", torch.eye(config.latent_dim))

    def mean(self, y: Tensor, told: Tensor | None = None) -> Tensor:
        """Return the mean of v `[N, latent_dim]` for measurements `[N, 1, h, w]` in [-1, 1].

        What is told of them has no effect.
        """
        size = (self.config.input_size, self.config.input_size)
        if y.shape[-2:] != size:
            y = F.interpolate(y, size, mode="bicubic", antialias=True, align_corners=False)
        return self.head(self.backbone(y))

    def sample(self, y: Tensor, noise: Tensor, told: Tensor | None = None) -> Tensor:
        """Return samples about the mean for one measurement, as `Encoder.sample` does."""
        return self.mean(y) + noise @ self.residual_sqrt_cov
