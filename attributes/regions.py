"""Where a small grey picture of a face shows hair, skin, eyes and clothes.

A U-Net (Ronneberger et al. 2015) that answers with shares: how much of each place it expects each
region to cover. It sees what `invert.py` gets, a grey picture of any size, and no colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attributes.network import Block, resize
from data.faces.regions import REGIONS
from stylegan.checkpoint import config_from, read_weights, restore, save_weights
from stylegan.config import require_range

PRETRAINED = Path(__file__).parent.parent / "pretrained" / "regions.safetensors"
KIND = "regions"
SIDE = 64  # of what the network sees and answers, in places


@dataclass(frozen=True)
class RegionsConfig:
    """What a network of regions is made of.

    Raises:
        ConfigError: a value is out of range.
    """

    width: int = 16  # channels at half the side; more where it is smaller
    names: Sequence[str] = REGIONS  # what the answers mean; one more is for all else

    def __post_init__(self) -> None:
        require_range("width", self.width, int, 1, 256)
        require_range("the number of names", len(self.names), int, 1, 100)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self) | {"names": list(self.names)}


class RegionsNetwork(nn.Module):
    """Grey pictures `[N, 1, SIDE, SIDE]` in [-1, 1] to logits `[N, names + 1, SIDE, SIDE]`."""

    def __init__(self, config: RegionsConfig) -> None:
        super().__init__()
        self.config = config
        one, two, four = (config.width * k for k in (1, 2, 4))
        self.stem = nn.Conv2d(4, one, 3, padding=1)
        self.down1 = Block(one, one, 1)
        self.down2 = nn.Sequential(Block(one, two, 2), Block(two, two, 1))
        self.down3 = nn.Sequential(Block(two, four, 2), Block(four, four, 1))
        self.deepest = nn.Sequential(Block(four, four, 2), Block(four, four, 1))
        self.up3 = nn.Sequential(nn.Conv2d(2 * four, two, 1), Block(two, two, 1))
        self.up2 = nn.Sequential(nn.Conv2d(2 * two, one, 1), Block(one, one, 1))
        self.up1 = nn.Conv2d(2 * one, 2 * one, 3, padding=1)
        self.head = nn.Conv2d(2 * one, 4 * (len(config.names) + 1), 1)

    def forward(self, grey: Tensor) -> Tensor:
        """Return the logits of the regions and, last, of all else."""
        x1 = self.down1(self.stem(F.pixel_unshuffle(grey, 2)))
        x2 = self.down2(x1)
        x3 = self.down3(x2)
        x = self.up3(torch.cat([_doubled(self.deepest(x3)), x3], dim=1))
        x = self.up2(torch.cat([_doubled(x), x2], dim=1))
        x = F.relu(self.up1(torch.cat([_doubled(x), x1], dim=1)))
        return F.pixel_shuffle(self.head(x), 2)


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


class RegionsReader:
    """A trained network with what its answers mean."""

    def __init__(self, network: RegionsNetwork) -> None:
        self.network, self.names = network.eval(), tuple(network.config.names)

    @torch.no_grad()
    def read(self, grey: Tensor) -> Tensor:
        """Return the share of each place that each region covers, `[N, names, SIDE, SIDE]`.

        Args:
            grey: `[N, 1, h, h]` in [-1, 1], of any size, clipped.
        """
        seen = resize(grey.float().clamp(-1, 1), SIDE).clamp(-1, 1)
        device = next(self.network.parameters()).device
        shares = self.network(seen.to(device)).softmax(1)[:, : len(self.names)]
        return shares.to(grey.device)


def regions_loss(logits: Tensor, shares: Tensor) -> Tensor:
    """Return the mean cross-entropy between expected and true shares.

    Args:
        logits: `[N, names + 1, SIDE, SIDE]`.
        shares: of the named regions, `[N, names, SIDE, SIDE]` in [0, 1].
    """
    rest = (1 - shares.sum(1, keepdim=True)).clamp(min=0)
    wanted = torch.cat([shares, rest], dim=1)
    return F.cross_entropy(logits, wanted / wanted.sum(1, keepdim=True))


def save_regions(path: Path, network: RegionsNetwork, **facts: object) -> None:
    """Write a network as release weights."""
    save_weights(path, KIND, network.config.to_dict(), network.state_dict(), **facts)


def load_regions(
    path: Path | str = PRETRAINED, device: torch.device | str = "cpu"
) -> RegionsReader:
    """Load a reader of regions, the default model's unless told otherwise; it is frozen.

    Raises:
        CheckpointError: the file is missing, damaged or not one of regions.
    """
    metadata, state = read_weights(Path(path), KIND)
    config = config_from(metadata, RegionsConfig, Path(path))
    return RegionsReader(restore(RegionsNetwork, config, state, Path(path)).to(device))
