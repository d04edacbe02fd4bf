"""The pictures of a folder, and where the answers to each of them go."""

from __future__ import annotations

import itertools
import re
from pathlib import Path


class FolderError(ValueError):
    """A folder without anything to colour."""

    def __init__(self, message: str, code: str = "E-DATA-EMPTY") -> None:
        super().__init__(message)
        self.code = code


def pictures_in(folder: Path) -> dict[Path, str]:
    """Return the files of a folder, by name, each with a name of its own for its answers.

    Hidden files and folders are passed over; whether the rest are pictures shows when they are
    read. A name that another picture has becomes `name-2`.

    Raises:
        FolderError: there is no such folder, or no file in it.
    """
    if not folder.is_dir():
        raise FolderError(f"{folder}: no such folder. Check the path.", "E-DATA-MISSING")
    files = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    if not files:
        raise FolderError(f"{folder}: holds no files. Put pictures there.")
    names: dict[Path, str] = {}
    for path in files:
        stem = re.sub(r"[^\w.+ -]", "_", path.stem)[:64].lstrip(".") or "image"
        choices = itertools.chain([stem], (f"{stem}-{k}" for k in itertools.count(2)))
        names[path] = next(name for name in choices if name not in names.values())
    return names
