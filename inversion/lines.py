"""The lines of a picture, as a draughtsman would ink them: a soft, differentiable XDoG.

Winnemoeller, Kyprianidis and Olsen, "XDoG: An eXtended difference-of-Gaussians compendium" (2012),
section 2: the luma x is blurred twice, the difference weighted and softly thresholded,

    D(x) = G_sigma * x - tau G_(k sigma) * x
    T(u) = 1 where u >= eps, else 1 + tanh(phi (u - eps))

and T(D(x)) is white paper, 1, with dark lines.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from inversion.operators import Frame, GreySmall, bicubic_matrix

# fitted to 60 drawn faces, luma against line art of the same description, both at DRAWN_AT pixels
DRAWN_AT = 64
SIGMA, K, TAU, EPS, PHI = 0.418, 1.617, 0.98, 0.0153, 7.28
REACH = 3  # pixels, beyond which the wider Gaussian has ended


class LineArt:
    """Draw the lines of pictures and reduce them: [N, 3, R, R] -> [N, 1, h, w], both in [-1, 1].

    Not linear, and nearly the same for many pictures: there is no right inverse, and no projection
    makes a picture agree.
    """

    channels = 1

    def __init__(
        self, img_resolution: int, size: tuple[int, int], sampled_at: int | None, frame: Frame
    ) -> None:
        """Build the operator; the arguments are those of `GreySmall`."""
        self.img_resolution, self.size = img_resolution, size
        sampled_at = max(sampled_at or img_resolution, DRAWN_AT)
        self._grey = GreySmall(img_resolution, (DRAWN_AT, DRAWN_AT), sampled_at)
        grid = bicubic_matrix(frame.side, DRAWN_AT)
        self._d_v = grid[frame.top : frame.top + size[0]]
        self._d_h = grid[frame.left : frame.left + size[1]]

    def __call__(self, x: Tensor) -> Tensor:
        """Return the lines of x."""
        lines = 2 * xdog((self._grey(x) + 1) / 2) - 1
        return self._d_v.to(x) @ lines @ self._d_h.to(x).mT


def xdog(luma: Tensor) -> Tensor:
    """Return the lines of luma `[N, 1, h, w]` in [0, 1]; 1 is paper."""
    u = blurred(luma, SIGMA) - TAU * blurred(luma, K * SIGMA)
    return torch.where(u >= EPS, 1.0, 1 + torch.tanh(PHI * (u - EPS)))


def blurred(x: Tensor, sigma: float) -> Tensor:
    """Blur `x [N, 1, h, w]` by a Gaussian of `sigma` pixels; the border is repeated outwards."""
    reach = max(REACH, int(4 * sigma))
    taps = torch.arange(-reach, reach + 1, dtype=torch.float64)
    g = torch.exp(-((taps / sigma) ** 2) / 2)
    g = (g / g.sum()).to(x)
    x = F.pad(x, (reach,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(x, g.view(1, 1, 1, -1)), g.view(1, 1, -1, 1))
