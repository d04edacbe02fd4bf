"""The mouth in its expressions, and the brows."""

from __future__ import annotations

from data.faces.canvas import Canvas
from data.faces.colour import RGB, Tones, mix
from data.faces.curves import Path, bezier, ellipse, smooth
from data.faces.description import FaceDescription

_Y = 0.770
_INSIDE: RGB = (148, 48, 58)
_TONGUE: RGB = (232, 118, 120)
_TEETH: RGB = (255, 250, 246)


def draw_mouth(canvas: Canvas, face: FaceDescription, skin: Tones) -> None:
    """Draw the mouth that goes with the expression."""
    x = 0.0
    ink = mix(skin.line, (130, 30, 40), 0.35)
    if face.expression in ("surprised", "grin"):
        shape = _open_shape(face.expression, x)
        _draw_open(canvas, shape, x, ink, face.expression)
        return
    bend = {"smile": 0.030, "sad": -0.026, "angry": -0.02}.get(face.expression, 0.01)
    half = {"smile": 0.068}.get(face.expression, 0.045)
    line = bezier((x - half, _Y - bend / 2), (x, _Y + bend), (x + half, _Y - bend / 2), samples=16)
    canvas.stroke(line, 0.0125, ink, 0.35, 0.35)
    under = bezier((x - 0.016, _Y + 0.026), (x, _Y + 0.031), (x + 0.016, _Y + 0.026))
    canvas.stroke(under, 0.006, skin.shade, 0.2, 0.2)


def _open_shape(expression: str, x: float) -> Path:
    if expression == "surprised":
        return ellipse(x, _Y + 0.004, 0.029, 0.034, 20)
    if expression == "grin":
        points = [
            (-0.066, -0.018),
            (0.0, -0.008),
            (0.066, -0.018),
            (0.046, 0.020),
            (0, 0.030),
            (-0.046, 0.020),
        ]
    else:
        points = [
            (-0.060, -0.020),
            (0.0, -0.011),
            (0.060, -0.020),
            (0.044, 0.024),
            (0, 0.044),
            (-0.044, 0.024),
        ]
    return smooth([(x + 1.14 * px, _Y + 1.12 * py) for px, py in points], 6, closed=True)


def _draw_open(canvas: Canvas, shape: Path, x: float, ink: RGB, expression: str) -> None:
    canvas.fill(shape, _TEETH if expression == "grin" else _INSIDE)
    with canvas.inside(shape):
        if expression == "grin":
            canvas.stroke(bezier((x - 0.07, _Y), (x, _Y + 0.014), (x + 0.07, _Y)), 0.004, ink, 1, 1)
        else:
            canvas.fill(ellipse(x, _Y + 0.045, 0.036, 0.026, 20), _TONGUE)
        if expression == "open_smile":
            canvas.fill(ellipse(x, _Y - 0.024, 0.052, 0.017, 20), _TEETH)
    canvas.outline(shape, 0.0075, ink)


def draw_brows(canvas: Canvas, face: FaceDescription, hair: Tones, skin: Tones) -> None:
    """Draw both brows in the hair's own dark tone."""
    lift = {"surprised": -0.020, "open_smile": -0.008, "sad": -0.004}.get(face.expression, 0.0)
    tilt = 0.016 * face.brow_tilt - (0.016 if face.expression == "sad" else 0.0)
    colour = mix(hair.line, skin.line, 0.25)
    for side in (-1, 1):
        x, y = 0.0, 0.487 + lift
        inner, outer = (x + side * 0.072, y + tilt), (x + side * 0.218, y + 0.012 - 0.6 * tilt)
        arch = (x + side * 0.15, y - 0.022)
        canvas.stroke(
            bezier(inner, arch, outer, samples=14),
            0.010 + 0.008 * face.brow_weight,
            colour,
            0.8,
            0.15,
        )
