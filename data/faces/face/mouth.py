"""The mouth in its expressions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data.faces.canvas import Canvas
from data.faces.colour import RGB, mix
from data.faces.curves import Path, ellipse, smooth
from data.faces.face.mood import is_grown_man, mouth_of
from data.faces.figure import Figure

_RED_LIPS = {"child": 0.0, "teen": 0.35, "adult": 0.9, "elder": 0.5}
_Knots = tuple[tuple[float, float], ...]

# Closed mouths: the right half of the line from the middle, in picture units, v upwards.
_CLOSED: dict[str, _Knots] = {
    "line": ((0.0, -0.003), (0.022, -0.003), (0.044, 0.003)),
    "smile": ((0.0, -0.011), (0.030, -0.007), (0.060, 0.012)),
    "frown": ((0.0, 0.009), (0.026, 0.005), (0.046, -0.010)),
    "tense": ((0.0, 0.004), (0.022, 0.004), (0.042, -0.007)),
}


@dataclass(frozen=True)
class _Open:
    """An open mouth: the right half of its outline from the top, and what is seen inside."""

    half: _Knots
    teeth: float = 0.0  # lower edge of the upper teeth, v upwards; none if 0
    tongue: float = 0.0  # height of the tongue
    grows: float = 0.0  # by how much a wide open mouth is taller


_OPEN = {
    "parted": _Open(
        ((0.0, 0.004), (0.020, 0.005), (0.034, 0.006), (0.020, -0.010), (0.0, -0.014)), grows=0.5
    ),
    "laugh": _Open(
        ((0.0, 0.010), (0.034, 0.014), (0.066, 0.022), (0.052, -0.018), (0.024, -0.040),
         (0.0, -0.044)), 0.002, 0.022, 0.35),
    "grin": _Open(
        ((0.0, 0.008), (0.040, 0.012), (0.078, 0.024), (0.058, -0.016), (0.028, -0.030),
         (0.0, -0.033)), -0.1, 0.0, 0.3),
    "beam": _Open(
        ((0.0, 0.008), (0.040, 0.012), (0.078, 0.024), (0.060, -0.020), (0.030, -0.040),
         (0.0, -0.044)), -0.008, 0.018, 0.3),
    "gasp": _Open(
        ((0.0, 0.024), (0.019, 0.014), (0.024, -0.006), (0.016, -0.026), (0.0, -0.031)),
        0.0, 0.014, 0.5),
    "quiver": _Open(
        ((0.0, 0.012), (0.022, 0.010), (0.040, -0.010), (0.026, -0.020), (0.0, -0.018)),
        0.0, 0.0, 0.4),
    "shout": _Open(
        ((0.0, 0.022), (0.026, 0.020), (0.044, 0.006), (0.050, -0.024), (0.026, -0.038),
         (0.0, -0.036)), 0.008, 0.020, 0.35),
}  # fmt: skip


def draw_mouth(canvas: Canvas, figure: Figure) -> None:
    """Draw the mouth that goes with the expression."""
    name = mouth_of(figure.face)
    ink = mix(figure.paint.skin.line, figure.paint.lips.line, 0.25)
    if name in _OPEN:
        _draw_open(canvas, figure, _OPEN[name], ink)
    else:
        _draw_closed(canvas, figure, _CLOSED[name], ink)


def _width(figure: Figure) -> float:
    face = figure.face
    return 1.12 if is_grown_man(face) else 0.86 if face.age == "child" else 1.0


def _draw_lips(canvas: Canvas, figure: Figure, top: float) -> None:
    """Tint the lower lip: women's the redder, the older they are."""
    face, skin, lips = figure.face, figure.paint.skin, figure.paint.lips
    red = 0.0 if face.gender == "man" else _RED_LIPS[face.age]
    wide, low = 0.024 * _width(figure), top + 0.020
    lip = [(-wide, low - 0.003), (0.0, low - 0.007 * red), (wide, low - 0.003), (0.0, low + 0.006)]
    canvas.fill(smooth(lip, 4, closed=True), mix(skin.shade, lips.base, red))


def _draw_closed(canvas: Canvas, figure: Figure, half: _Knots, ink: RGB) -> None:
    wide, y = _width(figure), figure.body.mouth_y
    row = [(-u, v) for u, v in half[:0:-1]] + list(half)
    line = smooth([(u * wide, y - v) for u, v in row], 5)
    _draw_lips(canvas, figure, y - half[0][1])
    canvas.stroke(line, 0.0098, ink, 0.3, 0.3)


def _draw_open(canvas: Canvas, figure: Figure, form: _Open, ink: RGB) -> None:
    tones, wide, y = figure.paint.mouth, _width(figure), figure.body.mouth_y
    grown = 1 + form.grows * (figure.face.mouth_open - 0.5)

    def place(v: float) -> float:
        return y - v * (grown if v < 0 else 1.0)

    right = [(u * wide, place(v)) for u, v in form.half]
    outline = smooth([*right, *[(-x, v) for x, v in right[-2:0:-1]]], 4, closed=True)
    canvas.fill(outline, tones.base)
    with canvas.inside(outline):
        bottom = outline[:, 1].max()
        if form.tongue:
            canvas.fill(ellipse(0, bottom, 0.036 * wide, form.tongue * grown, 18), tones.light)
        if form.teeth:
            canvas.fill(_teeth(outline, place(form.teeth)), tones.gleam)

    canvas.outline(outline, 0.0078, ink)


def _teeth(outline: Path, low: float) -> Path:
    return np.stack([outline[:, 0], np.minimum(outline[:, 1], low)], axis=1)
