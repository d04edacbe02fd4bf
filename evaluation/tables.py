"""The results of methods as a table to read, rows to compute with, pictures to look at."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from evaluation.report import labelled_sheet
from evaluation.scores import RANKED, summary
from evaluation.trial import Result


class Column(NamedTuple):
    """How a column of the table is shown."""

    key: str
    title: str
    digits: int
    better: int  # 1: the largest is best, -1: the smallest, 0: neither


TABLE = (
    Column("failed", "failed", 0, -1),
    Column("residual_rms_255", "residual", 2, -1),
    Column("within_1", "within 1", 3, 1),
    Column("psnr_best", "PSNR best", 2, 1),
    Column("psnr_mean", "PSNR", 2, 1),
    Column("ssim_best", "SSIM best", 3, 1),
    Column("ssim_mean", "SSIM", 3, 1),
    Column("lpips_best", "LPIPS best", 3, -1),
    Column("lpips_mean", "LPIPS", 3, -1),
    Column("l1_best", "L1 best", 2, -1),
    Column("l1_mean", "L1", 2, -1),
    Column("l2_best", "L2 best", 1, -1),
    Column("l2_mean", "L2", 1, -1),
    Column("de2000_best", "dE best", 2, -1),
    Column("de2000_mean", "dE", 2, -1),
    Column("de2000_energy", "dE energy", 2, -1),
    Column("pairwise_de2000", "spread", 2, 0),
    Column("rank_a_p", "p of a*", 3, 0),
    Column("rank_b_p", "p of b*", 3, 0),
    Column("attr_distance", "attributes", 2, -1),
    Column("attribute_agreement", "agreement", 3, 1),
    Column("seconds", "seconds", 2, -1),
    Column("peak_memory_mb", "MB", 0, -1),
)
LEGEND = (
    "residual: root mean square of what the small grey picture of a candidate differs by from the "
    "input, in levels of 255, median; within 1: share of its pixels that are right to a level. "
    "best: of a face's candidates, else the mean of all; L1, L2: absolute and squared difference "
    "per pixel and channel in levels; dE: CIEDE2000; energy: dE less half of the spread, which "
    "rewards being right and being honest about it; spread: dE between candidates of a face; p: of "
    "the ranks of the truth among the candidates being uniform, small where colours are not "
    "calibrated; attributes, agreement: distance of the reader's features to the truth's, and fit "
    "with what the input shows. A failed face is judged as a grey picture."
)
PUBLISHED = (
    "Published by the ConvNet-and-GAN paper, L1/L2: grey 16.25/747.29 (GAN), 19.19/1219.73 "
    "(ConvNet); edges 39.09/3046.84 (GAN), 50.68/4720.35 (ConvNet). The units are the same, the "
    "task is not: those are whole film frames of 180x320, coloured from grey or edges of full "
    "size, not faces from a small picture; the order of the presets can be compared, the numbers "
    "cannot."
)
GROUP = 8  # cases of each kind in a grid
SHOWN = 8  # candidates of a case there


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows as a table with the best of each column in bold, and what it all means."""
    columns = [c for c in TABLE if any(c.key in row for row in rows)]
    lines = [["method", "sees", "candidates", *(c.title for c in columns)]]
    lines.append(["---", "---", *["---:"] * (len(columns) + 1)])
    best = {c.key: _best(c, rows) for c in columns}
    for row in rows:
        cells = [_cell(c, row, best[c.key]) for c in columns]
        lines.append([str(row["method"]), str(row["sees"]), str(row["candidates"]), *cells])
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"{table}\n\n{LEGEND}\n\n{PUBLISHED}\n"


def _best(column: Column, rows: Sequence[dict[str, Any]]) -> float | None:
    found = [row[column.key] for row in rows if not math.isnan(row.get(column.key, math.nan))]
    if not column.better or not found:
        return None
    return max(found) if column.better > 0 else min(found)


def _cell(column: Column, row: dict[str, Any], best: float | None) -> str:
    value = row.get(column.key, math.nan)
    if math.isnan(value):
        return ""
    text = f"{value:.{column.digits}f}"
    return f"**{text}**" if value == best else text


def per_face(method: str, results: Sequence[Result]) -> list[dict[str, Any]]:
    """Return one row for each face: its name, its columns, and its ranks."""
    return [
        {
            "method": method,
            "face": result.name,
            **summary([result.scores]),
            **{name: result.scores[name][0] for name in RANKED},
            "error": result.error,
        }
        for result in results
    ]


def as_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Return rows as CSV; the columns are those of all of them, in order."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def grid(results: Sequence[Result], key: str = "de2000") -> np.ndarray:
    """Return a sheet of the 8 best, median and worst faces by their mean score, fewer of few."""
    order = sorted(results, key=lambda result: float(np.mean(result.scores[key])))
    num = max(min(GROUP, len(order) // 3), 1)
    middle = (len(order) - num) // 2
    groups = {"best": order[:num], "median": order[middle : middle + num], "worst": order[-num:]}
    rows, names = [], []
    for kind, members in groups.items():
        for result in members:
            rows.append([result.y, result.x, *result.pictures[:SHOWN]])
            value = float(np.mean(result.scores[key]))
            names.append(f"{kind}\n{_short(result.name)}\n{key} {value:.1f}")
    most = max(len(row) for row in rows) - 2
    return labelled_sheet(rows, names, ["input", "truth", *map(str, range(most))])


def figure(table: Mapping[str, Sequence[Result]], faces: int = 8) -> np.ndarray:
    """Return a sheet of a few faces by all methods, two candidates of those that have several."""
    first = next(iter(table.values()))[:faces]
    titles = ["input", "truth"]
    rows = [[result.y, result.x] for result in first]
    for method, results in table.items():
        num = min(max(len(result.pictures) for result in results), 2)
        titles += [method, *[""] * (num - 1)]
        for row, result in zip(rows, results, strict=False):
            row += [*result.pictures, result.pictures[-1]][:num]
    return labelled_sheet(rows, [_short(result.name) for result in first], titles)


def _short(name: str) -> str:
    return name.rsplit("/", 1)[-1][-16:]
