"""Draw a described face: the parts in order from far to near, in colour or as manga."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image

from data.faces.background import paint_background
from data.faces.canvas import Canvas
from data.faces.description import FaceDescription
from data.faces.face.brows import draw_brows
from data.faces.face.eyes import draw_eyes, draw_lashes
from data.faces.face.glasses import draw_arms, draw_glasses
from data.faces.face.head import (
    draw_cheek_shadow,
    draw_contour,
    draw_ears,
    draw_face,
    draw_neck,
    face_shape,
)
from data.faces.face.marks import draw_marks
from data.faces.face.mouth import draw_mouth
from data.faces.face.nose import draw_nose
from data.faces.figure import Figure
from data.faces.hair.back import draw_back_hair, draw_shoulder_hair
from data.faces.hair.front import draw_ahoge, draw_cap, draw_fringe_shadow, draw_side_locks
from data.faces.light import lit
from data.faces.manga import PITCH, screened
from data.faces.paint import Paint, colour_paint, line_paint, tone_paint
from data.faces.wear.clothes import draw_clothes, draw_clothes_behind
from data.faces.wear.headwear import draw_headwear, draw_headwear_below
from data.faces.wear.ornaments import draw_earrings, draw_ornament

_PAINTS: dict[str, Callable[[FaceDescription], Paint]] = {
    "colour": colour_paint,
    "grey": colour_paint,
    "lineart": line_paint,
    "screentone": tone_paint,
}
MEDIA = tuple(_PAINTS)


def draw(
    description: FaceDescription, size: int, medium: str = "colour", pitch: float = PITCH
) -> Image.Image:
    """Draw the face as a picture of `size` x `size` pixels, in colour (RGB) or as manga (L).

    `medium` is one of MEDIA: "grey" is the luma of "colour", "lineart" has black lines only,
    "screentone" also black surfaces and greys made of dots, `pitch` picture widths apart. The
    picture depends on the arguments alone; sizes differ in detail only.

    Raises:
        ValueError: if the size is not between 8 and 2048, or there is no such medium.
    """
    if not 8 <= size <= 2048:
        raise ValueError(f"size {size}: outside 8 to 2048. Choose a size within.")
    if medium not in MEDIA:
        raise ValueError(f"medium {medium!r}: unknown. Choose one of {', '.join(MEDIA)}.")
    figure = Figure.of(description, _PAINTS[medium](description))
    canvas = painted(figure, size)
    if medium == "lineart":
        return canvas.finish().convert("L")
    if medium == "screentone":
        return screened(canvas.image.convert("L"), pitch).reduce(canvas.factor)
    picture = lit(canvas.finish(), canvas.ground, figure)
    return picture if medium == "colour" else picture.convert("L")


def painted(figure: Figure, size: int) -> Canvas:
    """Paint all parts on a canvas of `size` pixels a side, before any light."""
    ink = 0.75 + 0.5 * figure.face.line_weight
    canvas = Canvas(size, paint_background(figure), ink=ink)
    for draw_part in (_draw_far, _draw_head, _draw_near):
        draw_part(canvas, figure)
    return canvas


def _draw_far(canvas: Canvas, figure: Figure) -> None:
    with figure.on(canvas, "back"):
        draw_back_hair(canvas, figure)
    with figure.on(canvas, "body"):
        draw_clothes_behind(canvas, figure)
    with figure.on(canvas, "neck"):
        draw_neck(canvas, figure)
    with figure.on(canvas, "body"):
        draw_clothes(canvas, figure)
        draw_shoulder_hair(canvas, figure)


def _draw_head(canvas: Canvas, figure: Figure) -> None:
    with figure.on(canvas, "ears"):
        draw_ears(canvas, figure)
        draw_earrings(canvas, figure)
    with figure.on(canvas, "face"):
        draw_face(canvas, figure)
        with canvas.inside(face_shape(figure)):
            draw_cheek_shadow(canvas, figure)
            with figure.on(canvas, "hair"):  # its shadow
                draw_fringe_shadow(canvas, figure)
            draw_marks(canvas, figure)
        draw_contour(canvas, figure)
        for part in (draw_nose, draw_mouth, draw_eyes, draw_lashes, draw_brows, draw_arms):
            part(canvas, figure)


def _draw_near(canvas: Canvas, figure: Figure) -> None:
    with figure.on(canvas, "hair"):
        draw_headwear_below(canvas, figure)
        draw_side_locks(canvas, figure)
        draw_cap(canvas, figure)
        draw_ahoge(canvas, figure)
    with figure.on(canvas, "face"):
        draw_lashes(canvas, figure, 0.35)
        draw_brows(canvas, figure, 0.45)
    with figure.on(canvas, "hair"):
        draw_headwear(canvas, figure)
        draw_ornament(canvas, figure)
    with figure.on(canvas, "glasses"):
        draw_glasses(canvas, figure)
