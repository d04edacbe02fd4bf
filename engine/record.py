"""RUN.json: how a run stands, for the people and programs that look after it.

torchrun ends with 1 whether a run was stopped, failed or was restarted too often: this file is
where to look.
"""

import contextlib
import datetime
import json
import logging
import os
import socket
from pathlib import Path
from typing import Any

from engine.disk import is_full
from engine.files import atomic_file

_log = logging.getLogger(__name__)
RECORD = "RUN.json"


def launch() -> str | None:
    """Return what the processes that one torchrun starts have in common, None without torchrun."""
    name = os.environ.get("TORCHELASTIC_RUN_ID")
    return f"{socket.gethostname()}:{os.getppid()}" if name == "none" else name  # its default


class RunRecord:
    """Writes RUN.json: status, step, last_good, reason; rank, pid and host that say so; launch
    (torchrun's id), started, versions.

    Args:
        run: the run folder.
        rank: of this process; the first writes the course of the run, any its own failure.
        versions: of the packages that decide the numbers.

    Attributes:
        last_good: step of the newest state that can be resumed from, None before the first.
    """

    def __init__(self, run: Path, rank: int = 0, versions: dict[str, str] | None = None) -> None:
        self.path = Path(run) / RECORD
        self.last_good: int | None = None
        self.facts = {
            "rank": rank,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "launch": launch(),
            "started": datetime.datetime.now(datetime.timezone.utc).isoformat("T", "seconds"),
            "versions": versions or {},
        }

    def start(self, step: int, last_good: int | None = None) -> None:
        """Say that the run goes on from `step`, whatever became of it before."""
        self.last_good = last_good
        self._write("running", step, "")

    def update(self, status: str, step: int, reason: str = "") -> None:
        """Write how the run stands: 'running', 'preempted', 'failed' or 'done'.

        The first failure stays, for others follow from it.
        """
        if read_record(self.path.parent).get("status") != "failed":
            self._write(status, step, reason)

    def _write(self, status: str, step: int, reason: str) -> None:
        """Replace the file. The run does not end for want of it."""
        course = {"status": status, "step": step, "last_good": self.last_good, "reason": reason}
        text = json.dumps({**course, **self.facts}, indent=1) + "\n"
        try:
            with atomic_file(self.path) as temporary:
                temporary.write_text(text)
        except OSError as error:
            if is_full(error):
                self._overwrite(text)
            else:
                _log.warning("%s: not renewed (%s)", self.path, error.strerror)

    def _overwrite(self, text: str) -> None:
        """Write into the blocks that the file has: the disk has no others."""
        with contextlib.suppress(OSError), open(self.path, "r+") as file:
            file.write(text)
            file.truncate()


def read_record(run: Path) -> dict[str, Any]:
    """Return what RUN.json says, nothing if there is none or it is damaged."""
    try:
        found = json.loads((Path(run) / RECORD).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
