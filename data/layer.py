"""A painted layer: a picture whose transparency says where it counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from data.image_io import FORMATS, StrPath, load_image


@dataclass(frozen=True)
class Layer:
    """A decoded layer."""

    rgba: NDArray[np.float32]  # [4, H, W] in [0, 1]; alpha 1 where the file has no transparency
    sha256: str  # of the file's bytes


def load_layer(path: StrPath) -> Layer:
    """Read a picture file with its transparency.

    Raises:
        ImageError: it cannot be used, as `data.image_io.load_image` says.
    """
    judged = load_image(path)
    with Image.open(path, formats=FORMATS) as file:
        image = ImageOps.exif_transpose(file).convert("RGBA")
    rgba = np.asarray(image, np.float32).transpose(2, 0, 1) / 255
    return Layer(np.ascontiguousarray(rgba), judged.sha256)
