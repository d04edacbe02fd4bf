"""A folder of pictures to a data set: centre crop, resize, one zip; and the check of a data set."""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from data.archive import DatasetError, encode_png, member_name, write_archive
from data.dataset import find_bad, square
from data.image_io import ImageError, LoadedImage, load_image
from data.source import open_source

logger = logging.getLogger(__name__)


def pack_folder(
    folder: Path,
    out: Path,
    *,
    size: int,
    skip_bad: bool = False,
    on_bad: Callable[[ValueError], None],
) -> int:
    """Write all pictures of a folder and its sub-folders as a zip, in the order of their names.

    Each is cropped to its central square and resized (antialiased Lanczos) to `size` pixels.
    `sources.jsonl` tells which file became which picture. `on_bad` receives the error of each file
    that cannot be read.

    Raises:
        DatasetError: E-DATA-BAD if there was a bad file and not `skip_bad`; E-DATA-EMPTY,
            -MISSING or -FOLDER for the folder; E-OUT-EXISTS.
    """
    if folder.is_file():
        what, remedy = "is a file, not a folder of pictures", "Name the folder"
        raise DatasetError("E-DATA-FOLDER", str(folder), what, remedy)
    packer = _Packer(folder, size, skip_bad, on_bad)
    provenance = json.dumps({"kind": "folder", "size": size})
    tables = {"provenance.json": [provenance], "sources.jsonl": packer.source_lines()}
    count = write_archive(out, packer.pictures(), tables=tables)
    for note, times in packer.notes.items():
        logger.info("%d of %d pictures: %s", times, count, note)
    return count


class _Packer:
    """Turns files into pictures one by one and remembers what happened to them."""

    def __init__(
        self, folder: Path, size: int, skip_bad: bool, on_bad: Callable[[ValueError], None]
    ) -> None:
        self.folder, self.names = folder, open_source(folder).names
        self.size, self.skip_bad, self.on_bad = size, skip_bad, on_bad
        self.packed: list[tuple[str, str]] = []  # relative name, SHA-256
        self.notes: Counter[str] = Counter()

    def pictures(self) -> Iterator[bytes]:
        num_bad = 0
        for name in self.names:
            try:
                image = load_image(self.folder / name)
            except ImageError as exc:
                num_bad += 1
                self.on_bad(exc)
                continue
            self._remember(name, image)
            yield encode_png(square(image.pixels, self.size))
        if num_bad == len(self.names) or (num_bad and not self.skip_bad):
            what = f"{num_bad} of {len(self.names)} pictures cannot be read"
            remedy = "Remove them or leave them out with --skip-bad"
            raise DatasetError("E-DATA-BAD", os.fspath(self.folder), what, remedy)

    def _remember(self, name: str, image: LoadedImage) -> None:
        self.packed.append((name, image.sha256))
        self.notes.update(image.notes)
        if min(image.pixels.shape[:2]) < self.size:
            self.notes["enlarged: it is smaller than --size"] += 1

    def source_lines(self) -> Iterator[str]:
        for index, (name, digest) in enumerate(self.packed):
            line = {"file": member_name(index), "source": name, "sha256": digest}
            yield json.dumps(line) + "\n"


def check_dataset(path: Path, on_bad: Callable[[ValueError], None]) -> int:
    """Read a whole data set, pass the error of each bad picture on, and return how many are good.

    Raises:
        DatasetError: E-DATA-BAD if there was a bad one, or what `open_source` says.
    """
    num_bad = 0
    for error in find_bad(path):
        num_bad += 1
        on_bad(error)
    if num_bad:
        remedy = "Make it again without them"
        raise DatasetError("E-DATA-BAD", os.fspath(path), f"{num_bad} faults found", remedy)
    return len(open_source(path).names)
