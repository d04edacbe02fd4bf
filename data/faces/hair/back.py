"""Hair behind the head and over the shoulders."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

from data.faces.canvas import Canvas
from data.faces.curves import Path, bezier, ribbon, smooth, taper
from data.faces.figure import Figure
from data.faces.hair.braid import draw_braid
from data.faces.hair.buns import draw_buns
from data.faces.hair.lock import draw_lock, fill_hair, lock_widths
from data.faces.hair.silhouettes import Contour, contour, flick
from data.faces.hair.tails import HIGH, LOW, TWIN, below_hat, draw_tail

_LOOSE = {"long", "hime", "wavy", "bob"}


def draw_back_hair(canvas: Canvas, figure: Figure) -> None:
    """Draw what hangs or is tied behind head and neck, on the layer "back"."""
    if figure.face.hair_style == "ponytail":
        draw_tail(canvas, figure, below_hat(figure, HIGH), _favourite(figure))
    elif figure.face.hair_style == "buns":
        draw_buns(canvas, figure)
    sides = {side: contour(figure, side) for side in (1, -1)}
    for side in _sides(figure, 32) if figure.face.hair_style == "long" else ():
        _draw_stray_lock(canvas, figure, side)
    shape = np.concatenate([sides[1].path, sides[-1].path[::-1]])
    fill_hair(canvas, figure, shape, ("deep",))
    for side, outline in sides.items():
        is_lit = side == figure.face.light_side
        _draw_flow(canvas, figure, outline.flow, is_lit)
        _draw_tufts(canvas, figure, outline, is_lit)
        canvas.stroke(outline.path[4:], 0.0070, figure.paint.hair.line, 0.3, 0.5)


def draw_shoulder_hair(canvas: Canvas, figure: Figure) -> None:
    """Draw what falls over the shoulders, after the clothes, on the layer "body"."""
    style, favourite = figure.face.hair_style, _favourite(figure)
    if style == "twin_tails":
        with figure.on(canvas, "back"):
            for side in (-1, 1):
                draw_tail(canvas, figure, below_hat(figure, TWIN), side)
    elif style == "side_tail":
        with figure.on(canvas, "back"):
            draw_tail(canvas, figure, LOW, favourite)
    elif style == "braid":
        for side in (-1, 1) if figure.face.hair_seed // 8 % 2 else (favourite,):
            draw_braid(canvas, figure, side)
    elif style in _FRONT_LOCKS:
        for side in _sides(figure, 128):
            _draw_front_lock(canvas, figure, side)


def _favourite(figure: Figure) -> int:
    """Give the side on which a single tail or braid hangs."""
    return 1 if figure.face.hair_seed % 2 else -1


def _sides(figure: Figure, bit: int) -> tuple[int, ...]:
    """Choose the sides on which something hangs: mostly both, else one or none."""
    favourite = _favourite(figure)
    return ((), (favourite,), (-1, 1), (-1, 1))[figure.face.hair_seed // bit % 4]


def _draw_flow(canvas: Canvas, figure: Figure, flow: Path, is_lit: bool) -> None:
    """Light the outer clumps and rule the strands between them."""
    swell = taper(len(flow), 0.0, 0.3)
    if figure.face.hair_style not in _LOOSE:
        tone = "base" if is_lit else "shade"
        fill_hair(canvas, figure, _rim(flow, 1 - 0.2 * swell), (tone,))
        return
    fill_hair(canvas, figure, _rim(flow, 1 - 0.38 * swell), ("shade",))
    fill_hair(canvas, figure, _rim(flow, 1 - (0.26 if is_lit else 0.14) * swell), ("base",))
    if is_lit and figure.face.hair_shine > 0.3:
        gleam = flow[-9:-1] * (0.93, 1.0)
        canvas.fill(ribbon(gleam, 0.018 * taper(len(gleam), 0.0, 0.0)), figure.paint.hair.light)
    for share in (0.72, 0.87):
        canvas.stroke(flow[3:] * (share, 1.0), 0.0045, figure.paint.hair.line, 0.0, 0.4)


def _rim(path: Path, inner: NDArray[np.float64]) -> Path:
    """Outline what lies outside the shares `inner` of the way from the middle to the contour."""
    within = np.stack([path[:, 0] * inner, path[:, 1]], axis=1)
    return np.concatenate([path, within[::-1]])


def _draw_tufts(canvas: Canvas, figure: Figure, outline: Contour, is_lit: bool) -> None:
    """Shade each tuft along the valley behind it, and rule a strand up from there."""
    for k, (root, tip, end) in enumerate(outline.tufts):
        body, shadow = ("base", "shade") if is_lit and not k else ("shade", "deep")
        top = 0.5 * (root + end) - np.array([0.0, 0.13])
        outer, inner = flick(root, tip), flick(end, tip)[::-1]
        fill_hair(canvas, figure, np.concatenate([outer, inner, top[None]]), (body,))
        edge = bezier(top, 0.25 * root + 0.75 * end, tip, samples=6)
        fill_hair(canvas, figure, np.concatenate([edge, inner]), (shadow,))
        strand = bezier(end, 0.6 * end + 0.4 * top, top, samples=4)
        canvas.stroke(strand, 0.0045, figure.paint.hair.line, 1.0, 0.0)


def _draw_stray_lock(canvas: Canvas, figure: Figure, side: int) -> None:
    """Draw a lock that leaves the contour and turns outwards."""
    random = Random(figure.face.hair_seed + (15 if side > 0 else 16))
    half, reach, end = figure.body.hair_half, random.uniform(0.05, 0.11), random.uniform(0.90, 0.98)
    nodes = [(half - 0.03, 0.66), (half - 0.01, 0.78), (half + 0.03, 0.87), (half + reach, end)]
    path = smooth(nodes, 5) * (side, 1.0)
    draw_lock(canvas, figure, path, lock_widths(len(path), 0.06, 0.8, 1.0, 0.9, 0.5, 0.0), 1)


@dataclass(frozen=True)
class _FrontLock:
    """A lock over a shoulder: widths from root to end, how far it waves, where it ends."""

    shares: tuple[float, ...]
    wave: float
    end: float


_FRONT_LOCKS = {
    "long": _FrontLock((0.7, 1.0, 1.0, 0.6), 0.0, 1.06),
    "wavy": _FrontLock((0.7, 1.0, 1.0, 0.8), 0.020, 1.06),
    "hime": _FrontLock((0.9, 1.0, 1.0, 1.0), 0.0, 0.955),  # cut level
}


def _draw_front_lock(canvas: Canvas, figure: Figure, side: int) -> None:
    lock = _FRONT_LOCKS[figure.face.hair_style]
    random = Random(figure.face.hair_seed + (13 if side > 0 else 14))
    half, drift = figure.body.hair_half, random.uniform(-0.03, 0.02) * (lock.end > 1)
    nodes = [
        (half - 0.075, 0.60),
        (half - 0.055 + lock.wave, 0.72),
        (half - 0.060 - lock.wave, 0.85),
        (half - 0.070 + lock.wave + drift, lock.end),
    ]
    path = smooth(nodes, 6) * (side, 1.0)
    widths = lock_widths(len(path), random.uniform(0.080, 0.105), *lock.shares)
    draw_lock(canvas, figure, path, widths, 2)
