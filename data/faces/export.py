"""Draw many faces with several processes and write them as a data set."""

from __future__ import annotations

import json
import multiprocessing
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import PIL

from data.archive import encode_png, member_name, write_archive
from data.faces.describe import describe
from data.faces.draw import draw

_CHUNK = 32  # faces per task: about half a second of work


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
    return write_archive(path, _drawn(seed, count, size, workers), tables=tables)


def _description_lines(seed: int, count: int) -> Iterator[str]:
    for index in range(count):
        line = {"file": member_name(index)} | describe(seed, index).as_dict()
        yield json.dumps(line, separators=(",", ":")) + "\n"


def _drawn(seed: int, count: int, size: int, workers: int) -> Iterator[bytes]:
    tasks = [(seed, start, min(start + _CHUNK, count), size) for start in range(0, count, _CHUNK)]
    if workers == 1:
        for task in tasks:
            yield from _draw_chunk(task)
        return
    context = multiprocessing.get_context("spawn")  # fork is unsafe once a library runs threads
    pool = ProcessPoolExecutor(workers, context, initializer=_leave_interrupts_to_parent)
    try:
        for pictures in pool.map(_draw_chunk, tasks):
            yield from pictures
    finally:
        pool.shutdown(cancel_futures=True)


def _leave_interrupts_to_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _draw_chunk(task: tuple[int, int, int, int]) -> list[bytes]:
    seed, start, stop, size = task
    return [encode_png(draw(describe(seed, index), size)) for index in range(start, stop)]
