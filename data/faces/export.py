"""Draw many faces with several processes and write them as a data set."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import PIL

from data.archive import encode_png, member_name, write_archive
from data.faces.describe import describe
from data.faces.draw import draw
from data.processes import computed

_CHUNK = 8  # faces per task: what is under way is finished before an interrupt takes effect


def export_faces(
    path: Path, *, count: int, size: int, seed: int, workers: int = 1, medium: str = "colour"
) -> int:
    """Write faces 0 to `count - 1` of the set `seed` as a zip, with their descriptions.

    `faces.jsonl` holds one description per line, `provenance.json` what made the file. The bytes do
    not depend on `workers`.

    Raises:
        ValueError: if there is no such medium.
        DatasetError: E-OUT-EXISTS if the file exists.
        OSError: if it cannot be written.
    """
    tasks = _tasks(seed, count, size, medium)
    provenance = {"kind": "faces", "seed": seed, "count": count, "size": size, "medium": medium}
    versions = {"pillow": PIL.__version__}
    tables = {
        "faces.jsonl": _description_lines(seed, count),
        "provenance.json": [json.dumps(provenance | versions)],
    }
    with closing(_drawn(tasks, workers)) as pictures:  # or an exit waits for all tasks
        return write_archive(path, pictures, tables=tables)


def _description_lines(seed: int, count: int) -> Iterator[str]:
    for index in range(count):
        line = {"file": member_name(index)} | describe(seed, index).as_dict()
        yield json.dumps(line, separators=(",", ":")) + "\n"


@dataclass(frozen=True)
class _Task:
    seed: int
    indices: range
    size: int
    medium: str


def _tasks(seed: int, count: int, size: int, medium: str) -> list[_Task]:
    starts = range(0, count, _CHUNK)
    chunks = [range(start, min(start + _CHUNK, count)) for start in starts]
    return [_Task(seed, chunk, size, medium) for chunk in chunks]


def _drawn(tasks: Sequence[_Task], workers: int) -> Generator[bytes, None, None]:
    with closing(computed(_draw_chunk, tasks, workers if workers > 1 else 0)) as results:
        for pictures in results:
            yield from pictures


def _draw_chunk(task: _Task) -> list[bytes]:
    faces = [describe(task.seed, index) for index in task.indices]
    return [encode_png(draw(face, task.size, task.medium)) for face in faces]
