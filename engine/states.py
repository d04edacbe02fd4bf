"""Training states: a checked folder per step that appears only when complete.

A run folder holds `state-<step>/` with `state.pt` (tensors and plain values) and `MANIFEST.json`.
`LATEST` names the newest for people and scripts; nothing here relies on it.
"""

import hashlib
import logging
import os
import pickle
import re
import shutil
import uuid
from pathlib import Path
from typing import Any, BinaryIO

import torch

from engine.digest import state_digest, tensors
from engine.disk import is_full, require_room
from engine.failpoints import hit
from engine.files import atomic_file, sync
from engine.manifest import StateError, check_manifest, write_manifest

_log = logging.getLogger(__name__)
STATE, LATEST = "state.pt", "LATEST"
NAME = re.compile(r"state-(\d+)")


def state_folder(run: Path, step: int) -> Path:
    """Return where the state of a step lies."""
    return Path(run) / f"state-{step:09d}"


def step_of(folder: Path) -> int:
    """Return the step of a state's folder, -1 if its name is another."""
    match = NAME.fullmatch(folder.name)
    return int(match[1]) if match else -1


def list_states(run: Path) -> list[Path]:
    """Return the folders of a run's states, oldest first, damaged ones included."""
    return sorted((p for p in Path(run).glob("state-*") if step_of(p) >= 0), key=step_of)


def publish_state(run: Path, step: int, state: dict[str, Any], keep: int = 3) -> str:
    """Write the state of a step (tensors and plain values) and return its digest.

    Its folder appears only when complete, and is read back before older states go: the newest
    `keep` stay. Later states go too: a run that went back to this one has left them behind.
    Where the disk is full, one state less is kept to make room.

    Raises:
        StateError: a tensor is not finite (E-TRAIN-NAN), the disk is full (E-IO-FULL), or it
            cannot be written as it should (E-IO). Earlier states are as they were.
        TypeError: a value is neither a tensor nor plain.
    """
    run, folder = Path(run), state_folder(run, step)
    _require_finite(folder, state)
    digest = state_digest(state)
    if not _holds(folder, digest):
        _write_or_make_room(folder, state, digest, keep)
    _point_to(folder)
    forget_later_states(run, step)
    _prune(run, keep, folder)
    return digest


def forget_later_states(run: Path, step: int) -> None:
    """Remove the states after `step`, from which the run has gone back."""
    for later in list_states(run):
        if step_of(later) > step:
            _remove(later)


def _require_finite(folder: Path, state: dict[str, Any]) -> None:
    for name, value in tensors(state):
        if not value.isfinite().all():
            message = f"{folder}: not written, {name} holds values that are not finite. "
            raise StateError(message + "Train on from an earlier state.", "E-TRAIN-NAN")


def _holds(folder: Path, digest: str) -> bool:
    try:
        return check_manifest(folder)["state_digest"] == digest
    except StateError:
        return False


def _write_or_make_room(folder: Path, state: dict[str, Any], digest: str, keep: int) -> None:
    try:
        try:
            _write(folder, state, digest)
        except OSError as error:
            if not is_full(error):
                raise
            _prune(folder.parent, max(keep - 1, 1), _newest_whole(folder.parent))
            _write(folder, state, digest)
        _read_back(folder)
    except OSError as error:
        message = f"{folder}: not written ({error.strerror or error}). "
        if is_full(error):
            raise StateError(message + "Free some space and resume.", "E-IO-FULL") from error
        raise StateError(message + "Check the disk and resume.", "E-IO") from error


