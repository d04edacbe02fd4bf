"""Colours by lightness, chroma and hue: OKLab (Ottosson 2020), differentiable, and back.

Colours `[..., 3]` are sRGB in [0, 1], or L, a, b.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from inversion.operators import LUMA

TO_CONE = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
TO_LAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)
DARKEST = 1e-4  # of cone responses: the cube root has no slope at 0
HALVINGS = 24  # of an interval of [0, 1], down to rounding


def to_oklab(rgb: Tensor) -> Tensor:
    """Convert sRGB to OKLab; the gradient is finite everywhere, black included."""
    low = rgb / 12.92
    high = ((rgb.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4
    cone = torch.where(rgb > 0.04045, high, low) @ rgb.new_tensor(TO_CONE).mT
    return cone.clamp(min=DARKEST) ** (1 / 3) @ rgb.new_tensor(TO_LAB).mT


def from_oklab(lab: Tensor) -> Tensor:
    """Convert OKLab to sRGB, below 0 or above 1 where the colour is none of sRGB."""
    cone = torch.linalg.solve(lab.new_tensor(TO_LAB), lab[..., None])[..., 0] ** 3
    linear = torch.linalg.solve(lab.new_tensor(TO_CONE), cone[..., None])[..., 0]
    high = 1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(linear > 0.0031308, high, 12.92 * linear)


def at_luma(rgb: Tensor, luma: Tensor) -> Tensor:
    """Return the colours of given luma that keep hue and, as far as sRGB has them, chroma.

    Args:
        rgb: colours wanted, `[..., 3]`, sRGB in [0, 1].
        luma: 0.299 R + 0.587 G + 0.114 B that they must have, `[...]` in [0, 1].
    """
    ab, luma = to_oklab(rgb.double())[..., 1:], luma.double().clamp(0, 1)

    def shrunk(share: Tensor) -> Tensor:
        return _of_luma(share[..., None] * ab, luma)

    def exists(share: Tensor) -> Tensor:
        found = shrunk(share)
        return ((found > -1e-6) & (found < 1 + 1e-6)).all(-1)

    share = _largest(exists, torch.ones_like(luma))
    return shrunk(share).clamp(0, 1).to(rgb)


def _of_luma(ab: Tensor, luma: Tensor) -> Tensor:
    """Return sRGB `[..., 3]` of a, b and the lightness at which its luma is `luma`."""

    def is_dark(lightness: Tensor) -> Tensor:
        rgb = from_oklab(torch.cat([lightness[..., None], ab], -1))
        return rgb @ rgb.new_tensor(LUMA) <= luma

    lightness = _largest(is_dark, torch.full_like(luma, 1.2))
    return from_oklab(torch.cat([lightness[..., None], ab], -1))


def _largest(holds: Callable[[Tensor], Tensor], most: Tensor) -> Tensor:
    """Return the largest value in [0, most] for which something holds that holds below it too."""
    low, high = torch.zeros_like(most), most
    low = torch.where(holds(high), high, low)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        fits = holds(middle)
        low, high = torch.where(fits, middle, low), torch.where(fits, high, middle)
    return low
