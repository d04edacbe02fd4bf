"""What a piece of work takes: time and memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def resources() -> Iterator[dict[str, list[float]]]:
    """Measure the wall clock and the largest resident memory (Linux) inside the block."""
    used: dict[str, list[float]] = {}
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far (man 5 proc)
    began = time.monotonic()
    yield used
    used["seconds"] = [time.monotonic() - began]
    with suppress(OSError):
        status = Path("/proc/self/status").read_text()
        used["peak_memory_mb"] = [int(status.split("VmHWM:")[1].split()[0]) / 1024]
