"""The CIELAB side of a colouriser that is given lightness and answers a and b."""

from __future__ import annotations

import torch
from torch import Tensor

from evaluation.diversity import RGB_TO_XYZ, WHITE_D65, rgb_to_lab

AB_UNIT = 110.0  # a and b of sRGB colours lie within it (-108 to 98)


def lightness(y: Tensor) -> Tensor:
    """Return L of grey `y [N, 1, H, W]` in [-1, 1], black -1, white 1."""
    grey = ((y.expand(-1, 3, -1, -1) + 1) / 2).clamp(0, 1)
    return (rgb_to_lab(grey)[:, :1] / 50 - 1).to(y)


def ab_of(x: Tensor) -> Tensor:
    """Return a and b of pictures `[N, 3, H, W]` in [-1, 1], `[N, 2, H, W]` in [-1, 1]."""
    return (rgb_to_lab(((x + 1) / 2).clamp(0, 1))[:, 1:] / AB_UNIT).to(x)


def to_rgb(light: Tensor, ab: Tensor) -> Tensor:
    """Return pictures `[N, 3, H, W]` in [-1, 1] of what `lightness` and `ab_of` give.

    Colours that sRGB does not have are clipped to it.
    """
    lab = torch.cat([(light.double() + 1) * 50, ab.double() * AB_UNIT], dim=1)
    fy = (lab[:, 0] + 16) / 116
    f = torch.stack((fy + lab[:, 1] / 500, fy, fy - lab[:, 2] / 200), dim=1)
    delta = 6 / 29
    t = torch.where(f > delta, f**3, 3 * delta**2 * (f - 4 / 29))
    xyz = t * t.new_tensor(WHITE_D65)[:, None, None]
    linear = torch.einsum("ij,njhw->nihw", torch.linalg.inv(xyz.new_tensor(RGB_TO_XYZ)), xyz)
    linear = linear.clamp(0, 1)
    high = 1.055 * linear.clamp(min=1e-9) ** (1 / 2.4) - 0.055
    return (torch.where(linear > 0.0031308, high, 12.92 * linear) * 2 - 1).to(light)
