"""Training states: a checked folder per step that appears only when complete."""

import json
import logging
import os
import pickle
import shutil
import uuid
from pathlib import Path
from typing import Any

import torch

from engine.files import file_sha256, sync

_log = logging.getLogger(__name__)
MANIFEST = "MANIFEST.json"


class StateError(ValueError):
    """A training state cannot be used; `code` says what kind of fault."""

    def __init__(self, message: str, code: str = "E-MODEL") -> None:
        super().__init__(message)
        self.code = code


def save_training_state(folder: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors and plain types) as a folder that appears only when complete.

    `state.pt` and `MANIFEST.json` (size, SHA-256) are written into a temporary folder, synced,
    and the folder renamed. A folder of that name is replaced.
    """
    folder = Path(folder)
    temporary = folder.with_name(f".tmp-{folder.name}-{uuid.uuid4().hex[:8]}")
    temporary.mkdir(parents=True)
    try:
        file = temporary / "state.pt"
        torch.save(state, file)
        entry = {"bytes": file.stat().st_size, "sha256": file_sha256(file)}
        (temporary / MANIFEST).write_text(json.dumps({"files": {"state.pt": entry}}, indent=1))
        for path in (file, temporary / MANIFEST, temporary):
            sync(path)
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(temporary, folder)
        sync(folder.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def load_training_state(folder: Path) -> dict[str, Any]:
    """Read a training state after checking its size and SHA-256.

    Raises:
        StateError: incomplete or damaged.
    """
    folder = Path(folder)
    file = folder / "state.pt"
    try:
        entry = json.loads((folder / MANIFEST).read_text())["files"]["state.pt"]
        intact = file.stat().st_size == entry["bytes"] and file_sha256(file) == entry["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"{folder}: training state is incomplete ({error}). Remove it."
        raise StateError(message) from error
    if not intact:
        message = f"{folder}: training state is damaged (its SHA-256 differs). Remove it."
        raise StateError(message)
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        message = f"{folder}: training state holds more than tensors and plain values. Remove it."
        raise StateError(message) from error


def newest_training_state(run: Path) -> dict[str, Any]:
    """Read the newest training state of a run folder that is not damaged.

    Raises:
        StateError: there is none, or all are damaged.
    """
    damage = StateError(
        f"{run}: no training state there. Give a run folder to --resume.", "E-MODEL-MISSING"
    )
    for folder in sorted(Path(run).glob("state-*"), reverse=True):
        try:
            return load_training_state(folder)
        except StateError as error:
            _log.warning("%s Trying an older one.", error)
            damage = error
    raise damage


def prune_training_states(run: Path, keep: int) -> None:
    """Remove all but the newest `keep` training states of a run."""
    for folder in sorted(Path(run).glob("state-*"))[:-keep]:
        shutil.rmtree(folder)
