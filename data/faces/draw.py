"""Draw a described face: the parts in order from far to near, in colour or as manga."""

from __future__ import annotations

from PIL import Image

from data.faces.background import draw_background
from data.faces.canvas import Canvas
from data.faces.curves import moved
from data.faces.description import FaceDescription
from data.faces.face.eyes import draw_eyes
from data.faces.face.head import draw_blush, draw_face, draw_neck, draw_nose, face_shape
from data.faces.face.mouth import draw_brows, draw_mouth
from data.faces.figure import Figure
from data.faces.hair.back import draw_back_hair, draw_braids
from data.faces.hair.front import cap_shape, draw_cap, draw_side_locks
from data.faces.paint import colour_paint
from data.faces.wear.accessories import draw_accessory, draw_ears_of_cat, draw_glasses
from data.faces.wear.clothes import draw_clothes


def draw(description: FaceDescription, size: int) -> Image.Image:
    """Draw the face as an RGB picture of `size` x `size` pixels.

    The picture depends on the description and the size alone; sizes differ in detail only.

    Raises:
        ValueError: if the size is not between 8 and 2048.
    """
    if not 8 <= size <= 2048:
        raise ValueError(f"size {size}: outside 8 to 2048. Choose a size within.")
    figure = Figure.of(description, colour_paint(description))
    canvas = Canvas(size, (255, 255, 255), ink=0.75 + 0.5 * description.line_weight)
    draw_background(canvas, figure)
    _draw_far(canvas, figure)
    _draw_head(canvas, figure)
    _draw_near(canvas, figure)
    return canvas.finish()


def _draw_far(canvas: Canvas, figure: Figure) -> None:
    face, paint = figure.face, figure.paint
    with figure.on(canvas, "back"):
        draw_back_hair(canvas, face, paint.hair, paint.accent.base)
    with figure.on(canvas, "neck"):
        draw_neck(canvas, face, paint.skin)
    with figure.on(canvas, "body"):
        draw_clothes(canvas, face)
        draw_braids(canvas, face, paint.hair)


def _draw_head(canvas: Canvas, figure: Figure) -> None:
    face, paint = figure.face, figure.paint
    with figure.on(canvas, "face"):
        draw_face(canvas, face, paint.skin)
        with canvas.inside(face_shape(face)):
            with figure.on(canvas, "hair"):  # its shadow
                shadow = moved(cap_shape(face), -0.010 * face.light_side, 0.026)
                canvas.fill(shadow, paint.skin.shade)
            draw_blush(canvas, face, paint.skin)
        draw_nose(canvas, face, paint.skin)
        draw_mouth(canvas, face, paint.skin)
        draw_eyes(canvas, face, paint.hair, paint.skin)


def _draw_near(canvas: Canvas, figure: Figure) -> None:
    face, paint = figure.face, figure.paint
    with figure.on(canvas, "hair"):
        draw_ears_of_cat(canvas, face, paint.hair)
        draw_side_locks(canvas, face, paint.hair)
        draw_cap(canvas, face, paint.hair)
        draw_accessory(canvas, face, paint.hair)
    with figure.on(canvas, "face"):
        draw_brows(canvas, face, paint.hair, paint.skin)
    with figure.on(canvas, "glasses"):
        draw_glasses(canvas, face)
