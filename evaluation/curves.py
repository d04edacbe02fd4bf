"""Curves of a training: one panel for each kind of number in its statistics."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d, median_filter

from data.image_io import save_png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Rows = list[dict[str, float]]
COLUMNS, PANEL_INCHES, DPI = 3, (4.4, 2.7), 100
SMOOTHING = 0.01  # of the curve's length
MANY = 60  # points above which a curve is also drawn smoothed
AXES = ("kimg", "step")  # what the horizontal axis may be, in order of preference


class Panel(NamedTuple):
    """Which numbers are drawn together."""

    title: str
    keys: str  # a regular expression that the whole of a key matches
    scale: str = "linear"
    level: float | None = None  # where a dotted line is drawn
    is_metric: bool = False  # measured now and then, the lowest is the best


PANELS = (
    Panel("loss", "[gd]_loss"),
    Panel("mean sign of D: 1 overfits, 0 sees nothing", "(real|fake)_sign", level=0),
    Panel("R1 penalty", "r1", "log"),
    Panel("gradient norm", ".*grad.*", "log"),
    Panel("augmentation probability p", "p|.*_p", level=0),
    Panel("learning rate, of its full value", "lr", level=0),
    Panel("learning rate", ".+_lr", "log"),
    Panel("images per second", "images_per_sec", level=0),
    Panel("left out so far", "skipped_steps|bad_images", level=0),
    Panel("memory, GB", ".*_mem_gb", level=0),
)
METRIC = "(fd|fid|kid).*"  # a panel for each
WHOSE = {"g": "generator", "d": "discriminator", "real": "real", "fake": "fake"}


def draw_curves(stats: Rows, path: Path, metrics: Sequence[Rows] = ()) -> None:
    """Draw the statistics of a training as one PNG; nothing where there are none yet.

    Args:
        stats: rows in the order they were written, each with `kimg` or `step`. A row that goes
            back, as after a resume, takes the place of those from there on. Keys that no panel
            knows get one of their own; what is not a finite number is left out.
        path: the file, replaced when the new one is complete.
        metrics: for each metric, rows in the same manner; only its values are taken.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    first = next(itertools.chain(stats, *metrics), {})
    across = next((name for name in AXES if name in first), AXES[0])
    rows = joined(stats, metrics, across)
    panels = panels_of(rows)
    if not panels:
        return
    height = -(-len(panels) // COLUMNS)
    size = (COLUMNS * PANEL_INCHES[0], height * PANEL_INCHES[1])
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    cells = figure.subplots(height, COLUMNS, squeeze=False).flat
    for panel, axes in zip(panels, cells, strict=False):
        draw_panel(axes, panel, rows, across)
    for axes in list(figure.axes)[len(panels) :]:
        axes.set_axis_off()
    canvas.draw()
    save_png(path, np.asarray(canvas.buffer_rgba())[:, :, :3])


def without_superseded(stats: Rows, across: str) -> Rows:
    """Return the rows of the run as it is now: of what was done twice, the last."""
    rows: Rows = []
    for row in stats:
        while rows and rows[-1][across] >= row[across]:
            rows.pop()
        rows.append(row)
    return rows


def joined(stats: Rows, metrics: Sequence[Rows], across: str) -> Rows:
    """Return one row for each place on the axis, in order: statistics, and metrics taken there."""
    rows = {row[across]: dict(row) for row in without_superseded(stats, across)}
    for table in metrics:
        for row in without_superseded(table, across):
            values = {key: value for key, value in row.items() if re.fullmatch(METRIC, key)}
            rows.setdefault(row[across], {across: row[across]}).update(values)
    return [rows[place] for place in sorted(rows)]


def is_number(value: object) -> bool:
    """Return whether something can be drawn: a finite number."""
    return isinstance(value, int | float) and bool(np.isfinite(value))


def panels_of(rows: Rows) -> list[Panel]:
    """Return the panels that have something to show: metrics, what PANELS names, the rest."""
    keys = {key: None for row in rows for key, value in row.items() if is_number(value)}
    names = [key for key in keys if key not in AXES]
    metrics = [name for name in names if re.fullmatch(METRIC, name)]
    known = [p for p in PANELS if any(re.fullmatch(p.keys, name) for name in names)]
    claimed = "|".join([METRIC, *(p.keys for p in PANELS)])
    rest = [name for name in names if not re.fullmatch(claimed, name)]
    first = [
        Panel(name, re.escape(name), "linear" if name.startswith("kid") else "log", is_metric=True)
        for name in metrics  # a kernel distance, unbiased, may be negative
    ]
    return [*first, *known, *(Panel(name, re.escape(name)) for name in rest)]


def draw_panel(axes: Axes, panel: Panel, rows: Rows, across: str) -> None:
    """Draw every key of one panel, with its last value in the legend."""
    keys = list({key: None for row in rows for key in row if re.fullmatch(panel.keys, key)})
    for index, key in enumerate(keys):
        points = [(row[across], row[key]) for row in rows if is_number(row.get(key))]
        if panel.scale == "log":
            points = [(x, y) for x, y in points if y > 0]
        if points:
            x, y = np.array(points, float).T
            name = WHOSE.get(key.split("_")[0], key) if len(keys) > 1 else "last"
            draw = draw_metric if panel.is_metric else draw_curve
            draw(axes, x, y, f"{name}  {y[-1]:.4g}", f"C{index}")
    if panel.level is not None:
        axes.axhline(panel.level, color="0.4", linewidth=0.8, linestyle=":")
    axes.set_title(panel.title, fontsize="medium", loc="left")
    axes.set(xlabel=across)
    axes.grid(alpha=0.25)
    axes.tick_params(labelsize="small")
    if panel.scale == "log":
        scale_by_ratios(axes)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize="small", edgecolor="none", framealpha=0.8)


def scale_by_ratios(axes: Axes) -> None:
    """Make the vertical axis logarithmic, with ticks such as 0.02, 0.05, 0.1."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=9))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def draw_curve(axes: Axes, x: np.ndarray, y: np.ndarray, label: str, color: str) -> None:
    """Draw a curve; one of many points pale, and on top of it what it does without its spikes."""
    from matplotlib.lines import Line2D

    if len(y) <= MANY:
        axes.plot(x, y, color=color, label=label, marker=".")
        return
    width = SMOOTHING * len(y)
    smooth = gaussian_filter1d(median_filter(y, 2 * round(width) + 1, mode="nearest"), width / 2)
    axes.plot(x, smooth, color=color, label=label)
    # as an artist it has no say in the axis: a spike may leave the panel
    axes.add_artist(Line2D(x, y, color=color, alpha=0.25, linewidth=0.7, zorder=1.9))
    low, high = np.quantile(y, (0.02, 0.98))
    reach = (high - low) / 3
    axes.update_datalim([(x[0], max(low - reach, y.min())), (x[0], min(high + reach, y.max()))])


def draw_metric(axes: Axes, x: np.ndarray, y: np.ndarray, label: str, color: str) -> None:
    """Draw single measurements, the best of them marked."""
    best = y.argmin()
    axes.plot(x, y, color=color, marker=".", label=label)
    axes.plot(x[best], y[best], "*", color="C3", markersize=11, label=f"best  {y[best]:.4g}")
