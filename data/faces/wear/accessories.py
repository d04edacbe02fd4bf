"""Ornaments on the hair, and glasses."""

from __future__ import annotations

import numpy as np

from data.faces.canvas import Canvas
from data.faces.colour import Tones, mix
from data.faces.curves import bezier, moved, smooth
from data.faces.description import FaceDescription
from data.faces.hair.front import cap_shape, cap_width
from data.faces.wear.clothes import accent, draw_bow


def draw_accessory(canvas: Canvas, face: FaceDescription, hair: Tones) -> None:
    """Draw what is worn in the hair."""
    if face.ornament == "ribbon":
        side = -face.light_side
        draw_bow(canvas, side * 0.215, 0.190, 0.115, accent(face))
    elif face.ornament == "hairpin":
        _draw_pin(canvas, face, face.light_side)
    elif face.headwear == "headband":
        _draw_band(canvas, face)


def draw_ears_of_cat(canvas: Canvas, face: FaceDescription, hair: Tones) -> None:
    """Draw cat's ears, which stand behind the cap of hair."""
    if face.headwear != "cat_ears":
        return
    for side in (-1, 1):
        tip, inner, outer = (side * 0.275, 0.020), (side * 0.10, 0.13), (side * 0.335, 0.27)
        edge = np.concatenate(
            [bezier(inner, (side * 0.17, 0.04), tip), bezier(tip, (side * 0.335, 0.08), outer)]
        )
        canvas.fill(edge, hair.base)
        pink = mix(hair.light, (250, 170, 176), 0.65)
        core = (edge - (side * 0.25, 0.14)) * 0.62 + (side * 0.25, 0.145)
        canvas.fill(core, pink)
        canvas.stroke(edge, 0.0075, hair.line, 0.8, 0.8)


def _draw_pin(canvas: Canvas, face: FaceDescription, side: int) -> None:
    cloth, x, y = accent(face), side * 0.205, 0.345
    for tilt in (-0.013, 0.013):
        bar = bezier(
            (x - 0.048, y + tilt + 0.022 * side),
            (x, y + tilt),
            (x + 0.048, y + tilt - 0.022 * side),
        )
        canvas.stroke(bar, 0.024, cloth.line, 1, 1)
        canvas.stroke(bar, 0.014, cloth.light, 1, 1)


def _draw_band(canvas: Canvas, face: FaceDescription) -> None:
    cloth, wide = accent(face), cap_width(face)
    angle = np.linspace(np.pi, 0, 28)
    arc = np.stack([wide * np.cos(angle), 0.46 - 0.295 * np.sin(angle) ** 0.9], axis=1)
    with canvas.inside(cap_shape(face)):
        canvas.stroke(arc, 0.054, cloth.line, 1, 1)
        canvas.stroke(arc, 0.041, cloth.base, 1, 1)
        canvas.stroke(moved(arc[6:18], 0, -0.009), 0.009, cloth.light, 0.1, 0.1)


def draw_glasses(canvas: Canvas, face: FaceDescription) -> None:
    """Draw a pair of glasses over the eyes."""
    if face.glasses == "none":
        return
    cloth = accent(face)
    colour, x = mix(cloth.line, (30, 26, 40), 0.4), 0.0
    for side in (-1, 1):
        middle = x + side * 0.142
        wide, tall = 0.112, 0.094
        corners = [(-1, -0.80), (0, -1), (1, -0.80), (0.94, 0.55), (0, 1), (-0.94, 0.55)]
        rim = smooth([(middle + wide * u, 0.605 + tall * v) for u, v in corners], 5, closed=True)
        canvas.fill(rim, (255, 255, 255), 0.10)
        canvas.outline(rim, 0.0085, colour)
        arm = bezier((x + side * 0.252, 0.575), (side * 0.28, 0.565), (side * 0.300, 0.570))
        canvas.stroke(arm, 0.0085, colour, 1, 1)
    canvas.stroke(bezier((x - 0.032, 0.590), (x, 0.572), (x + 0.032, 0.590)), 0.0085, colour, 1, 1)
