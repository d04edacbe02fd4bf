"""The manifest of a folder: the sizes and SHA-256 of its files, sealed by a SHA-256 of its own."""

import hashlib
import json
from pathlib import Path
from typing import Any

from engine.files import file_sha256, sync

FORMAT_VERSION = 1
MANIFEST = "MANIFEST.json"


class StateError(ValueError):
    """A training state cannot be used or written; `code` says what kind of fault."""

    def __init__(self, message: str, code: str = "E-MODEL") -> None:
        super().__init__(message)
        self.code = code


def write_manifest(folder: Path, files: dict[str, Any], **facts: Any) -> None:
    """Write what `files` hold (name to `{"bytes", "sha256"}`) and other facts into `folder`."""
    body = {"format_version": FORMAT_VERSION, **facts, "files": files}
    path = folder / MANIFEST
    path.write_text(json.dumps({**body, "sha256": _seal(body)}, indent=1) + "\n")
    sync(path)


def _seal(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def check_manifest(folder: Path) -> dict[str, Any]:
    """Compare the files of a state with its manifest, and return that.

    Raises:
        StateError: missing (E-MODEL-MISSING), incomplete or damaged (E-MODEL), or of a newer
            format (E-VERSION).
    """
    if not folder.is_dir():
        raise StateError(f"{folder}: no training state there. Check the path.", "E-MODEL-MISSING")
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        if manifest.pop("sha256") != _seal(manifest):
            raise _damaged(folder, MANIFEST)
        version = manifest["format_version"]
        if version > FORMAT_VERSION:
            message = f"{folder}: format {version} is newer than {FORMAT_VERSION}. Update Irodori."
            raise StateError(message, "E-VERSION")
        for name, entry in manifest["files"].items():
            if describe_file(folder / name) != entry:
                raise _damaged(folder, name)
    except (OSError, LookupError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, StateError):
            raise
        message = f"{folder}: training state is incomplete ({error}). Remove it."
        raise StateError(message) from error
    return manifest


def describe_file(path: Path) -> dict[str, Any]:
    """Return a file's entry in the manifest."""
    return {"bytes": path.stat().st_size, "sha256": file_sha256(path)}


def _damaged(folder: Path, name: str) -> StateError:
    message = f"{folder}: training state is damaged (the SHA-256 of {name} differs). Remove it."
    return StateError(message)
