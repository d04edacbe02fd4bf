"""How far a colouriser's pictures are from the truth, and whether they are as colourful."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from baselines.colorizer import Colorizer, grey, resize
from evaluation.diversity import rgb_to_lab
from evaluation.similarity import l1, l2

BATCH = 32


class Marks(NamedTuple):
    """Means over pictures. Errors are per pixel and channel, pictures being 8 bits."""

    l1: float  # grey levels: the unit of the ConvNet-and-GAN paper
    l2: float  # their squares
    chroma: float  # of the colouriser's pictures, relative to that of the truth: below 1 is duller


def marks_of(made: Tensor, truth: Tensor) -> Marks:
    """Compare pictures `[N, 3, H, W]` in [-1, 1] with the truth."""
    made, truth = filed(made), filed(truth)
    l1_mean, l2_mean = (error(made, truth).mean().item() for error in (l1, l2))
    return Marks(l1_mean, l2_mean, mean_chroma(made) / mean_chroma(truth))


def filed(x: Tensor) -> Tensor:
    """Return `x` in [-1, 1] as a file of 8 bits holds it."""
    return ((x + 1) * 127.5).round().clamp(0, 255) / 127.5 - 1


def mean_chroma(x: Tensor) -> float:
    """Return the mean CIELAB chroma over all pixels of pictures in [-1, 1]."""
    lab = rgb_to_lab((x.clamp(-1, 1) + 1) / 2)
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
