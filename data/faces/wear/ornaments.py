"""Small things: hairpins, a ribbon or a flower in the hair, earrings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from data.faces.canvas import Canvas
from data.faces.curves import ellipse
from data.faces.figure import Figure
from data.faces.pose import flat
from data.faces.wear.bow import draw_bow
from data.faces.wear.cloth import FOLD, LINE, Frame, crown, piece

_STAR = [
    (np.sin(np.pi * k / 5) * r, -np.cos(np.pi * k / 5) * r)
    for k in range(10)
    for r in [(1, 0.5)[k % 2]]
]
_PETAL = [(0.0, -0.10), (0.42, -0.46), (0.40, -0.92), (0.0, -1.0), (-0.40, -0.92), (-0.42, -0.46)]
_CLIP = [(-1.0, -0.30), (0.85, -0.30), (1.0, 0.0), (0.85, 0.30), (-1.0, 0.30), (-1.15, 0.0)]


def draw_ornament(canvas: Canvas, figure: Figure) -> None:
    """Draw what is worn in the hair beside the fringe, on the side of the light."""
    if figure.face.ornament in _ORNAMENTS:
        with _unbent(canvas, figure):
            _ORNAMENTS[figure.face.ornament](canvas, figure)


@contextmanager
def _unbent(canvas: Canvas, figure: Figure) -> Iterator[None]:
    """Turn what is drawn with the hair it lies on, but do not bend it to the hair's roundness."""
    before, at = canvas.pose, _place(figure, 0.70, 0.55, 1.0, 0.0)
    depth = before.dome.depth_at(np.array([(at.x, at.y)]))[0]
    canvas.pose = replace(before, dome=flat(float(depth)))
    yield
    canvas.pose = before


def _place(figure: Figure, x: float, y: float, size: float, tilt: float) -> Frame:
    """Find a place on the hair on the lit side, in units of `crown`; `size` in picture units."""
    at, light = crown(figure), figure.face.light_side
    x -= 0.10 * max(light * figure.face.turn / 20, 0)  # stay within the far contour
    return Frame(light * x * at.size, at.y + y * at.size, size, light * tilt)


def _draw_ribbon(canvas: Canvas, figure: Figure) -> None:
    at = _place(figure, 0.70, 0.36, 0.105, 28)
    draw_bow(canvas, at.x, at.y, at.size, figure.paint.accent, figure.face.light_side, at.tilt, 0.9)


def _draw_flower(canvas: Canvas, figure: Figure) -> None:
    at, tones = _place(figure, 0.76, 0.56, 0.072, 0), figure.paint.accent
    for k in range(5):
        petal = Frame(at.x, at.y, at.size, 72 * k + 12).shape(_PETAL, samples=3)
        piece(canvas, petal, tones)
    piece(canvas, ellipse(at.x, at.y, 0.020, 0.020, 12), figure.paint.second)


def _draw_hairpin(canvas: Canvas, figure: Figure) -> None:
    _PINS[figure.face.hair_seed % len(_PINS)](canvas, figure)


def _draw_bars(canvas: Canvas, figure: Figure) -> None:
    tones = figure.paint.accent
    for tilt in (-34, 22):
        at = _place(figure, 0.68, 0.70, 0.056, tilt)
        bar = at.place([(-1.0, 0.0), (0.0, 0.0), (1.0, 0.0)])
        canvas.stroke(bar, 0.016 + 2 * LINE, tones.line, 1, 1)
        canvas.stroke(bar, 0.016, tones.light, 1, 1)


def _draw_star(canvas: Canvas, figure: Figure) -> None:
    tones = figure.paint.accent
    star = _place(figure, 0.68, 0.70, 0.046, 12).place(_STAR)
    piece(canvas, star, tones, tones.light)


def _draw_clip(canvas: Canvas, figure: Figure) -> None:
    tones = figure.paint.accent
    at = _place(figure, 0.68, 0.72, 0.050, -30)
    piece(canvas, at.shape(_CLIP, samples=3), tones)
    canvas.stroke(
        at.place([(-0.6, -0.1), (0.0, -0.1), (0.6, -0.1)]), FOLD * 2, tones.light, 0.5, 0.5
    )


def draw_earrings(canvas: Canvas, figure: Figure) -> None:
    """Draw studs or drops below the ears."""
    if not figure.face.earrings:
        return
    body, paint = figure.body, figure.paint
    tones = paint.accent if figure.face.hair_seed % 3 else paint.metal
    is_drop = figure.face.hair_seed % 2 == 0
    for side in (-1, 1):
        x, y = side * (body.cheek_half + 0.004), body.ear_y + 0.070
        stud = ellipse(x, y, 0.012, 0.012, 12)
        if is_drop:
            piece(canvas, ellipse(x, y + 0.034, 0.014, 0.026, 14), tones)
        piece(canvas, stud, tones, tones.light)


_PINS = (_draw_bars, _draw_star, _draw_clip)
_ORNAMENTS = {"ribbon": _draw_ribbon, "flower": _draw_flower, "hairpin": _draw_hairpin}