def _write(folder: Path, state: dict[str, Any], digest: str) -> None:
    temporary = folder.with_name(f".tmp-{folder.name}-{uuid.uuid4().hex[:8]}")
    require_room(folder.parent, sum(value.nbytes for _, value in tensors(state)))
    try:
        hit("ckpt.before_write")
        temporary.mkdir()
        files = {STATE: _write_tensors(temporary / STATE, state)}
        hit("ckpt.before_manifest")
        facts = {"torch": torch.__version__, "step": step_of(folder), "state_digest": digest}
        write_manifest(temporary, files, **facts)
        sync(temporary)
        hit("ckpt.before_rename")
        if folder.exists():  # damaged, or of another course of the run
            _remove(folder)
        os.rename(temporary, folder)
        hit("ckpt.after_rename")
        sync(folder.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


class _Tally:
    """A file that counts and hashes what it is given to write, not what the disk makes of it."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.size, self.digest, self.parts = file, 0, hashlib.sha256(), 0

    def write(self, part: bytes) -> int:
        self.parts += 1
        fault = hit("ckpt.mid_write") if self.parts == 2 else None
        self.file.write(part[1:] if fault == "shortwrite" else part)
        self.digest.update(part)
        self.size += len(part)
        return len(part)

    def flush(self) -> None:
        self.file.flush()


def _write_tensors(path: Path, state: dict[str, Any]) -> dict[str, Any]:
    """Write `state.pt` and return its entry in the manifest."""
    with open(path, "wb") as file:
        tally = _Tally(file)
        try:
            torch.save(state, tally)  # type: ignore[arg-type]  # write and flush are enough
        except RuntimeError as error:  # torch closes its archive, fails once more and hides why
            raise error.__context__ or error from None
        file.flush()
        hit("ckpt.before_fsync")
        os.fsync(file.fileno())
    return {"bytes": tally.size, "sha256": tally.digest.hexdigest()}


def _read_back(folder: Path) -> None:
    try:
        check_manifest(folder)
    except StateError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise OSError(f"what was written did not arrive: {error}") from error


def _point_to(folder: Path) -> None:
    try:
        hit("ckpt.before_latest")
        with atomic_file(folder.parent / LATEST) as temporary:
            temporary.write_text(folder.name + "\n")
    except OSError as error:
        _log.warning("%s: not renewed (%s)", folder.parent / LATEST, error.strerror)


def _prune(run: Path, keep: int, whole: Path | None) -> None:
    """Remove all but the newest `keep` states and the one that is known to be whole."""
    for folder in list_states(run)[:-keep]:
        if folder != whole:
            _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a state; a kill or a busy file on the way leaves a leftover and no damaged state."""
    gone = folder.rename(folder.with_name(f".tmp-{folder.name}-{uuid.uuid4().hex[:8]}"))
    hit("ckpt.mid_prune")
    shutil.rmtree(gone, ignore_errors=True)


def remove_leftovers(run: Path) -> None:
    """Remove what killed processes left half written in a run folder whose lock is held."""
    for path in [*Path(run).glob(".tmp-*"), *Path(run).glob(".*.tmp-*")]:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def resolve_state(where: Path) -> Path:
    """Return the folder of the state that `where` means: itself, or a run's newest that is whole.

    Where newer states of the run are damaged, a warning names them and the one that is taken.

    Raises:
        StateError: there is none (E-MODEL-MISSING), all are damaged (E-MODEL), or it was written
            by a newer version (E-VERSION).
    """
    where = Path(where)
    if step_of(where) >= 0:
        check_manifest(where)
        return where
    found = _newest_whole(where)
    if found is not None:
        return found
    states = list_states(where)
    if states:
        check_manifest(states[-1])
    message = f"{where}: no training state there. Give a run folder to --resume."
    raise StateError(message, "E-MODEL-MISSING")


def _newest_whole(run: Path) -> Path | None:
    damage: list[StateError] = []
    for folder in reversed(list_states(run)):
        try:
            check_manifest(folder)
        except StateError as error:
            if error.code == "E-VERSION":
                raise
            damage.append(error)
        else:
            for fault in damage:
                _log.warning("%s Taking %s instead.", fault, folder)
            return folder
    return None


def load_state(folder: Path) -> dict[str, Any]:
    """Read a training state, checked, its tensors on the CPU.

    Raises:
        StateError: as `check_manifest`, or it holds more than tensors and plain values.
    """
    check_manifest(Path(folder))
    try:
        return torch.load(Path(folder) / STATE, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        message = f"{folder}: training state holds more than tensors and plain values. Remove it."
        raise StateError(message) from error
