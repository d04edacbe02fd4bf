"""A candidate of an earlier call, named as `result.json:3`."""

from __future__ import annotations

import json
from pathlib import Path


class EarlierError(ValueError):
    """No such candidate, or no such call."""

    def __init__(self, message: str, code: str = "E-DATA-RESULT") -> None:
        super().__init__(message)
        self.code = code


def candidate_of(name: str) -> Path:
    """Return the picture of the candidate `PATH:NUMBER`, PATH a `result.json` or its folder.

    Raises:
        EarlierError: the record cannot be read, or has no such candidate.
    """
    text, _, number = name.rpartition(":")
    if not text or not number.isdecimal():
        what = "name a candidate as result.json:3"
        raise EarlierError(f"--like {name}: {what}.", "E-USAGE-LIKE")
    record = Path(text) / "result.json" if Path(text).is_dir() else Path(text)
    files = _files(record)
    if int(number) >= len(files):
        what = f"it has candidates 0 to {len(files) - 1}, not {number}"
        raise EarlierError(f"{record}: {what}. Name one of those.", "E-USAGE-LIKE")
    return record.parent / files[int(number)]


def _files(record: Path) -> list[str]:
    """Return the file names of a record's candidates, none of which leaves its folder."""
    try:
        rows = json.loads(record.read_bytes())["candidates"]
        files = [row["file"] for row in rows]
        if not files or any(Path(file).name != file for file in files):
            raise ValueError("candidates without files of their own")
    except FileNotFoundError:
        raise EarlierError(f"{record}: no such file. Check the path.", "E-IO-MISSING") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        kind = type(error).__name__
        what = f"not a result.json of invert.py ({kind}: {error})"
        raise EarlierError(f"{record}: {what}. Name that of an earlier call.") from error
    return files
