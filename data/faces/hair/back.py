"""Hair behind the head: its silhouette, tails, buns and braids."""

from __future__ import annotations

from random import Random

import numpy as np

from data.faces.canvas import Canvas
from data.faces.colour import RGB, Tones, mix
from data.faces.curves import Path, bezier, ellipse, mirrored, moved, smooth
from data.faces.description import FaceDescription
from data.faces.hair.front import cap_width
from data.faces.hair.lock import draw_lock

# Right half of each silhouette from the crown down: x in units of the cap's half width.
_SILHOUETTES = {
    "long": [(0.0, 0.11), (0.70, 0.19), (1.0, 0.45), (1.06, 0.70), (1.12, 0.90), (1.16, 1.08)],
    "bob": [
        (0.0, 0.11),
        (0.70, 0.19),
        (1.0, 0.45),
        (1.09, 0.66),
        (1.06, 0.78),
        (0.84, 0.85),
        (0.5, 0.83),
    ],
    "short": [(0.0, 0.11), (0.70, 0.19), (0.98, 0.45), (0.95, 0.60), (0.74, 0.72), (0.40, 0.80)],
}


def _silhouette(face: FaceDescription) -> Path:
    wide = cap_width(face)
    if face.hair_style == "wavy":
        return _wavy(face, wide)
    style = {"hime": "long"}.get(face.hair_style, face.hair_style)
    style = style if style in _SILHOUETTES else "short"
    half = [(x * wide, y) for x, y in _SILHOUETTES[style]]
    return smooth(mirrored(half), 6, closed=True)


def _wavy(face: FaceDescription, wide: float) -> Path:
    phase = face.hair_seed % 7 / 7 * 2 * np.pi
    y = np.linspace(0.42, 1.06, 40)
    sides = []
    for side, turn in ((1, phase), (-1, phase + 1.2)):
        x = wide * (1.02 + 0.16 * (y - 0.42)) + 0.024 * np.sin((y - 0.42) * 24 + turn)
        sides.append(np.stack([side * x, y], axis=1))
    top = smooth(
        [(-wide, 0.42), (-0.7 * wide, 0.19), (0, 0.11), (0.7 * wide, 0.19), (wide, 0.42)], 6
    )
    return np.concatenate([sides[1][::-1], top, sides[0]])


def draw_back_hair(canvas: Canvas, face: FaceDescription, hair: Tones, ribbon_colour: RGB) -> None:
    """Draw everything of the hair that lies behind face and body."""
    if face.hair_style == "twin_tails":
        for side in (-1, 1):
            _draw_tail(canvas, face, hair, side, ribbon_colour)
    elif face.hair_style in ("side_tail", "ponytail"):
        _draw_tail(canvas, face, hair, 1 if face.hair_seed % 2 else -1, ribbon_colour)
    elif face.hair_style == "buns":
        for side in (-1, 1):
            _draw_bun(canvas, face, hair, side)
    shape = _silhouette(face)
    canvas.gradient(shape, (hair.shade, hair.deep, hair.deep, mix(hair.deep, hair.shade, 0.6)))
    if face.hair_style in ("long", "wavy", "bob"):
        _draw_locks(canvas, face, hair, shape)
    canvas.outline(shape, 0.0068, hair.line)


def _draw_locks(canvas: Canvas, face: FaceDescription, hair: Tones, shape: Path) -> None:
    """Light the outer part of loose hair and rule strands in it."""
    wide, wavy = cap_width(face), face.hair_style == "wavy"
    with canvas.inside(shape):
        for side in (-1, 1):
            tone = hair.base if side == face.light_side else mix(hair.base, hair.shade, 0.7)
            y = np.linspace(0.30, 1.06, 26)
            sway = 0.016 * np.sin((y - 0.3) * 24 + face.hair_seed % 7) if wavy else 0.0 * y
            inner = np.stack([side * (wide * (0.80 + 0.10 * y) + sway), y], axis=1)
            outer = np.array([[side * 0.6, 1.06], [side * 0.6, 0.30]])
            canvas.fill(np.concatenate([inner, outer]), tone)
            for share in (0.90, 0.99):
                strand = np.stack([side * (wide * (share + 0.09 * (y - 0.3)) + sway), y], axis=1)
                canvas.stroke(strand[3:], 0.006, mix(hair.line, hair.deep, 0.35), 0.1, 0.5)


def _draw_tail(
    canvas: Canvas, face: FaceDescription, hair: Tones, side: int, ribbon_colour: RGB
) -> None:
    random = Random(face.hair_seed + 5)
    wide, swing = cap_width(face), random.uniform(-0.03, 0.02)
    root = (side * wide * 0.88, 0.26)
    path = bezier(
        root, (side * 0.52, 0.16), (side * 0.450, 0.60), (side * (0.40 + swing), 0.99), samples=24
    )
    swell = np.interp(
        np.linspace(0, 1, 24), [0, 0.12, 0.45, 0.8, 1], [0.05, 0.085, 0.15, 0.125, 0.01]
    )
    draw_lock(canvas, path, swell, hair, face.light_side)
    draw_lock(
        canvas,
        moved(path[:20], -side * 0.035, 0.02),
        swell[:20] * np.linspace(0.8, 0.05, 20),
        hair,
        face.light_side,
    )
    x, y = root[0] + side * 0.03, root[1] - 0.025
    canvas.fill(ellipse(x, y, 0.036, 0.046, 16), mix(ribbon_colour, (20, 10, 30), 0.55))
    canvas.fill(ellipse(x, y, 0.030, 0.040, 16), ribbon_colour)


def _draw_bun(canvas: Canvas, face: FaceDescription, hair: Tones, side: int) -> None:
    x, y = side * 0.262, 0.158
    canvas.fill(ellipse(x, y, 0.112, 0.106), hair.line)
    canvas.fill(ellipse(x, y, 0.104, 0.098), hair.shade)
    canvas.fill(ellipse(x + face.light_side * 0.014, y - 0.012, 0.085, 0.080), hair.base)
    canvas.fill(ellipse(x + face.light_side * 0.03, y - 0.040, 0.034, 0.020, 16), hair.light)
    swirl = smooth(
        [(x - 0.07, y + 0.03), (x, y - 0.01), (x + 0.05, y + 0.02), (x + 0.01, y + 0.05)], 6
    )
    canvas.stroke(swirl, 0.007, hair.line, 0.1, 0.3)


def draw_braids(canvas: Canvas, face: FaceDescription, hair: Tones) -> None:
    """Draw braids that fall over the shoulders, in front of the clothes."""
    if face.hair_style != "braid":
        return
    for side in (-1, 1):
        for step in range(7):
            x, y = side * (0.300 + 0.012 * step), 0.655 + 0.062 * step
            across = side * (0.012 if step % 2 else -0.012)
            canvas.fill(ellipse(x + across, y, 0.054, 0.046, 20), hair.line)
            canvas.fill(ellipse(x + across, y, 0.048, 0.040, 20), hair.shade)
            canvas.fill(
                ellipse(x + across + 0.010 * face.light_side, y - 0.008, 0.034, 0.027, 18),
                hair.base,
            )
            if face.hair_shine > 0.3:
                canvas.fill(
                    ellipse(x + across + 0.016 * face.light_side, y - 0.014, 0.015, 0.009, 12),
                    hair.light,
                )
