"""Draw a described face: the parts in order from far to near."""

from __future__ import annotations

from PIL import Image

from data.faces.accessories import draw_accessory, draw_ears_of_cat, draw_glasses
from data.faces.background import draw_background
from data.faces.canvas import Canvas
from data.faces.clothes import accent, draw_clothes
from data.faces.colour import Tones, material, skin
from data.faces.curves import moved
from data.faces.describe import FaceDescription
from data.faces.eyes import draw_eyes
from data.faces.hair_back import draw_back_hair, draw_braids
from data.faces.hair_front import cap_shape, draw_cap, draw_side_locks, hair_hue
from data.faces.head import draw_blush, draw_face, draw_neck, draw_nose, face_shape
from data.faces.mouth import draw_brows, draw_mouth


def draw(description: FaceDescription, size: int) -> Image.Image:
    """Draw the face as an RGB picture of `size` x `size` pixels.

    The picture depends on the description and the size alone; sizes differ in detail only.

    Raises:
        ValueError: if the size is not between 8 and 2048.
    """
    if not 8 <= size <= 2048:
        raise ValueError(f"size {size}: outside 8 to 2048. Choose a size within.")
    face = description
    canvas = Canvas(size, (255, 255, 255))
    hair = material(*hair_hue(face))
    flesh = skin(face.skin_tone, face.skin_warmth)
    draw_background(canvas, face)
    _pose(canvas, face, depth=-0.010, tilt=0.8)
    draw_back_hair(canvas, face, hair, accent(face).base)
    _pose(canvas, face, depth=0.0, tilt=0.4)
    draw_neck(canvas, face, flesh)
    draw_clothes(canvas, face)
    _pose(canvas, face, depth=0.0)
    draw_braids(canvas, face, hair)
    _draw_features(canvas, face, hair, flesh)
    _draw_front(canvas, face, hair, flesh)
    return canvas.finish()


def _pose(canvas: Canvas, face: FaceDescription, depth: float, tilt: float = 1.0) -> None:
    """Place a layer; near layers (`depth` > 0) move further when the head turns."""
    dx = face.offset_x + depth * face.turn
    canvas.pose(face.scale, face.tilt * tilt, dx, face.offset_y)


def _draw_features(canvas: Canvas, face: FaceDescription, hair: Tones, flesh: Tones) -> None:
    draw_face(canvas, face, flesh)
    with canvas.inside(face_shape(face)):
        away = -face.light_side
        canvas.fill(moved(cap_shape(face), 0.010 * away + 0.012 * face.turn, 0.026), flesh.shade)
        draw_blush(canvas, face, flesh)
    draw_nose(canvas, face, flesh)
    draw_mouth(canvas, face, flesh)
    draw_eyes(canvas, face, hair, flesh)


def _draw_front(canvas: Canvas, face: FaceDescription, hair: Tones, flesh: Tones) -> None:
    draw_ears_of_cat(canvas, face, hair)
    _pose(canvas, face, depth=0.006)
    draw_side_locks(canvas, face, hair)
    _pose(canvas, face, depth=0.010)
    draw_cap(canvas, face, hair)
    draw_accessory(canvas, face, hair)
    _pose(canvas, face, depth=0.0)
    draw_brows(canvas, face, hair, flesh)
    draw_glasses(canvas, face)
