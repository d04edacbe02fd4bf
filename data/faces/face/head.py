"""Neck, ears, the shape of the face, blush and nose."""

from __future__ import annotations

from data.faces.canvas import Canvas
from data.faces.colour import Tones, mix
from data.faces.curves import Path, bezier, ellipse, mirrored, smooth
from data.faces.description import FaceDescription

CHIN_Y = 0.845
EAR_Y = 0.615


def cheek_width(face: FaceDescription) -> float:
    """Give half the width of the face at the cheekbones."""
    return 0.272 + 0.012 * face.head_width


def face_shape(face: FaceDescription) -> Path:
    """Outline the face from the hidden top of the skull to the chin."""
    wide = cheek_width(face)
    jaw = 0.186 + 0.016 * face.jaw_width + 0.5 * (wide - 0.272)
    chin = 0.062 - 0.026 * face.chin_point
    half = [
        (0.12, 0.20),
        (wide * 0.92, 0.34),
        (wide, 0.50),
        (wide * 0.985, 0.60),
        (wide * 0.91, 0.69),
        (jaw, 0.755),
        (chin + 0.060, CHIN_Y - 0.036),
        (chin, CHIN_Y - 0.008),
    ]
    shape = smooth([*half, (0.0, CHIN_Y), *[(-x, y) for x, y in reversed(half)]], 6, closed=True)
    return shape


def draw_neck(canvas: Canvas, face: FaceDescription, skin: Tones) -> None:
    """Draw the neck down to the shoulders with the shadow of the chin on it."""
    half = [(0.082, 0.74), (0.080, 0.86), (0.088, 0.91), (0.20, 0.955), (0.46, 1.06)]
    neck = smooth(mirrored(half), 6, closed=True)
    canvas.fill(neck, skin.base)
    with canvas.inside(neck):
        canvas.fill(ellipse(-0.02 * face.light_side, 0.80, 0.17, 0.115), skin.shade)
    canvas.outline(neck, 0.0048, skin.line)


def draw_face(canvas: Canvas, face: FaceDescription, skin: Tones) -> None:
    """Draw ears and face with the cel shadow on the side away from the light."""
    for side in (-1, 1):
        _draw_ear(canvas, face, skin, side)
    shape = face_shape(face)
    canvas.fill(shape, skin.base)
    with canvas.inside(shape):
        away, wide = -face.light_side, cheek_width(face)
        edge = [(0.97, 0.45), (0.93, 0.60), (0.80, 0.70), (0.58, 0.78), (0.28, 0.835)]
        inner = smooth([(away * wide * x, y) for x, y in edge], 5).tolist()
        outer = [[0.0, 0.95], [away * 0.5, 0.95], [away * 0.5, 0.45]]
        canvas.fill(_array(inner + outer), mix(skin.base, skin.shade, 0.75))
    canvas.outline(shape, 0.0055, skin.line)


def _array(points: list[list[float]]) -> Path:
    return smooth(points, 1)


def _draw_ear(canvas: Canvas, face: FaceDescription, skin: Tones, side: int) -> None:
    x = side * (cheek_width(face) + 0.006)
    half = [(x - side * 0.02, 0.555), (x + side * 0.022, 0.557), (x + side * 0.031, 0.60)]
    ear = smooth([*half, (x + side * 0.015, 0.655), (x - side * 0.02, 0.675)], 5, closed=True)
    canvas.fill(ear, skin.base)
    canvas.fill(ellipse(x + side * 0.008, 0.607, 0.010, 0.030, 14), skin.shade)
    canvas.outline(ear, 0.005, skin.line)


def draw_blush(canvas: Canvas, face: FaceDescription, skin: Tones) -> None:
    """Redden the cheeks."""
    if face.blush < 0.25:
        return
    colour = mix(skin.shade, (240, 90, 100), 0.55)
    for side in (-1, 1):
        x = side * 0.178
        canvas.glow(x, 0.705, 0.078, 0.042, colour, 0.35 + 0.45 * face.blush)


def draw_nose(canvas: Canvas, face: FaceDescription, skin: Tones) -> None:
    """Hint at the nose by a short line and its shadow."""
    x, away = 0.0, -face.light_side
    shadow = smooth(
        [(x, 0.690), (x + away * 0.013, 0.712), (x, 0.716), (x - away * 0.004, 0.705)], 4, True
    )
    canvas.fill(shadow, skin.shade)
    tick = bezier((x + away * 0.005, 0.699), (x + away * 0.009, 0.712), (x - away * 0.006, 0.716))
    canvas.stroke(tick, 0.0065, mix(skin.line, skin.deep, 0.3), 0.2, 0.5)
