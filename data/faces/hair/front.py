"""Hair in front of the face: the cap over the skull with its fringe, side locks, one tuft."""

from __future__ import annotations

from contextlib import nullcontext
from random import Random

import numpy as np

from data.faces.canvas import Canvas
from data.faces.curves import Path, bezier, moved
from data.faces.figure import Figure
from data.faces.hair.cap import dome, flow, parting, pulled, strands, tufts
from data.faces.hair.fringe import Clump, below, clumps, crossing
from data.faces.hair.lock import draw_lock, dyed, fill_hair, lock_widths
from data.faces.hair.shine import draw_ring

__all__ = [
    "dome", "draw_ahoge", "draw_cap", "draw_fringe_shadow", "draw_side_locks", "parting",
]  # fmt: skip

_DYE = (0.0, 0.7)  # share of the colour of dyed tips on the crown and at the tips of the fringe
_HIGH = ("parted", "swept", "back")  # fringes with a gap up to the ring of light
_PARTED = ("parted", "swept")  # fringes that show the parting down to the forehead


def fringe_edge(row: list[Clump]) -> Path:
    """Trace the lower edge of the fringe from left to right."""
    return np.concatenate([clump.edge() for clump in row])


def draw_fringe_shadow(canvas: Canvas, figure: Figure) -> None:
    """Draw the shadow of the fringe on the forehead."""
    half = figure.body.hair_half
    lower = moved(fringe_edge(clumps(figure)), -0.010 * figure.face.light_side, 0.026)
    forehead = np.concatenate([lower, [(half, 0.2), (-half, 0.2)]])
    canvas.fill(forehead, figure.paint.skin.shade)


def draw_cap(canvas: Canvas, figure: Figure) -> None:
    """Draw the hair on top of the head and the fringe, with shadows and the ring of light."""
    row, top, line = clumps(figure), dome(figure), figure.paint.hair.line
    behind = [clump.edge() for clump in below(row)]
    if behind:
        canvas.fills(behind, dyed(figure, "shade", 0.3))
        canvas.strokes(np.stack(behind), 0.0045, line, 0.6, 0.6)
    edge = fringe_edge(row)
    shape = np.concatenate([top, edge[::-1]])
    fill_hair(canvas, figure, shape, ("base",), _DYE)
    canvas.fill(_dark_side(figure, row, top), figure.paint.hair.shade)
    _shade_clumps(canvas, figure, row)
    with canvas.inside(shape) if figure.face.fringe in _HIGH else nullcontext():
        draw_ring(canvas, figure)
    _draw_tufts(canvas, figure)
    _draw_strands(canvas, figure, row)
    canvas.stroke(edge, 0.0060, line, 0.0, 0.0)
    _draw_crossing(canvas, figure)
    canvas.stroke(top, 0.0075, line, 0.15, 0.15)


def _dark_side(figure: Figure, row: list[Clump], top: Path) -> Path:
    """Outline the side of the skull away from the light, bounded by strands."""
    away, half = -figure.face.light_side, figure.body.hair_half
    clump = row[-1] if away > 0 else row[0]
    edge, rim = (clump.edge(), top[::-1]) if away > 0 else (clump.edge()[::-1], top)
    starts = np.array([(0.87 * away * half, 0.5), (0.80 * away * half, 0.55), edge[0]])
    begin, end = np.array([0.66, 0.30, 0.78]), np.array([0.30, 0.54, 0.0])
    inner = strands(figure, starts, begin, end).reshape(-1, 2)
    return np.concatenate([edge, rim[away * rim[:, 0] > 0.40 * half], inner])


def _shade_clumps(canvas: Canvas, figure: Figure, row: list[Clump]) -> None:
    """Shade the side of each clump away from the light, up to a point on the skull."""
    is_right = figure.face.light_side < 0
    roots = np.array([clump.right if is_right else clump.left for clump in row])
    sides = -figure.face.light_side * roots[:, 0] / figure.body.hair_half
    paths = strands(figure, roots, 0 * sides, np.clip(0.34 + 0.24 * sides, 0.15, 0.6))
    step = 2 if figure.face.fringe == "back" else 1
    shadows = [
        _shaded_side(clump, is_right, up, float(side))
        for clump, up, side in zip(row[::step], paths[::step], sides[::step], strict=True)
    ]
    if figure.face.hair_tips:
        for shadow in shadows:
            fill_hair(canvas, figure, shadow, ("shade",), _DYE)
    else:
        canvas.fills(shadows, figure.paint.hair.shade)


def _shaded_side(clump: Clump, is_right: bool, up: Path, side: float) -> Path:
    """Outline the shadow on one side of a clump; `side` is 1 at the dark temple, -1 at the lit."""
    other, depth = clump.left if is_right else clump.right, 0.36 + 0.22 * side
    x = up[0, 0] + min(max(depth * (other[0] - up[0, 0]), -0.05), 0.05)
    inner = (x, up[0, 1] + 0.3 * (clump.tip[1] - up[0, 1]))
    return np.concatenate(
        [up[::-1], clump.side(is_right), bezier(clump.tip, inner, up[-1], samples=8)]
    )


