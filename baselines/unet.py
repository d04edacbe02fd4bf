"""One U-Net (Ronneberger et al. 2015) of strided convolutions, as pix2pix has it.

Layers halve the picture `depth` times, others double it again, and each of these is also shown what
the layer of its size saw on the way down. The way down may be a MobileNetV2 instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models import mobilenet_v2

from stylegan.checkpoint import CheckpointError
from stylegan.config import ConfigError, require_range

MOBILENET_TAPS = {1: 16, 3: 24, 6: 32, 13: 96, 18: 1280}  # last layer of each size: its channels
IMAGENET_MEAN, IMAGENET_STD = 0.449, 0.226  # of grey in [0, 1], what its weights are made for


@dataclass(frozen=True)
class UNetConfig:
    """What a U-Net is made of.

    Raises:
        ConfigError: a value is out of range.
    """

    in_channels: int
    out_channels: int
    depth: int  # halvings; the picture's side is a multiple of 2^depth
    width: int = (
        64  # channels after the first halving; they double with each, up to 8 times as many
    )
    dropout: int = 0  # the innermost so many doublings drop half of their features in training
    mobilenet: bool = False  # on the way down, in place of strided convolutions; depth is 5

    def __post_init__(self) -> None:
        require_range("depth", self.depth, int, 1, 12)
        require_range("width", self.width, int, 1, 1 << 10)
        if self.mobilenet and self.depth != len(MOBILENET_TAPS):
            raise ConfigError(f"depth is {self.depth}; MobileNetV2 halves {len(MOBILENET_TAPS)}x.")


class UNet(nn.Module):
    """Turn `[N, in_channels, H, W]` into `[N, out_channels, H, W]` in [-1, 1]."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        self.down: MobileNet | Strided = MobileNet() if config.mobilenet else Strided(config)
        inner, *skips = reversed(self.down.widths)
        self.up = nn.ModuleList()
        for k, width in enumerate(skips):
            self.up.append(_doubling(inner, width, is_dropped=k < config.dropout))
            inner = 2 * width  # what comes up, and what was seen on the way down
        self.last = nn.ConvTranspose2d(inner, config.out_channels, 4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        *skips, x = self.down(x)
        for layer in self.up:
            x = torch.cat([layer(x), skips.pop()], dim=1)
        return self.last(x).tanh()


class Strided(nn.Module):
    """The way down: convolutions of stride 2, normalised but for the first and the innermost."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        depth = config.depth
        self.widths = [config.width * min(2**k, 8) for k in range(depth)]
        ins = [config.in_channels, *self.widths]
        self.layers = nn.ModuleList(
            halving(ins[k], ins[k + 1], is_normal=0 < k < depth - 1) for k in range(depth)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return what each layer makes of it, the largest first."""
        seen = []
        for layer in self.layers:
            x = layer(x)
            seen.append(x)
        return seen


class MobileNet(nn.Module):
    """The way down through torchvision's MobileNetV2 (Sandler et al. 2018), untrained."""

    def __init__(self) -> None:
        super().__init__()
        self.widths = list(MOBILENET_TAPS.values())
        self.layers = mobilenet_v2(weights=None).features

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the last features of every size, the largest first; x is grey, in [-1, 1]."""
        x = (((x + 1) / 2 - IMAGENET_MEAN) / IMAGENET_STD).expand(-1, 3, -1, -1)
        seen = []
        for k, layer in enumerate(self.layers):
            x = layer(x)
            if k in MOBILENET_TAPS:
                seen.append(x)
        return seen

    def load(self, path: Path) -> None:
        """Take trained weights from torchvision's state dict of the network, as safetensors.

        Raises:
            CheckpointError: the file is missing or holds something else.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            found = load_file(path)
            prefix = "features."
            own = {k.removeprefix(prefix): v for k, v in found.items() if k.startswith(prefix)}
            self.layers.load_state_dict(own)
        except (OSError, SafetensorError, RuntimeError) as error:
            what = f"{path}: no weights of MobileNetV2 as safetensors ({type(error).__name__})"
            raise CheckpointError(f"{what}. Give others, or none.") from error


def halving(n_in: int, n_out: int, *, is_normal: bool = True, stride: int = 2) -> nn.Sequential:
    """Return conv 4x4, batch norm if `is_normal`, leaky ReLU of slope 0.2."""
    layers: list[nn.Module] = [nn.Conv2d(n_in, n_out, 4, stride, 1, bias=not is_normal)]
    layers += [nn.BatchNorm2d(n_out)] if is_normal else []
    return nn.Sequential(*layers, nn.LeakyReLU(0.2))


def _doubling(n_in: int, n_out: int, *, is_dropped: bool) -> nn.Sequential:
    layers: list[nn.Module] = [nn.ConvTranspose2d(n_in, n_out, 4, 2, 1, bias=False)]
    layers += [nn.BatchNorm2d(n_out)]
    layers += [nn.Dropout(0.5)] if is_dropped else []
    return nn.Sequential(*layers, nn.ReLU())


def initialise(net: nn.Module, std: float) -> None:
    """Draw convolutions from N(0, std) and norms' factors from N(1, std); MobileNetV2 keeps its."""
    if isinstance(net, MobileNet):
        return
    if isinstance(net, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(net.weight, 0, std)
        if net.bias is not None:
            nn.init.zeros_(net.bias)
    if isinstance(net, nn.BatchNorm2d):
        nn.init.normal_(net.weight, 1, std)
    for child in net.children():
        initialise(child, std)
