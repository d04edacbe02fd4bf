"""Hair in front of the face: the cap over the skull, the fringe, highlights and side locks."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import numpy as np
from numpy.typing import NDArray

from data.faces.canvas import Canvas
from data.faces.colour import Tones, mix
from data.faces.curves import Path, bezier, moved, smooth
from data.faces.description import FaceDescription
from data.faces.figure import Figure
from data.faces.hair.fringe import Clump, clumps, parting
from data.faces.hair.lock import draw_lock
from data.faces.paint import colour_paint
from data.faces.palette import HAIR

CROWN_Y = 0.088
_MIDDLE_Y = 0.475


def cap_width(face: FaceDescription) -> float:
    """Give half the width of the hair above the ears."""
    return 0.350 + 0.018 * face.hair_volume + 0.008 * face.head_width


def dome(face: FaceDescription) -> Path:
    """Outline the top of the hair from the left over the crown to the right."""
    angle = np.linspace(np.pi, 0, 33)
    wide, tall = cap_width(face), _MIDDLE_Y - CROWN_Y
    flat = np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** 0.92
    shape = np.stack([wide * flat, _MIDDLE_Y - tall * np.sin(angle) ** 0.94], axis=1)
    if face.hair_style == "spiky":
        return _spikes(face, shape)
    shape += _bumps(face, angle) * (shape - (0.0, _MIDDLE_Y))
    shape[:, 1] += 0.012 * np.exp(-(((shape[:, 0] - parting(face)) / 0.03) ** 2))
    return shape


def _bumps(face: FaceDescription, angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Make the roundness of the hair a little irregular, as a share of the radius [n, 1]."""
    random = Random(face.hair_seed + 4)
    waves = [random.uniform(-0.016, 0.016) * np.sin(k * angle) for k in (2, 3, 4, 5)]
    return np.sum(waves, axis=0)[:, None]


def _spikes(face: FaceDescription, shape: Path) -> Path:
    random, points = Random(face.hair_seed + 1), []
    nodes = np.array([0, 5, 10, 14, 18, 22, 27, 32])
    middle = np.array([0.0, _MIDDLE_Y])
    for start, stop in pairwise(nodes):
        base = shape[start] - 0.035 * (shape[start] - middle)
        end = shape[stop] - 0.035 * (shape[stop] - middle)
        out = (base + end) / 2 - middle
        tip = middle + out * (1.20 + random.uniform(-0.04, 0.05))
        tip += (0.16 * out[0] * (1 - 2.2 * abs(out[0])), 0.75 * out[0] ** 2)
        tip[1] = max(tip[1], 0.045)
        points.append(bezier(base, base + 0.5 * (tip - base) + 0.05 * out, tip, samples=6))
        points.append(bezier(tip, end + 0.45 * (tip - end) - 0.03 * out, end, samples=6))
    return np.concatenate(points)


def fringe_edge(face: FaceDescription) -> tuple[Path, list[Clump]]:
    """Trace the lower edge of the fringe from left to right."""
    row = clumps(face, cap_width(face))
    return np.concatenate([clump.edge() for clump in row]), row


def cap_shape(face: FaceDescription) -> Path:
    """Outline cap and fringe together."""
    edge, _ = fringe_edge(face)
    return np.concatenate([dome(face), edge[::-1]])


def draw_cap(canvas: Canvas, face: FaceDescription, hair: Tones) -> None:
    """Draw the hair on top of the head with strands, shadow and the ring of light."""
    edge, row = fringe_edge(face)
    shape = cap_shape(face)
    canvas.gradient(shape, (hair.base, hair.base, mix(hair.base, hair.shade, 0.45)))
    with canvas.inside(shape):
        _shade_side(canvas, face, hair)
        for clump in row:
            _shade_clump(canvas, face, clump, hair)
        _draw_ring(canvas, face, hair)
        random = Random(face.hair_seed + 6)
        for clump in row[1:]:
            _draw_strand(canvas, face, clump.left, random.uniform(0.3, 0.75), hair)
    canvas.stroke(edge, 0.0065, hair.line, 0.6, 0.6)
    canvas.stroke(dome(face), 0.0078, hair.line, 0.7, 0.7)
    if face.hair_ahoge:
        _draw_ahoge(canvas, face, hair)


def _shade_side(canvas: Canvas, face: FaceDescription, hair: Tones) -> None:
    away, wide = -face.light_side, cap_width(face)
    inner = [
        (0.55, 0.10),
        (0.74, 0.22),
        (0.80, 0.34),
        (0.72, 0.40),
        (0.82, 0.46),
        (0.76, 0.56),
        (0.8, 0.70),
    ]
    shape = [(away * wide * x, y) for x, y in inner]
    canvas.fill(smooth([*shape, (away * 0.5, 0.70), (away * 0.5, 0.05)], 4), hair.shade)


