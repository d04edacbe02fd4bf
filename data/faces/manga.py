"""From a picture in greys to the dots of screentone."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PITCH = 1 / 85  # between neighbouring dots, in picture widths: 3 pixels of 256


def screened(picture: Image.Image, pitch: float = PITCH) -> Image.Image:
    """Replace greys (mode L) by black dots on white in a grid at 45 degrees.

    A region's average stays what it was. Black and white have no dots. The picture should be larger
    than what is wanted of it, and be reduced afterwards.
    """
    white = np.asarray(picture) > _screen(picture.width, picture.height, pitch)
    return Image.fromarray(white.view(np.uint8) * np.uint8(255))


@lru_cache(maxsize=2)
def _screen(width: int, height: int, pitch: float) -> NDArray[np.uint8]:
    """Give the grey at which each pixel turns white; all greys from 0 to 254 are equally frequent.

    cos(u) cos(v) is highest at the dots of a grid at 45 degrees.
    """
    step = np.sqrt(2) * np.pi / (pitch * width)
    x, y = (np.cos(step * (np.arange(count) + 0.5)).astype(np.float32) for count in (width, height))
    return _rank(np.outer(y, x))


def _rank(heights: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Turn products of two cosines into their place among all such products."""
    wave = np.cos(np.pi * (np.arange(512) + 0.5) / 512)
    bounds = np.quantile(np.outer(wave, wave), np.arange(1, 255) / 255)
    return np.searchsorted(bounds, heights).astype(np.uint8)
