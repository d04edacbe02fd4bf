"""How alike two pictures are, pixel by pixel: absolute and squared error, PSNR and SSIM."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

WINDOW, SIGMA = 11, 1.5  # pixels
C1, C2 = 0.01**2, 0.03**2  # for values in [0, 1]


def l1(a: Tensor, b: Tensor) -> Tensor:
    """Return the mean absolute difference per pixel and channel, in levels of 255, `[N]`.

    Args:
        a: pictures `[N, C, H, W]` in [-1, 1].
        b: as many, or one.
    """
    return ((a - b).double() * 127.5).abs().flatten(1).mean(1)


def l2(a: Tensor, b: Tensor) -> Tensor:
    """Return the mean squared difference per pixel and channel, in squared levels; as `l1`."""
    return ((a - b).double() * 127.5).square().flatten(1).mean(1)


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """Return 10 log10(255^2 / `l2`), in dB; as `l1`."""
    return 10 * (255**2 / l2(a, b)).log10()


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Return the structural similarity (Wang et al. 2004), at most 1, `[N]`; as `l1`.

    Gaussian window of 11 pixels, sigma 1.5, K1 = 0.01, K2 = 0.03; the mean over the channels and
    over the windows that lie in the picture, whose sides are at least 11.
    """
    x, y = (a.double() + 1) / 2, (b.double().expand_as(a) + 1) / 2
    mean_x, mean_y = _blur(x), _blur(y)
    var_x, var_y = _blur(x * x) - mean_x**2, _blur(y * y) - mean_y**2
    cov = _blur(x * y) - mean_x * mean_y
    likeness = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    structure = (2 * cov + C2) / (var_x + var_y + C2)
    return (likeness * structure).flatten(1).mean(1)


def _blur(x: Tensor) -> Tensor:
    t = torch.arange(WINDOW, dtype=x.dtype, device=x.device) - WINDOW // 2
    taps = torch.exp(-(t**2) / (2 * SIGMA**2))
    taps = taps / taps.sum()
    planes = x.flatten(0, 1)[:, None]
    rows = F.conv2d(F.conv2d(planes, taps[None, None, :, None]), taps[None, None, None])
    return rows.view(*x.shape[:2], *rows.shape[2:])
