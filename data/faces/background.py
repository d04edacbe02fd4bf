"""What lies behind the head."""

from __future__ import annotations

import numpy as np
from PIL import Image

from data.faces.canvas import Canvas, vertical_gradient
from data.faces.colour import RGB, rgb
from data.faces.describe import FaceDescription


def draw_background(canvas: Canvas, face: FaceDescription) -> None:
    """Paint the whole canvas: one colour, a gradient, soft clouds or a halo."""
    shift = (face.background_seed % 97 / 48 - 1) * 50
    near, far = _colour(face, 0.0, 0.0), _colour(face, -0.10, shift)
    if face.background == "gradient":
        order = (near, far) if face.background_seed % 2 else (far, near)
        canvas.image.paste(vertical_gradient(order, canvas.side, canvas.side))
    elif face.background == "clouds":
        canvas.image.paste(
            _clouds(face, near, far).resize((canvas.side,) * 2, Image.Resampling.BICUBIC)
        )
    else:
        canvas.image.paste(near, (0, 0, canvas.side, canvas.side))
    if face.background == "halo":
        canvas.glow(0.0, 0.45, 0.75, 0.75, _colour(face, 0.10, shift / 2), 0.9)


def _colour(face: FaceDescription, lighter: float, hue: float) -> RGB:
    lightness = min(face.background_lightness + lighter, 0.985)
    return rgb(lightness, face.background_chroma, face.background_hue + hue)


def _clouds(face: FaceDescription, near: RGB, far: RGB) -> Image.Image:
    share = np.random.default_rng(face.background_seed).random((5, 5, 1))
    blend = np.array(near) * (1 - share) + np.array(far) * share
    return Image.fromarray(np.round(blend).astype(np.uint8))
