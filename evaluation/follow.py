"""Evaluate the snapshots of a training while it goes on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from engine.rows import append_row, read_rows
from evaluation.curves import draw_curves
from evaluation.fid import MEASURES, Judge


def snapshots(
    look: Callable[[], tuple[bool, list[Path]]], every: float, wait: Callable[[], None]
) -> Iterator[tuple[float, Path]]:
    """Yield (thousand pictures, file) of a training's generators as they appear, to its end.

    Args:
        look: whether the training has ended, and `generator-KIMG.safetensors` in order.
        every: thousand pictures between two of them, at least.
        wait: returns when it is time to look again.
    """
    last = -math.inf
    while True:
        is_over, paths = look()
        for path in paths:
            kimg = float(path.stem.split("-")[1])
            if kimg > last and kimg >= last + every:
                last = kimg
                yield kimg, path
        if is_over:
            return
        wait()


def follow(
    judge: Judge,
    file: Path,
    appearing: Iterator[tuple[float, Path]],
    row_of: Callable[[Path], dict[str, Any]],
) -> Iterator[dict[str, Any]]:
    """Yield the row of every snapshot that has none yet, by all ranks; the first keeps them.

    Args:
        judge: whose Frechet distance is the first of the curves.
        file: of the rows so far; the curves are drawn beside it after each.
        appearing: (thousand pictures, file) of the snapshots.
        row_of: evaluates one.
    """
    key = judge.extractor.key
    done = judge.ranks.once(lambda: [row["kimg"] for row in read_rows(file)])
    for kimg, path in appearing:
        if kimg in done:
            continue
        row = {"kimg": kimg, **row_of(path)}
        if judge.ranks.is_first:
            append_row(file, row)
            shown = ("kimg", key, *MEASURES)
            rows = [{name: row[name] for name in shown} for row in read_rows(file)]
            draw_curves(rows, file.with_suffix(".png"))
        yield row
