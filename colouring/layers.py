"""Painted layers brought to where the input lies in the finished picture."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from inversion.inputs import Input
from inversion.measurement import Box

STRETCH = 1.02  # ratio of the aspects from which a layer is said to be stretched


def placed(
    rgba: Tensor, given: Input, size: tuple[int, int], crop: Box | None
) -> tuple[Tensor, list[str]]:
    """Lay a layer over the finished picture; return it `[4, P, P]`, and notes.

    Args:
        rgba: `[4, h, w]` in [0, 1], of the input's whole file, or of what was cropped from it.
        given: the input.
        size: (h, w) of the input's file.
        crop: the box that was cut out of the file.
    """
    notes = []
    if crop and rgba.shape[1:] == size:
        left, top, width, height = crop
        rgba = rgba[:, top : top + height, left : left + width]
    shown = (crop[3], crop[2]) if crop else size
    height, width = rgba.shape[1:]
    if (height, width) != tuple(shown):
        is_stretched = max(height * shown[1], width * shown[0]) > STRETCH * min(
            height * shown[1], width * shown[0]
        )
        how = "stretched" if is_stretched else "resized"
        notes.append(f"{how} from {width}x{height} to the picture's {shown[1]}x{shown[0]}")
    top, left, bottom, right = _rectangle(given)
    resized = _resized(rgba, (bottom - top, right - left))
    laid = torch.zeros(4, given.side, given.side)
    laid[:, top:bottom, left:right] = resized
    return laid, notes


def opaque(rgba: Tensor) -> Tensor:
    """Lay `[4, h, w]` over the mean of its own colours: `[3, h, w]`."""
    colour, alpha = rgba[:3], rgba[3:]
    mean = (colour * alpha).sum((1, 2)) / alpha.sum().clamp(min=1e-6)
    return colour * alpha + mean[:, None, None] * (1 - alpha)


def _rectangle(given: Input) -> tuple[int, int, int, int]:
    """Return top, left, bottom and right of the input in the finished picture, in its pixels."""
    frame, (height, width) = given.frame, given.y.shape[-2:]
    edges = frame.top, frame.left, frame.top + height, frame.left + width
    top, left, bottom, right = (round(edge * given.side / frame.side) for edge in edges)
    return top, left, bottom, right


def _resized(rgba: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize `[4, h, w]`; what is transparent lends no colour."""
    if tuple(rgba.shape[1:]) == size:
        return rgba
    painted = torch.cat([rgba[:3] * rgba[3:], rgba[3:]])
    found = F.interpolate(painted[None], size, mode="bilinear", antialias=True)[0]
    return torch.cat([found[:3] / found[3:].clamp(min=1e-6), found[3:]]).clamp(0, 1)
