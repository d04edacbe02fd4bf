"""The shape of the face with its cel shadow, the ears and the neck."""

from __future__ import annotations

import numpy as np

from data.faces.canvas import Canvas
from data.faces.curves import Path, bezier, mirrored, moved, smooth
from data.faces.face.mood import is_grown_man
from data.faces.figure import Figure

_CRISP = 0.40  # hardness of the light from which shadows have an edge

# The right ear around (0, 0): its outline, its hollow, the fold of its rim.
_SHELL = smooth(
    [(-0.02, -0.055), (0.018, -0.062), (0.042, -0.040), (0.036, 0.010), (0.020, 0.052),
     (-0.02, 0.065)], 4, closed=True)  # fmt: skip
_BOWL = smooth([(0.0, -0.035), (0.024, -0.036), (0.022, 0.0), (0.008, 0.030)], 4, closed=True)
_RIM = bezier((0.006, -0.040), (0.034, -0.050), (0.024, -0.004), samples=8)


def face_shape(figure: Figure) -> Path:
    """Outline the face from the hidden top of the skull to the chin."""
    right, left = _half(figure, 1), _half(figure, -1)
    chin = (0.0, figure.body.chin_y)
    return smooth([*right, chin, *[(-x, y) for x, y in reversed(left)]], 5, closed=True)


def _half(figure: Figure, side: int) -> list[tuple[float, float]]:
    """List the right half of the contour as it is on one side of the picture.

    On the far side of a turned head the brow and the cheekbone stand out before the eye.
    """
    body = figure.body
    cheek, jaw, chin, low = body.cheek_half, body.jaw_half, body.chin_half, body.chin_y
    far = max(side * figure.face.turn / 20, 0.0)
    return [
        (0.12, 0.20),
        (cheek * 0.92, 0.34),
        (cheek + 0.004 * far, body.eye_y - 0.10),
        (cheek * 0.985 - 0.007 * far, body.eye_y),
        (cheek * 0.955 + 0.006 * far, body.eye_y + 0.075),
        (0.36 * cheek + 0.64 * jaw + 0.005 * far, low - 0.122),
        (jaw, low - 0.082),
        (0.40 * jaw + 0.60 * chin, low - 0.029),
        (chin, low - 0.0065),
    ]


def draw_face(canvas: Canvas, figure: Figure) -> None:
    """Fill the face, yet without shadows."""
    canvas.fill(face_shape(figure), figure.paint.skin.base)


def draw_cheek_shadow(canvas: Canvas, figure: Figure) -> None:
    """Shade the side of the face away from the light; to be kept inside the face."""
    _shade(canvas, figure, _cheek_shadow(figure))


def draw_contour(canvas: Canvas, figure: Figure) -> None:
    """Ink the outline of the face, heavier below the chin."""
    canvas.outline(face_shape(figure), 0.0062, figure.paint.skin.line)


def _cheek_shadow(figure: Figure) -> Path:
    body, away = figure.body, -figure.face.light_side
    cheek, low = body.cheek_half, body.chin_y
    edge = [
        (0.90 * cheek, 0.30),
        (0.80 * cheek, body.eye_y - 0.11),
        (0.93 * cheek, body.eye_y - 0.02),
        (0.80 * cheek, body.eye_y + 0.09),
        (0.84 * body.jaw_half, low - 0.105),
        (0.66 * body.jaw_half, low - 0.055),
        (0.2 * body.chin_half, low - 0.016),
        (-1.5 * body.chin_half, low - 0.004),
    ]
    rim = cheek + 0.02
    outside = [(-1.5 * body.chin_half, low + 0.02), (rim, low + 0.02), (rim, 0.30)]
    inner = smooth([(away * x, y) for x, y in edge], 4)
    return np.concatenate([inner, [(away * x, y) for x, y in outside]])


def _shade(canvas: Canvas, figure: Figure, shadow: Path) -> None:
    """Lay a shadow on the skin whose edge is as hard as the light."""
    hardness = figure.face.light_hardness
    if hardness >= _CRISP:
        canvas.fill(shadow, figure.paint.skin.shade)
    else:
        canvas.soft(shadow, figure.paint.skin.shade, 1.0, 0.010 + 0.05 * (_CRISP - hardness))


def draw_ears(canvas: Canvas, figure: Figure) -> None:
    """Draw the ears, which the face and the hair cover in part."""
    body, skin = figure.body, figure.paint.skin
    for side in (-1, 1):
        place = (side * (body.cheek_half - 0.004), body.ear_y)
        shell, bowl, rim = (path * (side, 1) + place for path in (_SHELL, _BOWL, _RIM))
        canvas.fill(shell, skin.base)
        canvas.fill(bowl, skin.shade)
        canvas.outline(shell, 0.0058, skin.line)
        canvas.stroke(rim, 0.0045, skin.line, 0.2, 0.2)


def draw_neck(canvas: Canvas, figure: Figure) -> None:
    """Draw neck and shoulders with the shadow of the chin on them."""
    body, skin = figure.body, figure.paint.skin
    half = [
        (body.neck_half * 1.05, body.chin_y - 0.12),
        (body.neck_half, body.chin_y + 0.02),
        (body.neck_half * 1.06, body.shoulder_y - 0.022),
        (body.neck_half + 0.06, body.shoulder_y + 0.012),
        (body.shoulder_half, 1.02),
        (body.shoulder_half + 0.04, 1.16),
    ]
    neck = smooth(mirrored(half), 5, closed=True)
    canvas.fill(neck, skin.base)
    with canvas.inside(mirrored(half[:4])), figure.on(canvas, "face"):
        cast = moved(face_shape(figure), -0.016 * figure.face.light_side, 0.042)
        _shade(canvas, figure, cast)
    canvas.outline(neck, 0.0058, skin.line)
    _draw_throat(canvas, figure)


def _draw_throat(canvas: Canvas, figure: Figure) -> None:
    """Hint at collarbones and, on men, at the muscles of the neck and the Adam's apple."""
    body, line = figure.body, figure.paint.skin.line
    y = body.shoulder_y
    for side in (-1, 1):
        bone = bezier((side * 0.026, y + 0.052), (side * 0.08, y + 0.034), (side * 0.17, y + 0.030))
        canvas.stroke(bone, 0.0045, line, 0.4, 0.0)
        if is_grown_man(figure.face):
            muscle = bezier(
                (side * 0.66 * body.neck_half, y - 0.035),
                (side * 0.50 * body.neck_half, y + 0.005),
                (side * 0.028, y + 0.040),
            )
            canvas.stroke(muscle, 0.0042, line, 0.0, 0.3)
    if is_grown_man(figure.face):
        apple = bezier((0.002, y - 0.034), (0.011, y - 0.022), (0.0, y - 0.014))
        canvas.stroke(apple, 0.0045, line, 0.1, 0.3)
