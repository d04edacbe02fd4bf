"""Blur what the discriminator sees at the start of configuration R (Karras et al. 2021, app. D).

The generator must not lose its rotation equivariance to the details that D looks at first.
"""

import torch
from torch import Tensor

from custom_ops import upfirdn2d

TRUNCATION = 3  # standard deviations on either side


def blur_sigma(num_images: int, fade_kimg: float, initial: float = 10.0) -> float:
    """Return the blur in pixels after `num_images`: from `initial` linearly to 0 at `fade_kimg`."""
    if not fade_kimg:
        return 0.0
    return initial * max(1 - num_images / (fade_kimg * 1000), 0.0)


def blur(images: Tensor, sigma: float) -> Tensor:
    """Filter with a Gaussian of `sigma` pixels, truncated at 3 sigma; exact derivatives.

    Outside the picture lie zeros, the middle grey, so that a picture may be smaller than the
    filter; the darker or lighter rim is the same for drawn and generated pictures.

    Args:
        images: `[N, C, H, W]`, of any size.
        sigma: below 1/3 the filter has one tap and `images` itself is returned.
    """
    radius = int(TRUNCATION * sigma)
    if radius == 0:
        return images
    offsets = torch.arange(-radius, radius + 1)
    taps = (offsets / sigma).square().mul(-0.5).exp()
    return upfirdn2d(images, taps / taps.sum(), padding=radius)
