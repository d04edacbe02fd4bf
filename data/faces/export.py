"""Draw many faces with several processes and write them as a data set."""

from __future__ import annotations

import json
import multiprocessing
import signal
import threading
from collections.abc import Generator, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import PIL

from data.archive import encode_png, member_name, write_archive
from data.faces.describe import describe
from data.faces.draw import draw

_CHUNK = 8  # faces per task: what is under way is finished before an interrupt takes effect


def export_faces(path: Path, *, count: int, size: int, seed: int, workers: int = 1) -> int:
    """Write faces 0 to `count - 1` of the set `seed` as a zip, with their descriptions.

    `faces.jsonl` holds one description per line, `provenance.json` what made the file. The bytes do
    not depend on `workers`.

    Raises:
        DatasetError: E-OUT-EXISTS if the file exists.
        OSError: if it cannot be written.
    """
    provenance = {"kind": "faces", "seed": seed, "count": count, "size": size}
    versions = {"pillow": PIL.__version__}
    tables = {
        "faces.jsonl": _description_lines(seed, count),
        "provenance.json": [json.dumps(provenance | versions)],
    }
    with closing(_drawn(seed, count, size, workers)) as pictures:  # or an exit waits for all tasks
        return write_archive(path, pictures, tables=tables)


def _description_lines(seed: int, count: int) -> Iterator[str]:
    for index in range(count):
        line = {"file": member_name(index)} | describe(seed, index).as_dict()
        yield json.dumps(line, separators=(",", ":")) + "\n"


def _drawn(seed: int, count: int, size: int, workers: int) -> Generator[bytes, None, None]:
    tasks = [(seed, start, min(start + _CHUNK, count), size) for start in range(0, count, _CHUNK)]
    if workers == 1:
        for task in tasks:
            yield from _draw_chunk(task)
        return
    context = multiprocessing.get_context("spawn")  # fork is unsafe once a library runs threads
    pool = ProcessPoolExecutor(workers, context)
    try:
        with _interrupts_held():
            results = pool.map(_draw_chunk, tasks)  # starts the processes
        for pictures in results:
            yield from pictures
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Deliver Ctrl-C after the block; processes started in it never see one, the parent decides."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Ctrl-C never arrives here
        return
    caught: list[int] = []
    # The mask is for the new processes, which inherit it. It does not do for this one, since
    # the system may hand the signal to any other thread, such as those of a numerical library.
    handler = signal.signal(signal.SIGINT, lambda number, frame: caught.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, handler)
        if caught:
            signal.raise_signal(signal.SIGINT)


def _draw_chunk(task: tuple[int, int, int, int]) -> list[bytes]:
    seed, start, stop, size = task
    return [encode_png(draw(describe(seed, index), size)) for index in range(start, stop)]
