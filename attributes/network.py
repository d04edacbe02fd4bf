"""The reader's network: a small residual CNN with one linear head for every attribute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attributes.pictures import SIDE
from attributes.schema import CHOICES, NUMBERS
from stylegan.config import ConfigError, require_range

_STRIDE = 16  # of the trunk


@dataclass(frozen=True)
class ReaderConfig:
    """What a reader is made of and what its outputs mean.

    Raises:
        ConfigError: a value is out of range.
    """

    width: int = 24  # channels of the first layer
    num_features: int = 192
    side: int = SIDE  # of the pictures it sees, in pixels
    choices: Mapping[str, Sequence[str]] = field(default_factory=lambda: dict(CHOICES))
    numbers: Mapping[str, Sequence[float]] = field(  # middle and unit of each
        default_factory=lambda: dict(NUMBERS)
    )

    def __post_init__(self) -> None:
        require_range("width", self.width, int, 1, 256)
        require_range("num_features", self.num_features, int, 1, 4096)
        require_range("side", self.side, int, _STRIDE, 1024)
        if self.side % _STRIDE:
            raise ConfigError(f"side is {self.side}; it must be a multiple of {_STRIDE}.")
        _require_table("choices", self.choices, str, least=2, most=1000)
        _require_table("numbers", self.numbers, float, least=2, most=2)
        for name, (_, unit) in self.numbers.items():
            require_range(f"the unit of {name}", unit, float, 1e-6, 1e6)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        tables = {
            name: {key: list(values) for key, values in getattr(self, name).items()}
            for name in ("choices", "numbers")
        }
        return {"width": self.width, "num_features": self.num_features, "side": self.side} | tables


def _require_table(name: str, table: Any, kind: type, least: int, most: int) -> None:
    """Check that texts are mapped to between `least` and `most` values of a kind each."""
    kinds = (int, float) if kind is float else (kind,)
    fits = isinstance(table, dict) and len(table) <= 1000
    for values in table.values() if fits else ():
        is_list = isinstance(values, list | tuple) and least <= len(values) <= most
        fits = fits and is_list and all(type(value) in kinds for value in values)
    if not fits:
        raise ConfigError(f"{name} is no table of {kind.__name__} values for each name.")


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut (He et al. 2016)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1:
            project = nn.Conv2d(in_channels, out_channels, 1, bias=False)
            self.shortcut = nn.Sequential(nn.AvgPool2d(stride), project)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.shortcut(x) + self.norm2(self.conv2(y)))


class Network(nn.Module):
    """Pictures to features, and features to what they say of each attribute."""

    def __init__(self, config: ReaderConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.trunk = nn.Sequential(
            nn.Conv2d(3, width, 5, 2, 2, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            Block(width, 2 * width, 2),
            Block(2 * width, 2 * width, 1),
            Block(2 * width, 4 * width, 2),
            Block(4 * width, 4 * width, 1),
            Block(4 * width, 6 * width, 2),
            Block(6 * width, 6 * width, 1),
            nn.Conv2d(6 * width, 2 * width, 1),  # the places stay: faces are all in one
            nn.ReLU(),
            nn.Flatten(),
        )
        places = (config.side // _STRIDE) ** 2
        self.project = nn.Linear(2 * width * places, config.num_features, bias=False)
        self.norm = nn.BatchNorm1d(config.num_features)  # features of one scale
        self.sizes = [len(names) for names in config.choices.values()]
        num_numbers = len(config.numbers)
        self.heads = nn.Linear(config.num_features, sum(self.sizes) + 2 * num_numbers)

    def features(self, pictures: Tensor) -> Tensor:
        """Return `[N, num_features]` of `pictures [N, 3, side, side]` in [-1, 1]."""
        return self.norm(self.project(self.trunk(pictures)).float())

    def answers(self, features: Tensor) -> tuple[list[Tensor], Tensor, Tensor]:
        """Return logits of each choice, and mean and log variance of all numbers, normalised."""
        with torch.autocast(features.device.type, enabled=False):
            out = self.heads(F.relu(features))
        *logits, means, spreads = out.split([*self.sizes, *2 * [len(self.config.numbers)]], dim=1)
        return logits, means, 6 * torch.tanh(spreads / 6)

    def forward(self, pictures: Tensor) -> tuple[list[Tensor], Tensor, Tensor]:
        """Return the answers for `pictures [N, 3, side, side]`."""
        return self.answers(self.features(pictures))


def resize(pictures: Tensor, side: int) -> Tensor:
    """Resize `[N, C, H, W]` to what a network sees: antialiased bicubic, as data sets are."""
    if pictures.shape[-2:] == (side, side):
        return pictures
    return F.interpolate(pictures, (side, side), mode="bicubic", antialias=True)
