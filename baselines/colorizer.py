"""A colouriser: what it sees of a picture, its networks, and the picture it makes of that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.blur import gaussian_blur
from baselines.edges import canny, sketch, xdog
from baselines.lab import lightness, to_rgb
from baselines.presets import ANSWERS, ColorizerConfig
from baselines.unet import MobileNet, UNet, UNetConfig
from data.image_io import LUMA
from stylegan.checkpoint import config_from, read_weights, restore, save_weights
from stylegan.config import ConfigError

KIND = "colorizer"
CUE_SIGMA = 20 / 256  # of the blur of a colour cue, in sides of the picture
LOOKS: dict[str, Callable[[Tensor], Tensor]] = {
    "grey": lambda y: y,
    "canny": canny,
    "xdog": xdog,
    "sketch": sketch,
    "lightness": lightness,
}


def grey(x: Tensor) -> Tensor:
    """Return the luma `[N, 1, H, W]` of pictures `[N, 3, H, W]`."""
    return torch.einsum("c,nchw->nhw", torch.tensor(LUMA).to(x), x)[:, None]


def colour_cue(x: Tensor) -> Tensor:
    """Blur pictures until their colours are left but not their shapes (sigma 20 at 256 pixels)."""
    return gaussian_blur(x, CUE_SIGMA * x.shape[-1])


def resize(x: Tensor, side: int) -> Tensor:
    """Resize pictures to `side` pixels: antialiased bicubic, kept in [-1, 1]."""
    if x.shape[-2:] == (side, side):
        return x
    size = (side, side)
    return F.interpolate(x.float(), size, mode="bicubic", antialias=True).clamp(-1, 1)


class ColorizerNetwork(nn.Module):
    """The network that colours and, where the preset has one, the network that enlarges first."""

    def __init__(self, config: ColorizerConfig) -> None:
        super().__init__()
        self.config = config
        shape = (config.halvings, config.width, config.dropout)
        answers = ANSWERS[config.answers]
        self.colour = UNet(
            UNetConfig(config.seen_channels, answers, *shape, mobilenet=config.mobilenet)
        )
        self.enlarger = UNet(UNetConfig(1, 1, *shape)) if config.enlarges else None

    def enlarge(self, y: Tensor) -> Tensor:
        """Return `y [N, 1, h, w]` at full size: bicubic, corrected by the network that enlarges."""
        smooth = resize(y, self.config.side)
        return smooth if self.enlarger is None else smooth + self.enlarger(smooth)

    def see(self, y: Tensor, x: Tensor) -> Tensor:
        """Return what the colouring network sees.

        Args:
            y: grey, at full size.
            x: the picture, for its cue, at full size; looked at by no other preset.
        """
        cues = [colour_cue(x)] if self.config.cue == "blurred" else []
        return torch.cat([LOOKS[self.config.sees](y), *cues], dim=1)

    def load_backbone(self, path: Path) -> None:
        """Take the backbone's weights from a file (`baselines.unet.MobileNet.load`).

        Raises:
            ConfigError: there is no backbone.
            CheckpointError: the file is missing or holds something else.
        """
        if not isinstance(self.colour.down, MobileNet):
            raise ConfigError(f"{self.config.name} has no backbone. Leave --backbone out.")
        self.colour.down.load(path)

    def picture(self, seen: Tensor, answer: Tensor) -> Tensor:
        """Return the picture `[N, 3, S, S]` in [-1, 1] that an answer stands for."""
        return to_rgb(seen[:, :1], answer) if self.config.answers == "ab" else answer


class Colorizer:
    """A trained colouriser, as the evaluation takes it (`evaluation.methods.Colorizer`).

    Args:
        network: in evaluation mode.
        finished: side of its pictures, which are enlarged or reduced to it; its own if not given.
    """

    def __init__(self, network: ColorizerNetwork, finished: int | None = None) -> None:
        config = network.config
        self.network, self.config = network.eval(), config
        self.finished = finished or config.side
        self.name = config.label
        self.seen = config.sees + (" and a colour cue" if config.cue != "none" else "")

    @torch.no_grad()
    def see(self, x: Tensor, y: Tensor) -> Tensor:
        """Return what this system would be given: a grey one y, one of lines the lines of x.

        Args:
            x: the truth, `[N, 3, P, P]` in [-1, 1].
            y: its grey version of any size, `[N, 1, h, w]`.
        """
        whole = resize(x, self.config.side)
        is_of_lines = self.config.sees in ("canny", "xdog", "sketch")
        large = grey(whole) if is_of_lines else self.network.enlarge(y)
        return self.network.see(large, whole)

    @torch.no_grad()
    def __call__(self, seen: Tensor) -> Tensor:
        """Return pictures `[N, 3, finished, finished]` in [-1, 1] of what `see` gives."""
        return resize(self.network.picture(seen, self.network.colour(seen)), self.finished)


def save_colorizer(path: Path, network: ColorizerNetwork, **facts: object) -> None:
    """Write a colouriser as release weights."""
    save_weights(path, KIND, asdict(network.config), network.state_dict(), **facts)


def load_colorizer(path: Path | str, finished: int | None = None) -> Colorizer:
    """Load a colouriser; `finished` as it has it.

    Raises:
        CheckpointError: the file is missing, damaged or not a colouriser.
    """
    metadata, state = read_weights(Path(path), KIND)
    config = config_from(metadata, ColorizerConfig, Path(path))
    return Colorizer(restore(ColorizerNetwork, config, state, Path(path)), finished)
