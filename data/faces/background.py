"""What lies behind the head: few large shapes, blurred as by a camera."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from PIL import Image, ImageDraw, ImageFilter

from data.faces.canvas import vertical_gradient
from data.faces.colour import RGB, Tones, mix
from data.faces.figure import Figure

_SIDE = 256  # backgrounds are painted this large, then reduced and blurred
_SMALL = 64


def paint_background(figure: Figure) -> Image.Image:
    """Paint the background small; a canvas that begins with it enlarges it."""
    face = figure.face
    return _KINDS[face.background](figure.paint.background, Random(face.background_seed))


def _flat(tones: Tones, dice: Random) -> Image.Image:
    return Image.new("RGB", (_SMALL, _SMALL), tones.base)


def _gradient(tones: Tones, dice: Random) -> Image.Image:
    order = [tones.light, tones.base, tones.shade]
    down = vertical_gradient(order[:: dice.choice((1, -1))], 2 * _SMALL, 2 * _SMALL)
    turned = down.rotate(dice.choice((-35, -15, 0, 15, 35)), Image.Resampling.BILINEAR)
    return turned.crop((_SMALL // 2, _SMALL // 2, 3 * _SMALL // 2, 3 * _SMALL // 2))


def _halo(tones: Tones, dice: Random) -> Image.Image:
    picture = Image.new("RGB", (_SIDE, _SIDE), mix(tones.base, tones.shade, 0.7))
    _disc(picture, 0.5, 0.46, 0.34, tones.light)
    return _blurred(picture, 10)


def _bokeh(tones: Tones, dice: Random) -> Image.Image:
    picture = vertical_gradient([tones.base, tones.shade], _SIDE, _SIDE)
    for side in (-1, 1, -1, 1, -1, 1, -1):
        x, y = 0.5 + side * dice.uniform(0.20, 0.50), dice.uniform(0.0, 0.85)
        colour = mix(tones.base, tones.light, dice.uniform(0.4, 1.0))
        _disc(picture, x, y, dice.uniform(0.04, 0.12), colour)
    return _blurred(picture, 0.9)


def _sky(tones: Tones, dice: Random) -> Image.Image:
    picture = vertical_gradient([tones.shade, tones.base, tones.light], _SIDE, _SIDE)
    cloud = mix(tones.light, tones.gleam, 0.7)
    for side in (-1, 1, dice.choice((-1, 1))):
        x, y = 0.5 + side * dice.uniform(0.26, 0.48), dice.uniform(0.10, 0.75)
        for dx, radius in ((-0.13, 0.045), (-0.05, 0.075), (0.05, 0.06), (0.14, 0.035)):
            _disc(picture, x + dx * side, y - radius * 0.7, radius, cloud)
    return _blurred(picture, 1.6)


def _room(tones: Tones, dice: Random) -> Image.Image:
    picture = vertical_gradient([tones.base, tones.base, tones.shade], _SIDE, _SIDE)
    pen, side = ImageDraw.Draw(picture), dice.choice((-1, 1))

    def box(x0: float, y0: float, x1: float, y1: float, colour: RGB) -> None:
        left, right = sorted((0.5 + side * x0, 0.5 + side * x1))
        pen.rectangle([round(v * _SIDE) for v in (left, y0, right, y1)], fill=colour)

    box(0.17, 0.05, 0.46, 0.70, mix(tones.base, tones.deep, 0.3))  # a window
    for x in (0.19, 0.335):
        for y, height in ((0.08, 0.20), (0.31, 0.36)):
            box(x, y, x + 0.115, y + height, mix(tones.light, tones.gleam, 0.7))
    box(0.43, 0.0, 0.55, 1.0, mix(tones.light, tones.shade, 0.3))  # its curtain
    box(-0.55, 0.30, -0.20, 1.0, mix(tones.shade, tones.deep, 0.6))  # a shelf
    for row, height in ((0.36, 0.20), (0.62, 0.22)):
        for x, colour in zip((-0.50, -0.39, -0.31), dice.sample(_books(tones), 3), strict=True):
            box(x, row + dice.uniform(0, 0.06), x + 0.07, row + height, colour)
    return _blurred(picture, 1.8)


def _books(tones: Tones) -> list[RGB]:
    return [tones.shade, tones.base, tones.light, mix(tones.shade, tones.light, 0.5)]


def _trees(tones: Tones, dice: Random) -> Image.Image:
    picture = vertical_gradient([tones.base, tones.light, tones.base], _SIDE, _SIDE)
    for colour, reach, depth in (
        (mix(tones.base, tones.shade, 0.6), 0.13, 0.95),
        (mix(tones.shade, tones.deep, 0.3), 0.24, 0.75),
        (mix(tones.shade, tones.deep, 0.75), 0.36, 0.50),
    ):
        for side in (-1, 1, -1, 1, -1, 1):
            x, y = 0.5 + side * dice.uniform(reach, 0.5), dice.uniform(-0.05, depth)
            _disc(picture, x, y, dice.uniform(0.10, 0.16), colour)
    for side in (-1, 1, -1, 1, -1, 1):
        x, y = 0.5 + side * dice.uniform(0.15, 0.48), dice.uniform(0.02, 0.6)
        _disc(picture, x, y, dice.uniform(0.028, 0.05), mix(tones.light, tones.base, 0.3))
    return _blurred(picture, 2.0)


def _disc(picture: Image.Image, x: float, y: float, radius: float, colour: RGB) -> None:
    corners = [_SIDE * v for v in (x - radius, y - radius, x + radius, y + radius)]
    ImageDraw.Draw(picture).ellipse(corners, fill=colour)


def _blurred(picture: Image.Image, radius: float) -> Image.Image:
    return picture.reduce(_SIDE // _SMALL).filter(ImageFilter.GaussianBlur(radius))


_KINDS: dict[str, Callable[[Tones, Random], Image.Image]] = {
    "flat": _flat,
    "gradient": _gradient,
    "halo": _halo,
    "bokeh": _bokeh,
    "sky": _sky,
    "room": _room,
    "trees": _trees,
}
