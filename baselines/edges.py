"""Line drawings made of grey pictures, as the source systems made theirs, and ours.

All take grey `y [N, 1, H, W]` in [-1, 1] and answer in the same shape and range.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from baselines.blur import gaussian_blur

SOBEL = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))
AHEAD = ((0, 1), (1, 1), (1, 0), (1, -1))  # neighbour across an edge, by the gradient's direction
INK, PAPER = -1.0, 1.0


def canny(y: Tensor, sigma: float = 0.7, low: float = 0.1, high: float = 0.2) -> Tensor:
    """Draw edges as black lines on white paper (Canny 1986).

    Blur, Sobel gradient, thinning across the edge in one of four directions, hysteresis. The grey
    and edge figures of the ConvNet-and-GAN paper are of this kind of input.

    Args:
        y: the pictures.
        sigma: of the blur, pixels.
        low, high: where a line goes on, and where it begins: Sobel's gradient over 4, of grey in
            [0, 1]. The defaults are 100 and 200 of OpenCV's units.
    """
    smooth = F.pad(gaussian_blur((y.float() + 1) / 2, sigma), (1, 1, 1, 1), "replicate")
    across = torch.tensor(SOBEL, device=y.device)[None, None] / 4
    dx, dy = F.conv2d(smooth, across), F.conv2d(smooth, across.mT)
    size = torch.hypot(dx, dy)
    ridge = _is_largest_across(size, dx, dy)
    weak, line = ridge & (size > low), ridge & (size > high)
    while True:
        grown = weak & (F.max_pool2d(line.float(), 3, 1, 1) > 0)
        if torch.equal(grown, line):
            return torch.where(line, INK, PAPER)
        line = grown


def _is_largest_across(size: Tensor, dx: Tensor, dy: Tensor) -> Tensor:
    sector = (torch.atan2(dy, dx) / (math.pi / 4)).round().long() % 4
    padded = F.pad(size, (1, 1, 1, 1))
    height, width = size.shape[-2:]

    def beside(down: int, right: int) -> Tensor:
        return padded[..., 1 + down : 1 + down + height, 1 + right : 1 + right + width]

    result = torch.zeros_like(size, dtype=torch.bool)
    for k, (down, right) in enumerate(AHEAD):
        is_largest = (size >= beside(down, right)) & (size > beside(-down, -right))
        result |= (sector == k) & is_largest
    return result


def xdog(y: Tensor, sigma: float = 0.7, sharpness: float = 18.0, phi: float = 10.0) -> Tensor:
    """Draw lines as ink would (XDoG; Winnemoeller, Kyprianidis and Olsen 2012, eq. 5 and 7).

    D = (1 + p) G(sigma) y - p G(1.6 sigma) y; white where D >= eps, else 1 + tanh(phi (D - eps)).

    Args:
        y: the pictures.
        sigma: of the finer blur, pixels at 64 pixels a side (it grows with the picture).
        sharpness: p.
        phi: how suddenly paper becomes ink.
    """
    grey, scale = (y + 1) / 2, y.shape[-1] / 64
    fine, coarse = (gaussian_blur(grey, s * sigma * scale) for s in (1, 1.6))
    d = (1 + sharpness) * fine - sharpness * coarse
    ink = 1 + (phi * (d - XDOG_THRESHOLD)).tanh()
    return torch.where(d >= XDOG_THRESHOLD, 1.0, ink.clamp(0, 1)) * 2 - 1


XDOG_THRESHOLD = 0.3  # eps, of grey in [0, 1]


def sketch(y: Tensor, block: int = 7, offset: float = 2.0) -> Tensor:
    """Draw black where a pixel is darker than its surroundings: Gaussian adaptive threshold.

    Args:
        y: the pictures.
        block: side of the surroundings in pixels, odd. Their Gaussian's standard deviation is
            0.3 ((block - 1) / 2 - 1) + 0.8, as in OpenCV, the border's pixels repeated.
        offset: grey levels of 255 by which it must be darker than their mean.
    """
    radius = (block - 1) // 2
    mean = gaussian_blur(y, 0.3 * (radius - 1) + 0.8, radius, reflects=False)
    return torch.where(y > mean - offset / 127.5, PAPER, INK)


def ink_share(line_art: Tensor) -> Tensor:
    """Return the share of black in pictures `[N, 1, H, W]`, `[N]`: how dense a drawing is."""
    return (line_art < 0).float().mean((1, 2, 3))
