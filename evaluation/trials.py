"""All methods on the same faces, and the files that tell of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from data.image_io import save_png
from evaluation.cases import Case
from evaluation.methods import Method
from evaluation.scores import Judges
from evaluation.tables import SHOWN, as_csv, figure, grid, markdown, per_face
from evaluation.trial import Result, row_of, trial

IN_FIGURE = 8  # faces


class Cases(Protocol):
    """Faces to go through as often as there are methods."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Case]: ...


OnRow = Callable[[dict[str, Any]], object]  # called with each method's row
OnCase = Callable[[], object]  # and after each face


def examine(
    folder: Path,
    methods: Sequence[Method],
    cases: Cases,
    judges: Judges,
    on_row: OnRow,
    on_case: OnCase,
) -> None:
    """Write `per_image.csv`, `summary.json` and `grid-METHOD.png` of each method into a folder."""
    rows, faces = [], []
    for method in methods:
        results = [_light(result, SHOWN) for result in trial(method, cases, judges, on_case)]
        rows.append(row_of(method, results))
        faces += per_face(method.name, results)
        save_png(folder / f"grid-{method.name}.png", grid(results))
        on_row(rows[-1])
    (folder / "per_image.csv").write_text(as_csv(faces))
    (folder / "summary.json").write_text(json.dumps(rows, indent=1) + "\n")


def compare(
    path: Path,
    methods: Sequence[Method],
    cases: Cases,
    judges: Judges,
    facts: dict[str, Any],
    on_row: OnRow,
    on_case: OnCase,
) -> str:
    """Return the table; write the rows as JSON, and beside them the table and the figure.

    Everything is written after each method: what is done is not lost.

    Args:
        path: of the JSON, a list of rows; the others have its name and .md, .png.
        methods: the rows of the table.
        cases: the faces.
        judges: further opinions.
        facts: what all rows have in common.
        on_row: called with each row.
        on_case: called after each face.
    """
    rows: list[dict[str, Any]] = []
    shown: dict[str, list[Result]] = {}
    for method in methods:
        results = list(_for_figure(trial(method, cases, judges, on_case)))
        rows.append({**row_of(method, results), "run": facts})
        shown[method.name] = results[:IN_FIGURE]
        path.write_text(json.dumps(rows, indent=1) + "\n")
        path.with_suffix(".md").write_text(markdown(rows))
        save_png(path.with_suffix(".png"), figure(shown, IN_FIGURE))
        on_row(rows[-1])
    return markdown(rows)


def _for_figure(results: Iterator[Result]) -> Iterator[Result]:
    for index, result in enumerate(results):
        yield _light(result, 2 if index < IN_FIGURE else 0)


def _light(result: Result, num: int) -> Result:
    """Keep some candidates' pictures: those of thousands of faces would fill the memory."""
    return replace(result, pictures=result.pictures[:num].copy())
