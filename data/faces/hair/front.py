"""Hair in front of the face: the cap over the skull with its fringe, side locks, one tuft."""

from __future__ import annotations

from random import Random

import numpy as np

from data.faces.canvas import Canvas
from data.faces.curves import Path, bezier
from data.faces.figure import Figure
from data.faces.hair.cap import dome, parting, strands, tufts
from data.faces.hair.fringe import Clump, below, clumps
from data.faces.hair.lock import draw_lock, fill_hair, lock_widths
from data.faces.hair.shine import draw_ring

__all__ = ["cap_shape", "dome", "draw_ahoge", "draw_cap", "draw_side_locks", "parting"]


def fringe_edge(row: list[Clump]) -> Path:
    """Trace the lower edge of the fringe from left to right."""
    return np.concatenate([clump.edge() for clump in row])


def cap_shape(figure: Figure) -> Path:
    """Outline cap and fringe together."""
    return np.concatenate([dome(figure), fringe_edge(clumps(figure))[::-1]])


def draw_cap(canvas: Canvas, figure: Figure) -> None:
    """Draw the hair on top of the head and the fringe, with shadows and the ring of light."""
    row, top, line = clumps(figure), dome(figure), figure.paint.hair.line
    for clump in below(row):
        canvas.fill(clump.edge(), figure.paint.hair.shade)
        canvas.stroke(clump.edge(), 0.0045, line, 0.6, 0.6)
    edge = fringe_edge(row)
    shape = np.concatenate([top, edge[::-1]])
    fill_hair(canvas, figure, shape, ("base",), (0.0, 0.7))
    with canvas.inside(shape):
        _shade_side(canvas, figure)
        _shade_clumps(canvas, figure, row)
        draw_ring(canvas, figure)
    _draw_tufts(canvas, figure)
    _draw_strands(canvas, figure, row)
    canvas.stroke(edge, 0.0060, line, 0.0, 0.0)
    canvas.stroke(top, 0.0075, line, 0.7, 0.7)


def _shade_side(canvas: Canvas, figure: Figure) -> None:
    """Shade the side of the skull away from the light, along the strands."""
    away, half = -figure.face.light_side, figure.body.hair_half
    starts = np.array([(x * away * half, y) for x, y in ((0.70, 0.62), (0.80, 0.55), (0.87, 0.5))])
    begin, end = np.array([0.0, 0.62, 0.30]), np.array([0.70, 0.34, 0.66])
    inner = strands(figure, starts, begin, end).reshape(-1, 2)
    outer = np.array([(away * 0.5, 0.10), (away * 0.5, 0.66)])
    canvas.fill(np.concatenate([inner, outer]), figure.paint.hair.shade)


def _shade_clumps(canvas: Canvas, figure: Figure, row: list[Clump]) -> None:
    """Shade the side of each clump away from the light, up to a point on the skull."""
    is_right = figure.face.light_side < 0
    roots = np.array([clump.right if is_right else clump.left for clump in row])
    sides = -figure.face.light_side * roots[:, 0] / figure.body.hair_half
    paths = strands(figure, roots, 0 * sides, np.clip(0.34 + 0.24 * sides, 0.15, 0.6))
    is_back = figure.face.fringe == "back"
    for clump, up, side in list(zip(row, paths, sides, strict=True))[:: 2 if is_back else 1]:
        other, depth = clump.left if is_right else clump.right, 0.36 + 0.22 * side
        x = up[0, 0] + depth * (other[0] - up[0, 0])
        inner = bezier(
            clump.tip, (x, up[0, 1] + 0.3 * (clump.tip[1] - up[0, 1])), up[-1], samples=8
        )
        edge = np.concatenate([up[::-1], clump.side(is_right), inner])
        canvas.fill(edge, figure.paint.hair.shade)


def _draw_tufts(canvas: Canvas, figure: Figure) -> None:
    """Shade the hollow side of each tuft and part it from the next by a line."""
    for tuft in tufts(figure):
        fall = tuft.lower[-1]
        inside = fall + 0.26 * (np.array([0.0, 0.32]) - fall)
        back = bezier(fall, (tuft.upper[2] + fall) / 2, tuft.lower[0], samples=6)
        canvas.fill(np.concatenate([tuft.lower, back]), figure.paint.hair.shade)
        bend = (fall + inside) / 2 + (0.012 * tuft.side, 0)
        line = bezier(tuft.lower[3], bend, inside, samples=7)
        canvas.stroke(line, 0.0050, figure.paint.hair.line, 0.8, 0.0)


def _draw_strands(canvas: Canvas, figure: Figure, row: list[Clump]) -> None:
    """Let valleys run on as lines towards the parting, and lines fall from the parting."""
    random, line = Random(figure.face.hair_seed + 6), figure.paint.hair.line
    roots = np.array([clump.left for clump in row[1:]])
    reach = (0.50, 0.68, 0.84) if figure.face.fringe == "back" else (0.22, 0.34, 0.62)
    ends = np.array([random.choice(reach) for _ in roots])
    for path in strands(figure, roots, 0 * ends, ends):
        canvas.stroke(path, 0.0048, line, 0.9, 0.0)
    xs = np.array([-0.75, -0.30, 0.22, 0.68]) + 0.1 * random.uniform(-1, 1)
    starts = np.stack([xs * figure.body.hair_half, np.full(4, 0.5)], axis=1)
    ends = np.array([random.uniform(0.66, 0.86) for _ in xs])
    for path in strands(figure, starts, np.full(4, 1.0), ends):
        canvas.stroke(path, 0.0042, line, 0.8, 0.0)


def draw_ahoge(canvas: Canvas, figure: Figure) -> None:
    """Draw the one lock that stands up from the crown, if there is one."""
    if not figure.face.hair_ahoge:
        return
    x, lean = parting(figure), 1 if figure.face.hair_seed % 2 else -1
    y = figure.body.crown_y
    middle, tip = (x - lean * 0.02, y - 0.085), (x + lean * 0.12, y - 0.02)
    path = bezier((x, y + 0.03), middle, tip, samples=14)
    draw_lock(canvas, figure, path, lock_widths(14, 0.034, 0.9, 1, 0.8, 0.5, 0.03), strands=0)


_LOCKS = {  # y of the tip, widest, how far the tip goes outwards
    "short": (0.70, 0.060, -0.030),
    "cheek": (0.80, 0.068, -0.045),
    "long": (1.03, 0.080, 0.025),
}


def draw_side_locks(canvas: Canvas, figure: Figure) -> None:
    """Draw the locks that hang from the temples in front of the ears."""
    if figure.face.side_locks == "none":
        return
    end, width, outwards = _LOCKS[figure.face.side_locks]
    random = Random(figure.face.hair_seed + 3)
    for side in (-1, 1):
        top = figure.body.hair_half - 0.052
        tip_y = end + random.uniform(-0.03, 0.02)
        bulge = 0.012 + random.uniform(0, 0.02)
        points = (side * top, 0.36), (side * (top + bulge), 0.36 + 0.5 * (tip_y - 0.36))
        path = bezier(*points, (side * (top + outwards), tip_y), samples=20)
        widths = lock_widths(20, width, 0.6, 1, 1, 0.9, 0.55, 0.02)
        draw_lock(canvas, figure, path, widths)
