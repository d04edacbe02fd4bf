"""Large eyes: white, layered iris, reflections and lashes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data.faces.canvas import Canvas
from data.faces.colour import RGB, Tones, mix, rgb
from data.faces.curves import Path, bezier, ellipse, moved, smooth
from data.faces.description import FaceDescription
from data.faces.palette import EYES

_Y = 0.592


@dataclass(frozen=True)
class _Shape:
    """Heights of the lids in units of half the eye's height; up is positive."""

    tall: float  # half height of the eye over half its width
    inner: float  # inner corner
    peak: float  # where the upper lid is highest: -1 inner corner, 1 outer corner
    shoulder: float  # upper lid towards the outer corner
    outer: float  # outer corner


_SHAPES = {
    "round": _Shape(1.02, -0.10, 0.00, 0.80, 0.12),
    "almond": _Shape(0.84, -0.20, 0.10, 0.82, 0.20),
    "droopy": _Shape(0.92, 0.10, -0.20, 0.66, -0.16),
    "sharp": _Shape(0.80, -0.34, 0.30, 0.92, 0.44),
}


@dataclass(frozen=True)
class _Eye:
    """One eye placed on the picture: u grows outwards, v upwards, both in half sizes."""

    x: float
    half_width: float
    half_height: float
    side: int
    shape: _Shape

    def at(self, u: float, v: float) -> tuple[float, float]:
        return self.x + self.side * u * self.half_width, _Y - v * self.half_height

    def upper_lid(self) -> Path:
        s = self.shape
        knots = [(-1.0, s.inner), (-0.62, 0.62), (s.peak, 1.0), (0.62, s.shoulder), (1.0, s.outer)]
        return smooth([self.at(u, v) for u, v in knots], 6)

    def lower_lid(self) -> Path:
        s = self.shape
        knots = [(1.0, s.outer), (0.74, -0.62), (0.1, -0.97), (-0.6, -0.78), (-1.0, s.inner)]
        return smooth([self.at(u, v) for u, v in knots], 5)


def _place(face: FaceDescription, side: int) -> _Eye:
    width = 0.0855 + 0.0045 * face.eye_size
    shape = _SHAPES[face.eye_shape]
    x = side * (0.141 + 0.005 * face.eye_spacing)
    return _Eye(x, width, 0.0855 * shape.tall * (1 + 0.06 * face.eye_size), side, shape)


def draw_eyes(canvas: Canvas, face: FaceDescription, hair: Tones, skin: Tones) -> None:
    """Draw both eyes; the far one is narrower when the head is turned."""
    pigment = EYES[face.eye_colour]
    hue, chroma = pigment.hue + face.eye_hue_shift, pigment.chroma
    ink = mix(rgb(0.20, 0.03, hue), hair.line, 0.35)
    for side in (-1, 1):
        eye = _place(face, side)
        if face.expression == "closed_eyes":
            _draw_closed(canvas, eye, ink, skin, happy=True)
            continue
        opening = np.concatenate([eye.upper_lid(), eye.lower_lid()])
        canvas.gradient(opening, ((206, 208, 224), (246, 246, 250), (255, 255, 255)))
        with canvas.inside(opening):
            _draw_iris(canvas, eye, face, (face.eye_lightness, chroma, hue))
        _draw_lashes(canvas, eye, ink, skin)


def _draw_iris(
    canvas: Canvas, eye: _Eye, face: FaceDescription, colour: tuple[float, float, float]
) -> None:
    lightness, chroma, hue = colour
    dark, ring = (
        rgb(lightness * 0.50, chroma * 0.9, hue - 6),
        rgb(lightness * 0.40, chroma * 0.8, hue),
    )
    middle = rgb(lightness, chroma, hue)
    bright = rgb(min(lightness + 0.22, 0.95), chroma * 0.95, hue + 10)
    x = eye.at(-0.06, 0)[0] + 0.010 * face.gaze
    y, ry = _Y - 0.03 * eye.half_height, 0.0855 * (0.93 if eye.shape.tall > 0.9 else 0.88)
    rx = eye.half_width * 0.70
    canvas.fill(ellipse(x, y, rx, ry), ring)
    canvas.gradient(ellipse(x, y, rx * 0.87, ry * 0.90), (dark, dark, middle, bright))
    crescent = smooth(
        [
            (x - rx * 0.62, y + ry * 0.36),
            (x, y + ry * 0.50),
            (x + rx * 0.62, y + ry * 0.36),
            (x, y + ry * 0.86),
        ],
        6,
        True,
    )
    canvas.fill(crescent, mix(bright, (255, 255, 255), 0.28))
    canvas.fill(ellipse(x, y + 0.02 * ry, rx * 0.40, ry * 0.44, 20), mix(ring, (12, 8, 18), 0.55))
    light = face.light_side
    canvas.fill(
        ellipse(x + light * rx * 0.36, y - ry * 0.42, rx * 0.36, ry * 0.25, 18), (255, 255, 255)
    )
    canvas.fill(
        ellipse(x - light * rx * 0.42, y + ry * 0.46, rx * 0.19, ry * 0.13, 14), (255, 255, 255)
    )
    lid_shadow = np.concatenate([eye.upper_lid(), moved(eye.upper_lid()[::-1], 0, 0.022)])
    canvas.fill(lid_shadow, (40, 36, 66), 0.32)


def _draw_lashes(canvas: Canvas, eye: _Eye, ink: RGB, skin: Tones) -> None:
    upper = eye.upper_lid()
    count = len(upper)
    weight = np.interp(np.linspace(0, 1, count), [0, 0.25, 0.7, 1], [0.35, 0.8, 1.0, 0.75])
    band = 0.024 * weight[:, None]
    canvas.fill(np.concatenate([moved(upper, 0, 0.004), (upper - (0, 1) * band)[::-1]]), ink)
    s = eye.shape
    for u, v, length in ((0.93, s.outer + 0.12, 0.30), (0.74, s.shoulder + 0.02, 0.24)):
        start, end = eye.at(u - 0.26, v + 0.10), eye.at(u + length, v + 0.30)
        canvas.stroke(bezier(start, eye.at(u + 0.05, v + 0.06), end), 0.017, ink, 1.0, 0.0)
    lower = eye.lower_lid()[: int(0.62 * count)]
    canvas.stroke(lower, 0.0085, mix(ink, skin.line, 0.35), 0.9, 0.1)
    crease = bezier(eye.at(-0.62, 0.98), eye.at(0.0, 1.52), eye.at(0.86, 0.96))
    canvas.stroke(crease, 0.005, mix(skin.line, skin.deep, 0.35), 0.1, 0.3)


def _draw_closed(canvas: Canvas, eye: _Eye, ink: RGB, skin: Tones, *, happy: bool) -> None:
    bow = 0.75 if happy else -0.85
    lid = bezier(eye.at(-0.95, -0.15), eye.at(0.0, bow), eye.at(1.0, -0.10), samples=16)
    canvas.stroke(lid, 0.021, ink, 0.3, 0.5)
    for u in (0.62, 0.92):
        base = eye.at(u, -0.10 + 0.30 * bow * (1 - u * u))
        tip = eye.at(u + 0.24, _lash_tip(bow, u))
        canvas.stroke(bezier(base, base, tip), 0.012, ink, 1.0, 0.0)
    crease = bezier(eye.at(-0.5, 0.62), eye.at(0.1, 0.95 if happy else 0.5), eye.at(0.8, 0.5))
    canvas.stroke(crease, 0.005, skin.deep, 0.1, 0.3)


def _lash_tip(bow: float, u: float) -> float:
    return -0.32 + 0.15 * bow * (1 - u * u)
