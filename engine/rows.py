"""Statistics of a run: files of JSON lines, each with the `step` it was measured at."""

import json
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def append_row(path: Path, row: Row) -> None:
    """Add one line to a file of rows."""
    with open(path, "a") as file:
        file.write(json.dumps(row) + "\n")


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a file, none if there is no file; a line that a kill cut off is left."""
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def forget_rows(path: Path, step: int) -> None:
    """Drop the rows after `step`: a resumed run measures them again."""
    if not path.exists():
        return
    temporary = path.with_name(f".{path.name}.tmp-rows")
    rows = [row for row in read_rows(path) if row["step"] <= step]
    temporary.write_text("".join(json.dumps(row) + "\n" for row in rows))
    temporary.replace(path)
