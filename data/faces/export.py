"""Draw many faces with several processes and write them as a data set."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path

import PIL

from data.archive import encode_png, member_name, write_archive
from data.faces.describe import describe
from data.faces.draw import draw
from data.processes import computed

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
    with closing(computed(_draw_chunk, tasks, workers if workers > 1 else 0)) as results:
        for pictures in results:
            yield from pictures


def _draw_chunk(task: tuple[int, int, int, int]) -> list[bytes]:
    seed, start, stop, size = task
    return [encode_png(draw(describe(seed, index), size)) for index in range(start, stop)]
