"""Which pictures of a set are learned from, which are kept apart, and which teach no colour."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from baselines.colorizer import grey
from baselines.edges import ink_share, sketch
from baselines.presets import ColorizerConfig
from data.archive import DatasetError
from data.dataset import ImageDataset
from data.image_io import from_uint8

logger = logging.getLogger(__name__)
GREY_LEVELS, GREY_SHARE = 8, 0.99  # so much of a grey picture is grey to so many levels
TRAINING_SHARE = 0.8
CUT_OFF = 0.9  # share of the pictures below the densest, where the preset's own is higher
LEAST = 10  # pictures in colour


@dataclass(frozen=True)
class Tiers:
    """Indices of the pictures a colouriser is measured on, of rising difficulty."""

    seen: list[int]  # those it learns from
    unseen: list[int]  # of the same kind, kept apart
    outside: list[int]  # drawn more densely than any that it learns from


def sort_out(dataset: ImageDataset, config: ColorizerConfig, seed: int) -> Tiers:
    """Look at every picture, say how many are grey or too dense, and divide the rest 80 : 20.

    What is grey teaches no colour and is left out, be it stored in one channel or in three.

    Raises:
        DatasetError: a picture cannot be used, or too few are in colour.
    """
    coloured = [k for k in range(len(dataset)) if not is_grey(dataset[k])]
    if len(coloured) < LEAST:
        what = f"{len(coloured)} of {len(dataset)} pictures are in colour, the others grey"
        raise DatasetError(
            "E-DATA-GREY", str(dataset.path), what, f"Give {LEAST} or more in colour"
        )
    inside, outside = _by_density(dataset, coloured, config.densest)
    order = np.random.default_rng(seed).permutation(inside).tolist()
    num = round(TRAINING_SHARE * len(order))
    tiers = Tiers(sorted(order[:num]), sorted(order[num:]), outside)
    told = f"{num} to learn from, {len(tiers.unseen)} kept apart"
    told += f", {len(outside)} too densely drawn" if outside else ""
    num_grey = len(dataset) - len(coloured)
    logger.info("%s: %d pictures: %s, %d grey", dataset.path, len(dataset), told, num_grey)
    return tiers


def is_grey(picture: NDArray[np.uint8]) -> bool:
    """Return whether a picture `[3, H, W]` is grey but for what JPEG and scanners add."""
    spread = np.ptp(picture, axis=0)
    return bool((spread <= GREY_LEVELS).mean() >= GREY_SHARE)


def _by_density(
    dataset: ImageDataset, indices: list[int], densest: float
) -> tuple[list[int], list[int]]:
    """Divide pictures at the share of ink in their sketches: those to learn from, and the rest."""
    if densest == 1:
        return indices, []
    ink = np.array([ink_share(sketch(grey(as_tensor(dataset[k][None])))).item() for k in indices])
    is_outside = ink > min(densest, np.quantile(ink, CUT_OFF))
    pairs = list(zip(indices, is_outside, strict=True))
    return [k for k, out in pairs if not out], [k for k, out in pairs if out]


def as_tensor(pictures: NDArray[np.uint8]) -> Tensor:
    """Return pictures `[N, 3, H, W]` in [-1, 1]."""
    return from_uint8(pictures.transpose(0, 2, 3, 1)).contiguous()


def exam_of(dataset: ImageDataset, indices: list[int], most: int) -> Tensor:
    """Return up to `most` of these pictures, evenly spaced, `[N, 3, H, W]` in [-1, 1]."""
    num = min(len(indices), most)
    found = [dataset[indices[k * len(indices) // num]] for k in range(num)]
    side = dataset.resolution
    return as_tensor(np.stack(found)) if found else torch.zeros(0, 3, side, side)
