"""Large eyes: white, layered iris, reflections, lashes."""

from __future__ import annotations

import numpy as np

from data.faces.canvas import Canvas
from data.faces.colour import RGB, mix
from data.faces.curves import Path, ellipse, moved, smooth
from data.faces.face.eye import Eye
from data.faces.face.mood import is_grown_man, is_happy, is_shut
from data.faces.figure import Figure

_SIDES = (-1, 1)
_BAND = (0, 0.25, 0.6, 0.9, 1), (0.16, 0.74, 1.0, 0.92, 0.70)  # thickness along a lid
_WEDGES = ((0.90, 0.17, 0.26), (0.76, 0.10, 0.24))  # where along a lid, how far out and up


def draw_eyes(canvas: Canvas, figure: Figure) -> None:
    """Draw both eyes without their upper lashes."""
    for side in _SIDES:
        eye = Eye.of(figure, side)
        if not is_shut(figure.face, side):
            _draw_ball(canvas, figure, eye)
            _draw_lower_lashes(canvas, figure, eye)
            _draw_crease(canvas, figure, eye)


def draw_lashes(canvas: Canvas, figure: Figure, opacity: float = 1.0) -> None:
    """Draw the lashes of the upper lids; below the hair, then faintly above it."""
    ink = _ink(figure)
    for side in _SIDES:
        eye = Eye.of(figure, side)
        if is_shut(figure.face, side):
            lid = eye.shut_lid(is_happy(figure.face))
            lash = _lash(figure, eye, lid, 0.70, (0.20, -0.34))
        else:
            lash = _lash(figure, eye, eye.upper_lid, 1.0, eye.shape.wing)
        canvas.fill(lash, ink, opacity)


def _ink(figure: Figure) -> RGB:
    return mix(figure.paint.hair.line, figure.paint.eye_white.line, 0.55)


def _lash(figure: Figure, eye: Eye, lid: Path, weight: float, wing: tuple[float, float]) -> Path:
    """Outline the band of lashes on a lid; it ends in a wing and, but on men, in wedges."""
    is_man = is_grown_man(figure.face)
    thickness = weight * (0.019 if is_man else 0.026) * eye.half_width / 0.0855
    rise = thickness * np.interp(np.linspace(0, 1, len(lid)), *_BAND)
    upper = lid - rise[:, None] * (0.0, 1.0)
    u, v = wing
    edge, last = [moved(lid, 0, 0.004), lid[-1:] + eye.step(u, v)], len(lid)
    for along, du, dv in () if is_man else _WEDGES:
        root = round(along * (len(lid) - 1))
        edge += [upper[last - 1 : last], upper[root] + [eye.step(du + u / 2, dv + v / 2)]]
        last = root
    return np.concatenate([*edge, upper[:last][::-1]])


def _draw_ball(canvas: Canvas, figure: Figure, eye: Eye) -> None:
    white = figure.paint.eye_white
    opening, lid = eye.opening(), eye.upper_lid
    canvas.fill(opening, white.base)
    with canvas.inside(opening):
        drop = 0.24 * eye.half_height
        canvas.fill(np.concatenate([lid, moved(lid[::-1], 0, drop)]), white.shade)
        _draw_iris(canvas, figure, eye)


def _draw_iris(canvas: Canvas, figure: Figure, eye: Eye) -> None:
    tones, light = figure.paint.eye, figure.face.light_side
    size = eye.mood.iris
    rx, ry = 0.70 * size * eye.half_width, 0.93 * size * figure.body.eye_half_height
    x = eye.at(-0.07, 0)[0] + 0.016 * figure.face.gaze
    y = eye.at(0, -0.05)[1]

    def at(u: float, v: float) -> tuple[float, float]:
        return x + u * rx, y - v * ry

    canvas.fill(ellipse(x, y, rx, ry), tones.line)
    core = ellipse(x, y, 0.87 * rx, 0.90 * ry)
    canvas.gradient(core, (tones.shade, tones.shade, tones.base, tones.light))
    bright = [at(-0.66, -0.30), at(0.0, -0.48), at(0.66, -0.30), at(0.40, -0.72), at(0, -0.84),
              at(-0.40, -0.72)]  # fmt: skip
    canvas.fill(smooth(bright, 4, closed=True), mix(tones.light, tones.gleam, 0.30))
    canvas.fill(ellipse(*at(0, 0.02), 0.40 * rx, 0.42 * ry, 18), tones.deep)
    canvas.fill(ellipse(*at(light * 0.36, 0.44), 0.34 * rx, 0.25 * ry, 18), tones.gleam)
    canvas.fill(ellipse(*at(-light * 0.44, -0.44), 0.19 * rx, 0.13 * ry, 12), tones.gleam)


def _draw_lower_lashes(canvas: Canvas, figure: Figure, eye: Eye) -> None:
    lower = eye.lower_lid
    outer = lower[round(0.42 * len(lower)) :][::-1]
    canvas.stroke(outer, 0.0085, _ink(figure), 0.9, 0.0)


def _draw_crease(canvas: Canvas, figure: Figure, eye: Eye) -> None:
    """Draw the fold of the upper lid, which follows its edge."""
    lid = eye.upper_lid
    gap = 0.040 * eye.half_width / 0.0855
    fold = lid[4:-4] - (0.0, gap)
    canvas.stroke(fold, 0.0046, figure.paint.skin.line, 0.0, 0.2)
