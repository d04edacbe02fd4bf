"""What lies behind the head."""

from __future__ import annotations

from PIL import Image

from data.faces.canvas import Canvas, vertical_gradient
from data.faces.figure import Figure


def draw_background(canvas: Canvas, figure: Figure) -> None:
    """Paint the whole canvas."""
    face, tones = figure.face, figure.paint.background
    if face.background == "gradient":
        order = (tones.base, tones.shade)[:: 1 if face.background_seed % 2 else -1]
        canvas.image.paste(vertical_gradient(order, canvas.side, canvas.side))
    else:
        canvas.image.paste(Image.new("RGB", canvas.image.size, tones.base))
    if face.background == "halo":
        canvas.glow(0.0, 0.45, 0.75, 0.75, tones.light, 0.9)
