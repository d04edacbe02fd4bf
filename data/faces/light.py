"""What light does to the picture as a whole: its fall-off, and the rim it draws around the head."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from data.faces.figure import Figure
from data.faces.palette import LIGHTS

_RIM = 0.013  # width of the rim in picture widths


def lit(picture: Image.Image, ground: Image.Image, figure: Figure) -> Image.Image:
    """Light a finished picture; `ground` is its background alone."""
    face = figure.face
    colour = LIGHTS[face.light].rim
    if colour:
        mask = _rim(picture, ground, face.light_side, face.light_hardness)
        picture.paste(colour, (0, 0), mask)
    return ImageChops.multiply(picture, _fall_off(face.light, face.light_side, picture.width))


def _rim(picture: Image.Image, ground: Image.Image, side: int, hardness: float) -> Image.Image:
    """Mask what of the figure has nothing before it on the way to the light."""
    size = picture.size
    red, green, blue = ImageChops.difference(picture, ground).split()
    differs = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    cover = differs.point([0] + [255] * 255)
    way = side * _RIM * size[0], -0.45 * _RIM * size[0]
    affine = (1, 0, way[0], 0, 1, way[1])
    nearer = cover.transform(size, Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR,
                             fillcolor=255)  # fmt: skip
    rim = ImageChops.multiply(cover, ImageChops.invert(nearer))
    soft = rim.filter(ImageFilter.GaussianBlur((0.006 - 0.004 * hardness) * size[0]))
    return soft.point([round(0.85 * v) for v in range(256)])


@lru_cache(maxsize=32)
def _fall_off(name: str, side: int, size: int) -> Image.Image:
    """Darken a little away from the light, towards the colour of the shade."""
    light = LIGHTS[name]
    axis = (np.arange(16) + 0.5) / 16
    away = 0.75 * axis[:, None] + 0.25 * (0.5 - side * (axis[None] - 0.5))
    share = 0.22 * np.clip(away - 0.25, 0, 1) ** 1.3
    shade = np.minimum(light.ambient, 1.0) * 0.75
    factors = 1 - share[..., None] * (1 - shade)
    small = Image.fromarray(np.round(255 * factors).astype(np.uint8))
    return small.resize((size, size), Image.Resampling.BICUBIC)
