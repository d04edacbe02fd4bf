"""One lock of hair, wherever it hangs: its body, shadow, strands and gleam; dyed tips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.faces.canvas import Canvas
from data.faces.colour import RGB, mix
from data.faces.curves import Path, ribbon
from data.faces.figure import Figure

Widths = NDArray[np.float64]
Dye = tuple[float, float]  # share of the colour of the tips at the root and at the tip

_LINE = 0.0062
_STRANDS = (-0.14, 0.20, -0.32)  # places of lines across a lock, dark side negative
_UNDYED: Dye = (0.0, 0.0)


def lock_widths(count: int, widest: float, *shares: float) -> Widths:
    """Give the full widths of a lock from shares of `widest`, spread evenly from root to tip."""
    return widest * np.interp(
        np.linspace(0, 1, count), np.linspace(0, 1, len(shares)), np.array(shares)
    )


def dyed(figure: Figure, tone: str, share: float) -> RGB:
    """Give a tone of the hair at a place where `share` of it has the colour of the tips."""
    hair, tips = figure.paint.hair, figure.paint.tips
    own: RGB = getattr(hair, tone)
    faded: RGB = getattr(tips, tone)
    return mix(own, faded, share) if share else own


def fill_hair(
    canvas: Canvas, figure: Figure, path: Path, tones: Sequence[str], dye: Dye = (0.0, 1.0)
) -> None:
    """Fill a shape with tones from its top to its bottom, fading from dye[0] to dye[1]."""
    if not figure.face.hair_tips:
        dye = _UNDYED
    if len(tones) == 1 and dye[0] == dye[1]:
        canvas.fill(path, dyed(figure, tones[0], dye[0]))
        return
    names = list(tones) if len(tones) > 1 else [tones[0]] * 4
    shares = np.linspace(0, 1, len(names)) ** 1.5 * (dye[1] - dye[0]) + dye[0]
    colours = [dyed(figure, name, share) for name, share in zip(names, shares, strict=True)]
    canvas.gradient(path, colours)


@dataclass(frozen=True)
class _Band:
    """A lock as a band along its path; the normals point to the light."""

    path: Path
    normals: Path
    widths: Widths

    @classmethod
    def of(cls, path: Path, widths: Widths, light_side: int) -> _Band:
        normals = ribbon(path, 2.0)[: len(path)] - path
        to_light = normals.sum(axis=0) @ (light_side, -0.6)
        return cls(path, normals if to_light >= 0 else -normals, widths)

    def at(self, across: float | Widths, first: int = 0, last: int | None = None) -> Path:
        """Run along the lock at a share of its width: -0.5 is its dark side, 0.5 its lit one."""
        return (self.path + self.normals * (across * self.widths)[:, None])[first:last]


def draw_lock(
    canvas: Canvas,
    figure: Figure,
    path: Path,
    widths: Widths,
    strands: int = 2,
    dye: Dye = (0.0, 1.0),
    far: bool = False,
) -> None:
    """Draw a lock along `path` [n, 2], from its open root to its tip, with full widths [n].

    Args:
        strands: how many lines follow the lock, 0 to 3
        dye: share of the tips' colour at the root and at the tip, where tips are dyed
        far: draw it one tone darker, as what lies behind other hair
    """
    band = _Band.of(path, widths, figure.face.light_side)
    falls = path[-1, 1] >= path[0, 1]
    dye = dye if falls else dye[::-1]
    base, shade = ("shade", "deep") if far else ("base", "shade")
    canvas.fill(_outline(path, widths, _LINE * canvas.ink), figure.paint.hair.line)
    fill_hair(canvas, figure, ribbon(path, widths), (base,), dye)
    fill_hair(canvas, figure, _shadow(band), (shade,), dye)
    if not far:
        _draw_gleam(canvas, figure, band)
    if strands:
        first = round(0.32 * len(path))
        lines = np.stack([band.at(across, first) for across in _STRANDS[:strands]])
        canvas.strokes(lines, 0.0042, figure.paint.hair.line, 0.05, 0.5)


def _outline(path: Path, widths: Widths, line: float) -> Path:
    """Widen a lock by its line, also at its end."""
    last = path[-1] - path[-2]
    path = np.concatenate([path, path[-1:] + line * last / max(np.hypot(*last), 1e-9)])
    return ribbon(path, np.append(widths, widths[-1]) + 2 * line)


def _shadow(band: _Band) -> Path:
    """Outline the cel shadow: a sliver at the root that takes half the lock towards the tip."""
    t = np.linspace(0, 1, len(band.path))
    inner = -0.5 + np.interp(t, [0, 0.35, 0.7, 1], [0.10, 0.26, 0.50, 0.62])
    return np.concatenate([band.at(-0.5), band.at(inner)[::-1]])


def _draw_gleam(canvas: Canvas, figure: Figure, band: _Band) -> None:
    """Draw a highlight with pointed ends where the lock turns to the light."""
    shine = figure.face.hair_shine
    count = len(band.path)
    first, last = round(0.14 * count), round((0.34 + 0.16 * shine) * count)
    if shine < 0.15 or last - first < 5 or band.widths.max() < 0.03:
        return
    swell = np.sin(np.linspace(0, np.pi, last - first)) * band.widths[first:last]
    middle = band.at(0.20, first, last)
    canvas.fill(ribbon(middle, 0.20 * swell), figure.paint.hair.light)
    if shine > 0.5:
        canvas.fill(ribbon(middle[1:-1], 0.08 * swell[1:-1]), figure.paint.hair.gleam)