def _strand_path(face: FaceDescription, start: tuple[float, float], reach: float) -> Path:
    """Run from a point of the fringe up towards the parting."""
    x, y = start
    root = (parting(face) + 0.10 * x, CROWN_Y + 0.02)
    path = bezier(start, (x * 1.12, y - 0.45 * (y - root[1])), root, samples=16)
    return path[: max(3, int(16 * reach))]


def _draw_strand(
    canvas: Canvas, face: FaceDescription, start: tuple[float, float], reach: float, hair: Tones
) -> None:
    path = _strand_path(face, start, reach)
    canvas.stroke(path, 0.0075, mix(hair.line, hair.deep, 0.25), 0.9, 0.0)


def _shade_clump(canvas: Canvas, face: FaceDescription, clump: Clump, hair: Tones) -> None:
    away = -face.light_side
    root = np.array(clump.right if away > 0 else clump.left)
    tip, other = np.array(clump.tip), np.array(clump.left if away > 0 else clump.right)
    if abs(tip[0]) > 0.3:
        return
    inner = root + 0.42 * (other - root) + (0.0, 0.35 * (tip[1] - root[1]))
    top = _strand_path(face, (float(root[0]), float(root[1])), 0.5)[-1]
    outer = moved(root, away * 0.03, 0.0)
    wedge = np.concatenate(
        [
            bezier(top, inner - (0, 0.05), tip, samples=10),
            bezier(moved(tip, away * 0.03, 0), outer, top),
        ]
    )
    canvas.fill(wedge, hair.shade)


def _draw_ring(canvas: Canvas, face: FaceDescription, hair: Tones) -> None:
    """Draw the band of light that follows the roundness of the head."""
    if face.hair_shine < 0.12:
        return
    random, wide = Random(face.hair_seed + 2), cap_width(face)
    middle = 0.14 * face.light_side * wide
    for start, stop in ((-0.80, -0.10), (0.02, 0.80)):
        xs = np.linspace(start, stop, 13) * wide * 0.92 + middle * 0.5
        arc = _MIDDLE_Y - 0.005 - 0.225 * np.sqrt(np.clip(1 - (xs / (wide * 1.05)) ** 2, 0.05, 1))
        swell = np.sin(np.linspace(0, np.pi, 13)) ** 0.6 * (0.9 + 0.8 * face.hair_shine)
        teeth = np.array([(i % 2) * random.uniform(0.4, 1.0) for i in range(13)])
        upper = np.stack([xs, arc - 0.015 * swell * (1 + 0.9 * np.roll(teeth, 1))], axis=1)
        lower = np.stack([xs, arc + 0.020 * swell * (1 + 1.3 * teeth)], axis=1)
        canvas.fill(np.concatenate([upper, lower[::-1]]), hair.light)
        if face.hair_shine > 0.45:
            core_up = np.stack([xs, arc - 0.006 * swell], axis=1)[2:-2]
            core_down = np.stack([xs, arc + 0.010 * swell * (1 + 0.6 * teeth)], axis=1)[2:-2]
            canvas.fill(np.concatenate([core_up, core_down[::-1]]), hair.gleam)


def _draw_ahoge(canvas: Canvas, face: FaceDescription, hair: Tones) -> None:
    x, lean = parting(face), 1 if face.hair_seed % 2 else -1
    path = bezier(
        (x, CROWN_Y + 0.02), (x + lean * 0.01, 0.02), (x + lean * 0.10, 0.055), samples=14
    )
    draw_lock(canvas, Figure.of(face, colour_paint(face)), path, np.linspace(0.032, 0.002, 14))


_LOCKS = {  # y of the tip, widest, how far the tip goes outwards
    "short": (0.68, 0.060, -0.02),
    "cheek": (0.80, 0.072, -0.035),
    "long": (1.04, 0.085, 0.03),
}


def draw_side_locks(canvas: Canvas, face: FaceDescription, hair: Tones) -> None:
    """Draw the locks that hang from the temples in front of the ears."""
    if face.side_locks == "none":
        return
    end, width, outwards = _LOCKS[face.side_locks]
    random = Random(face.hair_seed + 3)
    for side in (-1, 1):
        top = cap_width(face) - 0.055
        tip_y = end + random.uniform(-0.03, 0.02)
        bulge = 0.012 + random.uniform(0, 0.02)
        points = (side * top, 0.36), (side * (top + bulge), 0.36 + 0.5 * (tip_y - 0.36))
        path = bezier(*points, (side * (top + outwards), tip_y), samples=20)
        swell = np.interp(
            np.linspace(0, 1, 20), [0, 0.25, 0.6, 0.85, 1], [0.6, 1, 0.95, 0.55, 0.02]
        )
        draw_lock(canvas, Figure.of(face, colour_paint(face)), path, width * swell)


def hair_hue(face: FaceDescription) -> tuple[float, float, float]:
    """Give lightness, chroma and hue of the hair."""
    pigment = HAIR[face.hair_colour]
    return face.hair_lightness, pigment.chroma, pigment.hue + face.hair_hue_shift
