"""One training per run folder: a lock that the system drops when its process ends, however."""

import contextlib
import errno
import fcntl
import itertools
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

LOCK, BEATING = ".lock", ".lock-beating"
PATIENCE = 2.0  # seconds that a lock may outlive a process that was just killed
HEARTBEAT, MOST_SILENT = 5.0, 6  # seconds between signs of life where the system keeps no locks
NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL)

_held: set[int] = set()


class LockError(OSError):
    """A training cannot have a run folder for itself; `str(e)` is the whole sentence."""

    def __init__(self, message: str, code: str = "E-OUT-LOCKED") -> None:
        super().__init__(message)
        self.code = code


@contextlib.contextmanager
def run_lock(run: Path) -> Iterator[None]:
    """Keep other trainings out of a run folder for the length of the block.

    Raises:
        LockError: another one is in it and the message names it (E-OUT-LOCKED), or nothing can be
            written there (E-OUT-CREATE).
    """
    run = Path(run)
    try:
        lock = _flock(run / LOCK)
    except LockError:
        raise
    except OSError as error:
        if error.errno not in NO_LOCKS:
            what = f"{run}: cannot be written ({error.strerror}). Choose another folder."
            raise LockError(what, "E-OUT-CREATE") from error
        (run / LOCK).unlink(missing_ok=True)
        lock = _beating(run / BEATING)
    with lock:
        yield


def _holder() -> dict[str, object]:
    return {"pid": os.getpid(), "host": socket.gethostname()}


def _refusal(path: Path) -> LockError:
    holder = _read(path)
    who = f"process {holder.get('pid', '?')} on {holder.get('host', '?')}"
    return LockError(f"{path.parent}: {who} trains in it. Wait until it ends, or stop it.")


def _read(path: Path) -> dict[str, object]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _flock(path: Path) -> contextlib.AbstractContextManager[None]:
    deadline = time.monotonic() + PATIENCE
    while (file := _try_flock(path)) is None:
        if time.monotonic() > deadline:
            raise _refusal(path)
        time.sleep(0.1)
    os.ftruncate(file, 0)
    os.write(file, json.dumps(_holder()).encode())
    return _held_file(file, path)


def _try_flock(path: Path) -> int | None:
    """Return a descriptor of `path` that holds its lock, None if another process does."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(file), os.stat(path)):  # else the last holder removed it
            return file
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError:
        os.close(file)
        raise
    os.close(file)
    return None


@contextlib.contextmanager
def _held_file(file: int, path: Path) -> Iterator[None]:
    _held.add(file)
    try:
        yield
    finally:
        if file in _held:  # a forked child let go of it
            path.unlink(missing_ok=True)
            _held.discard(file)
            os.close(file)


def _let_go() -> None:
    while _held:
        os.close(_held.pop())


# a forked loader shares the lock and would keep it when the training is killed
os.register_at_fork(after_in_child=_let_go)


@contextlib.contextmanager
def _beating(path: Path) -> Iterator[None]:
    """Hold a file that is renewed as long as this process lives."""
    while (file := _create(path)) is None:
        if _is_alive(path):
            raise _refusal(path)
        path.unlink(missing_ok=True)
    ended = threading.Event()
    beat = threading.Thread(target=_beat, args=(file, ended), daemon=True)
    beat.start()
    try:
        yield
    finally:
        ended.set()
        beat.join()
        os.close(file)
        path.unlink(missing_ok=True)


def _create(path: Path) -> int | None:
    with contextlib.suppress(FileExistsError):
        return os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o644)
    return None


def _beat(file: int, ended: threading.Event) -> None:
    for count in itertools.count():
        with contextlib.suppress(OSError):
            os.pwrite(file, json.dumps({**_holder(), "beat": count}).encode(), 0)
            os.fsync(file)
        if ended.wait(HEARTBEAT):
            return


def _is_alive(path: Path) -> bool:
    """Watch a file for as long as its holder may keep silent. Clocks of hosts differ."""
    before = _read(path)
    is_ours = before.get("host") == socket.gethostname()
    if is_ours and not os.path.exists(f"/proc/{before.get('pid')}"):
        return False
    for _ in range(2 * MOST_SILENT):
        time.sleep(HEARTBEAT / 2)
        if _read(path) != before:
            return True
    return False
