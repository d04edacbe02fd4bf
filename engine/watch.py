"""A process that no longer moves is ended, and leaves behind where it stood."""

import contextlib
import faulthandler
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

EXIT_CODE = 75  # can be resumed
LOOKS = 20  # at the beats within a timeout
STDERR = 2  # its number: sys.stderr may be something else
GRACE = 10.0  # seconds for the last words: the disk may be what hangs


class HangWatch:
    """Ends the process when no `beat` comes for `timeout` seconds in the block.

    The stacks of all threads go into `hang-rank<k>.txt` of the run folder and to stderr. Time in
    which the process itself was suspended does not count.

    Args:
        run: the run folder.
        timeout: in seconds; 0 watches nothing.
        rank: of this process.
        before_exit: called with the reason before the end, to write a record.
    """

    def __init__(
        self,
        run: Path,
        timeout: float,
        rank: int = 0,
        before_exit: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self.path, self.timeout, self.rank = Path(run) / f"hang-rank{rank}.txt", timeout, rank
        self.before_exit = before_exit
        self.beats = 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._watch, name="hang watch", daemon=True)

    def beat(self) -> None:
        """Show that the training moves."""
        self.beats += 1

    def __enter__(self) -> "HangWatch":
        if self.timeout:
            self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()

    def _watch(self) -> None:
        seen, looks = self.beats, 0
        while not self.ended.wait(self.timeout / LOOKS):
            looks = looks + 1 if self.beats == seen else 0
            seen = self.beats
            if looks >= LOOKS:
                self._end()

    def _end(self) -> None:
        reason = f"rank {self.rank}: no step for {self.timeout:g} s, see {self.path.name}"
        threading.Timer(GRACE, os._exit, (EXIT_CODE,)).start()
        for report in (self._dump, lambda: self.before_exit(reason)):
            with contextlib.suppress(Exception):
                report()
        os.write(STDERR, f"error[E-TRAIN-HUNG]: {reason}\n".encode())
        # others wait for this process: they notice within two looks, and a launcher ends them
        # as soon as one has gone
        time.sleep(min(2 * self.timeout / LOOKS, GRACE / 2))
        os._exit(EXIT_CODE)

    def _dump(self) -> None:
        faulthandler.dump_traceback(STDERR)
        with open(self.path, "w") as file:
            faulthandler.dump_traceback(file)
