"""How far a colouriser's pictures are from the truth, and whether they are as colourful."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from baselines.colorizer import Colorizer, grey, resize
from evaluation.diversity import rgb_to_lab

BATCH = 32


class Marks(NamedTuple):
    """Means over pictures. Errors are per pixel and channel, pictures being 8 bits."""

    l1: float  # grey levels: the unit of the ConvNet-and-GAN paper
    l2: float  # their squares
    chroma: float  # of the colouriser's pictures, relative to that of the truth: below 1 is duller


def marks_of(made: Tensor, truth: Tensor) -> Marks:
    """Compare pictures `[N, 3, H, W]` in [-1, 1] with the truth."""
    error = (levels(made) - levels(truth)).double()
    shares = mean_chroma(made) / mean_chroma(truth)
    return Marks(error.abs().mean().item(), error.square().mean().item(), shares)


def levels(x: Tensor) -> Tensor:
    """Return what a file of 8 bits holds of `x` in [-1, 1]: whole numbers from 0 to 255."""
    return ((x + 1) * 127.5).round().clamp(0, 255)


def mean_chroma(x: Tensor) -> float:
    """Return the mean CIELAB chroma over all pixels of pictures in [-1, 1]."""
    lab = rgb_to_lab(levels(x) / 255)
    return torch.hypot(lab[:, 1], lab[:, 2]).mean().item()


def colour(colorizer: Colorizer, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return what the colouriser sees of pictures `x [N, 3, S, S]`, and what it makes of that."""
    device = next(colorizer.network.parameters()).device
    given = colorizer.config.given_side
    pairs = []
    for part in x.to(device).split(BATCH):
        seen = colorizer.see(part, resize(grey(part), given))
        pairs.append((seen.cpu(), colorizer(seen).clamp(-1, 1).cpu()))
    seen, made = (torch.cat(each) for each in zip(*pairs, strict=True))
    return seen, made