def _draw_tufts(canvas: Canvas, figure: Figure) -> None:
    """Shade the hollow side of each tuft and part it from the next by a line."""
    shadows, lines = [], []
    for tuft in tufts(figure):
        fall = tuft.lower[-1]
        back = bezier(fall, (tuft.upper[2] + fall) / 2, tuft.lower[0], samples=6)
        shadows.append(np.concatenate([tuft.lower, back]))
        inside = fall + 0.26 * (np.array([0.0, 0.32]) - fall)
        bend = (fall + inside) / 2 + (0.012 * tuft.side, 0)
        lines.append(bezier(tuft.lower[3], bend, inside, samples=7))
    if lines:
        canvas.fills(shadows, figure.paint.hair.shade)
        canvas.strokes(np.stack(lines), 0.0050, figure.paint.hair.line, 0.8, 0.0)


def _draw_strands(canvas: Canvas, figure: Figure, row: list[Clump]) -> None:
    """Let valleys run on as lines towards the parting, and lines fall from the parting."""
    face, half = figure.face, figure.body.hair_half
    random = Random(face.hair_seed + 6)
    reach = (0.50, 0.68, 0.84) if face.fringe == "back" else (0.22, 0.34, 0.62)
    tight = pulled(figure)
    is_thin = face.age == "elder" or bool(tight) or bool(tufts(figure))
    valleys = [(*clump.left, -0.03, random.choice(reach)) for clump in row[1:]]
    if face.fringe in _PARTED:
        top = min(range(len(valleys)), key=lambda k: valleys[k][1])
        valleys[top] = (*row[top + 1].left, -0.03, 0.97)
    shift = 0.1 * random.uniform(-1, 1)
    crown = [
        ((x + shift) * half, 0.5, 1.0, random.uniform(0.66, 0.86))
        for x in (() if is_thin else (-0.75, -0.30, 0.22, 0.68))
    ]
    lines = np.array([*valleys, *crown])
    paths = [*strands(figure, lines[:, :2], lines[:, 2], lines[:, 3]), *tight]
    canvas.strokes(np.stack(paths), 0.0046, figure.paint.hair.line, 1.5, 0.0)


def _draw_crossing(canvas: Canvas, figure: Figure) -> None:
    """Lay one lock across the fringe; it starts in a point on the skull."""
    ends = crossing(figure)
    if ends is None:
        return
    root, tip = (np.array(end) for end in ends)
    above = flow(figure, np.array([root, root]), np.array([0.45, 0.12]))
    path = bezier(above[0], above[1], moved(root, 0.0, 0.07), tip, samples=14)
    widths = lock_widths(14, 0.048, 0.0, 0.45, 0.9, 1.0, 0.62, 0.0)
    draw_lock(canvas, figure, path, widths, strands=0, dye=_DYE)


def draw_ahoge(canvas: Canvas, figure: Figure) -> None:
    """Draw the one lock that stands up from the crown, if there is one."""
    if not figure.face.hair_ahoge:
        return
    x, lean = parting(figure), 1 if figure.face.hair_seed % 2 else -1
    y = figure.body.crown_y
    middle, tip = (x - lean * 0.02, y - 0.085), (x + lean * 0.12, y - 0.02)
    path = bezier((x, y + 0.03), middle, tip, samples=14)
    draw_lock(canvas, figure, path, lock_widths(14, 0.036, 0.5, 1, 0.9, 0.6, 0.03), strands=0)


# From the temple down: places outwards from the cheek and heights; the last is the tip.
_LOCKS = {
    "short": ((0.022, 0.36), (0.050, 0.47), (0.030, 0.60), (-0.025, 0.705)),
    "cheek": ((0.022, 0.36), (0.044, 0.48), (0.034, 0.64), (-0.030, 0.815)),
    "long": ((0.022, 0.36), (0.046, 0.52), (0.030, 0.76), (0.042, 1.04)),
    "hime": ((0.022, 0.36), (0.026, 0.50), (0.018, 0.64), (0.012, 0.775)),
}
_WIDEST = {"short": 0.056, "cheek": 0.064, "long": 0.074, "hime": 0.090}


def draw_side_locks(canvas: Canvas, figure: Figure) -> None:
    """Draw the locks that hang from the temples in front of the ears."""
    kind = figure.face.side_locks
    if kind == "none":
        return
    if figure.face.hair_style == "hime":
        kind = "hime"
    random = Random(figure.face.hair_seed + 3)
    shares = (0.6, 1.0, 1.0, 1.0) if kind == "hime" else (0.5, 0.95, 1.0, 0.82, 0.5, 0.02)
    for side in (-1, 1):
        longer, out = random.uniform(-0.03, 0.02), random.uniform(-0.008, 0.012)
        nodes = [
            (side * (figure.body.cheek_half + x + out), y + longer * (y > 0.5))
            for x, y in _LOCKS[kind]
        ]
        path = bezier(*nodes, samples=16)
        draw_lock(canvas, figure, path, lock_widths(16, _WIDEST[kind], *shares))
