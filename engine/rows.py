"""Statistics of a run: files of JSON lines, each with the `step` it was measured at."""

import contextlib
import errno
import json
import logging
import os
from pathlib import Path
from typing import Any, BinaryIO

from engine.disk import is_full

_log = logging.getLogger(__name__)
Row = dict[str, Any]


def append_line(path: Path, line: str) -> None:
    """Add a line to a file, whole or not at all. A full disk costs the line, not the training."""
    try:
        with open(path, "ab", buffering=0) as file:
            _append(file, line.encode() + b"\n")
    except OSError as error:
        if not is_full(error):
            raise
        _log.warning("%s: a line is missing (%s)", path, error.strerror)


def _append(file: BinaryIO, content: bytes) -> None:
    end = file.seek(0, os.SEEK_END)
    try:
        if file.write(content) < len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError:
        with contextlib.suppress(OSError):
            file.truncate(end)
        raise


def append_row(path: Path, row: Row) -> None:
    """Add one line to a file of rows, as `append_line` does."""
    append_line(path, json.dumps(row))


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
