"""What lies on the skin: blush, freckles, a mole, a scar, a plaster, the lines of age."""

from __future__ import annotations

import numpy as np

from data.faces.canvas import Canvas
from data.faces.colour import mix
from data.faces.curves import Path, bezier, ellipse, mirrored
from data.faces.face.mood import is_grown_man, random_side
from data.faces.figure import Figure

_HATCHED = 0.8  # blush from which it is hatched too


def draw_marks(canvas: Canvas, figure: Figure) -> None:
    """Draw blush, the lines of age, and the mark that the face has, if any."""
    _draw_blush(canvas, figure)
    if figure.face.age == "elder":
        _draw_wrinkles(canvas, figure)
    drawers = {
        "freckles": _draw_freckles,
        "mole": _draw_mole,
        "scar": _draw_scar,
        "plaster": _draw_plaster,
    }
    if figure.face.mark in drawers:
        drawers[figure.face.mark](canvas, figure)


def _cheek(figure: Figure) -> tuple[float, float]:
    body = figure.body
    return body.eye_x + 0.034, 0.5 * (body.eye_y + body.eye_half_height + body.mouth_y) + 0.006


def _draw_blush(canvas: Canvas, figure: Figure) -> None:
    blush = figure.face.blush * (0.6 if is_grown_man(figure.face) else 1.0)
    x, y = _cheek(figure)
    for side in (-1, 1):
        canvas.glow(side * x, y, 0.078, 0.040, figure.paint.blush.base, 0.12 + 0.62 * blush)
        if blush > _HATCHED:
            _draw_hatches(canvas, figure, side * x, y)


def _draw_hatches(canvas: Canvas, figure: Figure, x: float, y: float) -> None:
    colour = mix(figure.paint.blush.line, figure.paint.skin.line, 0.35)
    for step in (-1, 0, 1):
        middle = x + 0.022 * step
        hatch = np.array([(middle + 0.007, y - 0.012), (middle, y), (middle - 0.007, y + 0.012)])
        canvas.stroke(hatch, 0.0055, colour, 0.1, 0.1)


def _draw_wrinkles(canvas: Canvas, figure: Figure) -> None:
    """Draw the bags under the eyes and the folds from nose to mouth."""
    body, line = figure.body, figure.paint.skin.line
    x, low = body.eye_x, body.eye_y + body.eye_half_height
    bag = (x - 0.058, low + 0.012), (x - 0.020, low + 0.032), (x + 0.030, low + 0.026)
    fold = (
        (0.042, body.nose_y + 0.004),
        (0.068, body.nose_y + 0.014),
        (0.084, body.mouth_y - 0.020),
    )
    for side in (-1, 1):
        for points in (bag, fold):
            path = bezier(*[(side * u, v) for u, v in points], samples=9)
            canvas.stroke(path, 0.0044, line, 0.0, 0.0)


def _draw_freckles(canvas: Canvas, figure: Figure) -> None:
    x, y = _cheek(figure)
    places = [(-0.052, 0.004), (-0.030, -0.014), (-0.024, 0.014), (0.0, -0.002), (0.022, 0.014)]
    for side in (-1, 1):
        for u, v in places:
            dot = ellipse(side * (x - 0.020 + u), y + v, 0.0062, 0.0055, 8)
            canvas.fill(dot, figure.paint.skin.deep)


def _draw_mole(canvas: Canvas, figure: Figure) -> None:
    body, side = figure.body, random_side(figure.face, 31)
    if random_side(figure.face, 32) > 0:
        x, y = body.eye_x + 0.030, body.eye_y + body.eye_half_height + 0.030
    else:
        x, y = 0.090, body.mouth_y + 0.014
    canvas.fill(ellipse(side * x, y, 0.0078, 0.0078, 10), figure.paint.skin.line)


def _draw_scar(canvas: Canvas, figure: Figure) -> None:
    body, side, skin = figure.body, random_side(figure.face, 31), figure.paint.skin
    x, y = _cheek(figure)
    if random_side(figure.face, 32) > 0:
        points = (x + 0.020, y - 0.036), (x, y - 0.010), (x - 0.050, y + 0.034)
    else:
        points = (x - 0.030, body.brow_y - 0.045), (x - 0.020, body.eye_y), (x, y + 0.030)
    slash = bezier(*[(side * u, v) for u, v in points])
    canvas.stroke(slash, 0.016, mix(skin.deep, figure.paint.blush.base, 0.4), 0.0, 0.0)
    canvas.stroke(slash, 0.006, skin.line, 0.0, 0.0)


def _draw_plaster(canvas: Canvas, figure: Figure) -> None:
    body, side, paint = figure.body, random_side(figure.face, 31), figure.paint
    x, y = _cheek(figure)
    on_nose = random_side(figure.face, 32) > 0
    middle = (0.0, body.nose_y - 0.042) if on_nose else (side * x, y + 0.002)
    slope = 0.0 if on_nose else 0.35 * side
    cloth = mix(paint.white.base, paint.skin.deep, 0.30)
    strip = _tilted(_pill(0.056, 0.019), slope, middle)
    canvas.fill(strip, cloth)
    canvas.fill(_tilted(_pill(0.020, 0.019), slope, middle), paint.white.base)
    canvas.outline(strip, 0.0050, paint.skin.line)


def _pill(half_width: float, half_height: float) -> Path:
    """Give a bar with cut corners around (0, 0)."""
    right = [(0.86, -1.0), (1.0, -0.5), (1.0, 0.5), (0.86, 1.0)]
    return mirrored(right) * (half_width, half_height)


def _tilted(path: Path, slope: float, middle: tuple[float, float]) -> Path:
    matrix = np.array([[1.0, slope], [-slope, 1.0]]) / np.hypot(1.0, slope)
    return path @ matrix + np.array(middle)
