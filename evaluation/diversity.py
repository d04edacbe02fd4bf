"""How different candidates are in colour: CIELAB and the colour differences of the CIE, in torch.

Lab is relative to D65, 2 degree observer. Arithmetic is float64 whatever comes in.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

RGB_TO_XYZ = (  # linear sRGB to XYZ, IEC 61966-2-1
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
WHITE_D65 = (0.95047, 1.0, 1.08883)  # XYZ of the reference white


def rgb_to_lab(rgb: Tensor) -> Tensor:
    """Convert sRGB rgb [..., 3, H, W] in [0, 1] to CIELAB of the same shape, float64 (D65)."""
    rgb = rgb.double()
    linear = torch.where(rgb > 0.04045, ((rgb.clamp(min=0) + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    xyz = torch.einsum("ij,...jhw->...ihw", linear.new_tensor(RGB_TO_XYZ), linear)
    t = xyz / xyz.new_tensor(WHITE_D65)[:, None, None]
    delta = 6 / 29
    f = torch.where(t > delta**3, t.clamp(min=delta**3).pow(1 / 3), t / (3 * delta**2) + 4 / 29)
    x, y, z = f.unbind(-3)
    return torch.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), dim=-3)


def cie76(lab1: Tensor, lab2: Tensor) -> Tensor:
    """Return the Euclidean distance of lab1, lab2 [..., 3, H, W] in CIELAB, [..., H, W]."""
    return (lab1 - lab2).square().sum(dim=-3).sqrt()


def ciede2000(lab1: Tensor, lab2: Tensor) -> Tensor:
    """Return CIEDE2000 of lab1, lab2 [..., 3, H, W], kL = kC = kH = 1, as [..., H, W].

    The numbered equations are those of Sharma, Wu and Dalal, "The CIEDE2000 color-difference
    formula: implementation notes, supplementary test data, and mathematical observations", 2005.
    """
    (l1, a1, b1), (l2, a2, b2) = lab1.double().unbind(-3), lab2.double().unbind(-3)
    g = 0.5 * (1 - _chroma_weight((torch.hypot(a1, b1) + torch.hypot(a2, b2)) / 2))  # (4)
    a1, a2 = (1 + g) * a1, (1 + g) * a2  # (5)
    c1, c2 = torch.hypot(a1, b1), torch.hypot(a2, b2)  # (6)
    h1, h2 = _hue(a1, b1), _hue(a2, b2)  # (7)
    dh, h_mean = _hue_difference_and_mean(h1, h2)
    dl, dc = l2 - l1, c2 - c1  # (8), (9)
    dh_term = 2 * (c1 * c2).sqrt() * torch.sin(dh / 2)  # (11)
    l_mean, c_mean = (l1 + l2) / 2, (c1 + c2) / 2  # (12), (13)

    offset = (l_mean - 50).square()
    s_l = 1 + 0.015 * offset / (20 + offset).sqrt()  # (18)
    s_c = 1 + 0.045 * c_mean  # (19)
    s_h = 1 + 0.015 * c_mean * _hue_weight(h_mean)  # (20)
    angle = torch.exp(-(((h_mean.rad2deg() - 275) / 25).square()))  # (16), in units of 30 degrees
    r_t = -2 * _chroma_weight(c_mean) * torch.sin(angle * math.radians(60))  # (17), (21)
    lightness, chroma, hue = dl / s_l, dc / s_c, dh_term / s_h
    total = lightness.square() + chroma.square() + hue.square() + r_t * chroma * hue
    return total.clamp(min=0).sqrt()  # (22); the clamp is for rounding at equal colours


def _chroma_weight(c: Tensor) -> Tensor:
    """Return sqrt(C^7 / (C^7 + 25^7)), of equations (4) and (17)."""
    return (c**7 / (c**7 + 25.0**7)).sqrt()


def _hue(a: Tensor, b: Tensor) -> Tensor:
    """Return the hue angle in [0, 2 pi), 0 for grey."""
    return torch.atan2(b, a) % (2 * math.pi)


def _hue_difference_and_mean(h1: Tensor, h2: Tensor) -> tuple[Tensor, Tensor]:
    """Equations (10) and (14): the shorter way round, and the angle halfway along it.

    Their special cases for grey are left out: there (11) is 0 whatever the hues.
    """
    d, mean = h2 - h1, (h1 + h2) / 2
    wraps = d.abs() > math.pi
    dh = torch.where(wraps, d - d.sign() * 2 * math.pi, d)
    return dh, torch.where(wraps, (mean + math.pi) % (2 * math.pi), mean)


def _hue_weight(h: Tensor) -> Tensor:
    """Equation (15), T."""
    return (
        1
        - 0.17 * torch.cos(h - math.radians(30))
        + 0.24 * torch.cos(2 * h)
        + 0.32 * torch.cos(3 * h + math.radians(6))
        - 0.20 * torch.cos(4 * h - math.radians(63))
    )


def pairwise_ciede2000(images: Tensor) -> Tensor:
    """Return the mean CIEDE2000 over the picture of every pair of images, [N, N].

    images [N, 3, H, W] are uint8, or float sRGB in [-1, 1] (clipped to it).
    """
    return _pairwise(images, ciede2000)


def pairwise_cie76(images: Tensor) -> Tensor:
    """Return the mean CIE76 distance over the picture of every pair, as `pairwise_ciede2000`."""
    return _pairwise(images, cie76)


def spread_map(images: Tensor) -> Tensor:
    """Return the mean CIEDE2000 between pairs of pictures at every pixel, [H, W].

    What all pictures show alike is 0; arguments as for `pairwise_ciede2000`, two pictures or more.
    """
    lab = _lab(images)
    total = torch.zeros_like(lab[0, 0])
    for i in range(1, len(lab)):
        total += ciede2000(lab[i], lab[:i]).sum(0)
    return total / (len(lab) * (len(lab) - 1) / 2)


def _pairwise(images: Tensor, distance: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    lab = _lab(images)
    result = lab.new_zeros(len(lab), len(lab))
    for i in range(len(lab)):
        for j in range(i):
            result[i, j] = result[j, i] = distance(lab[i], lab[j]).mean()
    return result


def _lab(images: Tensor) -> Tensor:
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"images: got shape {tuple(images.shape)}. Give [N, 3, H, W].")
    rgb = images.double() / 255 if images.dtype == torch.uint8 else (images.double() + 1) / 2
    return rgb_to_lab(rgb.clamp(0, 1))


def mean_pairwise(distances: Tensor) -> float:
    """Return the mean over the pairs i < j of a symmetric matrix [N, N]; nan for a single one."""
    i, j = torch.triu_indices(len(distances), len(distances), 1, device=distances.device)
    return float(distances[i, j].mean())
