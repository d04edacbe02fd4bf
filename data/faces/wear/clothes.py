"""What shows of the clothes below the chin: shoulders and five kinds of collar."""

from __future__ import annotations

from data.faces.canvas import Canvas
from data.faces.colour import RGB, Tones, material, mix
from data.faces.curves import Path, bezier, smooth
from data.faces.description import FaceDescription

_WHITE = material(0.965, 0.008, 260)
_LINE = 0.0058


def accent(face: FaceDescription) -> Tones:
    """Give the tones of scarf, tie and ribbons."""
    return material(face.accent_lightness, 0.15, face.accent_hue)


def draw_clothes(canvas: Canvas, face: FaceDescription) -> None:
    """Draw shoulders and collar."""
    cloth = material(face.outfit_lightness, face.outfit_chroma, face.outfit_hue)
    _DRAW.get(face.outfit, _draw_sweater)(canvas, face, cloth)


def _torso(
    canvas: Canvas, face: FaceDescription, cloth: Tones, neck: list[tuple[float, float]]
) -> None:
    """Fill the shoulders; `neck` is the right half of the neckline from its middle outwards."""
    half = [*neck, (0.26, 0.945), (0.39, 0.985), (0.47, 1.08)]
    left = [(-x, y) for x, y in reversed(half[1:])]
    shape = smooth([*left, *half], 5)
    canvas.fill(shape, cloth.base)
    with canvas.inside(shape):
        away = -face.light_side
        fold = [
            (away * 0.20, 0.93),
            (away * 0.30, 1.0),
            (away * 0.24, 1.1),
            (away * 0.6, 1.1),
            (away * 0.6, 0.93),
        ]
        canvas.fill(smooth(fold, 4), cloth.shade)
    canvas.stroke(shape, _LINE, cloth.line, 1, 1)


def _panel(
    canvas: Canvas, right_half: list[tuple[float, float]], cloth: Tones, face: FaceDescription
) -> None:
    """Draw a collar wing and its mirror image."""
    for side in (-1, 1):
        wing = smooth([(side * x, y) for x, y in right_half], 4, closed=True)
        canvas.fill(
            wing, cloth.base if side == face.light_side else mix(cloth.base, cloth.shade, 0.6)
        )
        canvas.outline(wing, _LINE, cloth.line)


def _draw_sailor(canvas: Canvas, face: FaceDescription, cloth: Tones) -> None:
    _torso(canvas, face, _WHITE, [(0.0, 1.02), (0.05, 0.97), (0.115, 0.905)])
    wing = [(0.098, 0.895), (0.16, 0.915), (0.30, 0.958), (0.29, 1.08), (0.03, 1.08), (0.02, 1.035)]
    _panel(canvas, wing, cloth, face)
    for side in (-1, 1):
        stripe = bezier((side * 0.235, 0.945), (side * 0.215, 1.0), (side * 0.10, 1.06))
        canvas.stroke(stripe, 0.010, _WHITE.base, 1, 1)
    draw_bow(canvas, 0.0, 1.005, 0.105, accent(face))


def _draw_shirt(canvas: Canvas, face: FaceDescription, cloth: Tones) -> None:
    _torso(canvas, face, cloth, [(0.0, 1.01), (0.05, 0.96), (0.115, 0.905)])
    tie = accent(face)
    knot = [
        (-0.026, 0.955),
        (0.026, 0.955),
        (0.018, 0.985),
        (0.040, 1.08),
        (-0.040, 1.08),
        (-0.018, 0.985),
    ]
    canvas.fill(smooth(knot, 1, closed=True), tie.base)
    canvas.outline(smooth(knot, 1, closed=True), _LINE, tie.line)
    _panel(
        canvas,
        [
            (0.085, 0.870),
            (0.118, 0.895),
            (0.150, 0.985),
            (0.095, 1.015),
            (0.018, 0.965),
            (0.05, 0.93),
        ],
        _WHITE,
        face,
    )


def _draw_hoodie(canvas: Canvas, face: FaceDescription, cloth: Tones) -> None:
    _torso(canvas, face, cloth, [(0.0, 0.985), (0.06, 0.965), (0.115, 0.905)])
    _panel(
        canvas,
        [
            (0.090, 0.875),
            (0.170, 0.885),
            (0.255, 0.935),
            (0.19, 0.995),
            (0.02, 1.025),
            (0.06, 0.965),
        ],
        cloth,
        face,
    )
    for side in (-1, 1):
        cord = bezier((side * 0.055, 1.005), (side * 0.062, 1.04), (side * 0.058, 1.08))
        canvas.stroke(cord, 0.016, cloth.line, 1, 1)
        canvas.stroke(cord, 0.009, _WHITE.base, 1, 1)


def _draw_dress(canvas: Canvas, face: FaceDescription, cloth: Tones) -> None:
    _torso(canvas, face, cloth, [(0.0, 0.985), (0.10, 0.970), (0.205, 0.925)])
    trim = bezier((-0.205, 0.928), (-0.12, 0.990), (0.12, 0.990), (0.205, 0.928), samples=18)
    canvas.stroke(trim, 0.036, _WHITE.line, 1, 1)
    canvas.stroke(trim, 0.026, _WHITE.base, 1, 1)
    band = bezier((-0.075, 0.880), (0.0, 0.915), (0.075, 0.880))
    canvas.stroke(band, 0.020, accent(face).base, 1, 1)


def _draw_sweater(canvas: Canvas, face: FaceDescription, cloth: Tones) -> None:
    _torso(canvas, face, cloth, [(0.0, 0.955), (0.06, 0.945), (0.105, 0.900)])
    rim: Path = smooth(
        [
            (-0.10, 0.872),
            (0.0, 0.905),
            (0.10, 0.872),
            (0.118, 0.935),
            (0.0, 0.972),
            (-0.118, 0.935),
        ],
        5,
        closed=True,
    )
    canvas.fill(rim, cloth.light)
    canvas.outline(rim, _LINE, cloth.line)
    for x in (-0.06, 0.0, 0.06):
        canvas.stroke(
            bezier((x, 0.905), (x * 1.05, 0.93), (x * 1.1, 0.96)), 0.005, cloth.shade, 0.6, 0.6
        )


def draw_bow(canvas: Canvas, x: float, y: float, reach: float, cloth: Tones) -> None:
    """Tie a bow of the given half width."""
    for side in (-1, 1):
        loop = smooth(
            [
                (x, y),
                (x + side * reach * 0.7, y - reach * 0.38),
                (x + side * reach, y),
                (x + side * reach * 0.7, y + reach * 0.38),
            ],
            5,
            closed=True,
        )
        canvas.fill(loop, cloth.base)
        canvas.outline(loop, _LINE, cloth.line)
    knot: RGB = cloth.shade
    canvas.fill(
        smooth(
            [
                (x - 0.02, y - 0.022),
                (x + 0.02, y - 0.022),
                (x + 0.02, y + 0.022),
                (x - 0.02, y + 0.022),
            ],
            3,
            True,
        ),
        knot,
    )


_DRAW = {
    "sailor": _draw_sailor,
    "shirt": _draw_shirt,
    "hoodie": _draw_hoodie,
    "dress": _draw_dress,
    "sweater": _draw_sweater,
}
