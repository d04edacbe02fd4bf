"""Data sets as zip files in StyleGAN's layout: stored PNG members, written whole or not at all.

    00000/img00000000.png, 00000/img00000001.png, ...   at most 1000 per folder
    dataset.json                                        {"labels": null} or [[name, label], ...]
    further members                                     such as provenance.json

The same content gives the same bytes: no member carries a date.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from PIL import Image

MAX_IMAGE_BYTES = 32 * 2**20  # of one picture, unpacked
MAX_TABLE_BYTES = 512 * 2**20  # of dataset.json and its like, unpacked
MAX_RATIO = 200  # unpacked over packed size of a member
MAX_MEMBERS = 5_000_000
_DATE = (1980, 1, 1, 0, 0, 0)


class DatasetError(ValueError):
    """A data set cannot be read or written. `code` is the error code, `str(e)` the sentence."""

    def __init__(self, code: str, subject: str, what: str, remedy: str) -> None:
        super().__init__(f"{subject}: {what}. {remedy}.")
        self.code = code


class PictureError(DatasetError):
    """One picture cannot be used for what it holds, which reading it again would not change."""


def encode_png(image: Image.Image) -> bytes:
    """Compress a picture at level 1: five times faster than level 6 and a tenth larger."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def member_name(index: int) -> str:
    """Give the name of picture `index` inside the zip."""
    return f"{index // 1000:05d}/img{index:08d}.png"


def write_archive(
    path: Path,
    pictures: Iterable[bytes],
    *,
    labels: Sequence[object] | None = None,
    tables: Mapping[str, Iterable[str]] | None = None,
) -> int:
    """Write PNG bytes in order as one zip and return how many there were.

    `labels` holds one JSON value per picture; `tables` further text members as pieces of text,
    read after the last picture. The file appears complete or, after an error or Ctrl-C, not at all.

    Raises:
        DatasetError: E-OUT-EXISTS if the file exists.
        OSError: if it cannot be written.
    """
    if os.path.lexists(path):
        remedy = "Choose another name or remove it"
        raise DatasetError("E-OUT-EXISTS", str(path), "exists already", remedy)
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = path.with_name(f".{path.name[:64]}.tmp-{os.getpid()}")
    try:
        with staging.open("wb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                count = _write_members(archive, pictures, labels, tables or {})
            file.flush()
            os.fsync(file.fileno())
        staging.replace(path)
    except BaseException:
        staging.unlink(missing_ok=True)
        raise
    return count


def _write_members(
    archive: zipfile.ZipFile,
    pictures: Iterable[bytes],
    labels: Sequence[object] | None,
    tables: Mapping[str, Iterable[str]],
) -> int:
    count = 0
    for png in pictures:
        _add(archive, member_name(count), png)
        count += 1
    named = None
    if labels is not None:
        named = [[member_name(i), label] for i, label in enumerate(labels)]
    _add(archive, "dataset.json", json.dumps({"labels": named}).encode())
    for name, pieces in tables.items():
        _add(archive, name, "".join(pieces).encode())
    return count


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    info = zipfile.ZipInfo(name, date_time=_DATE)
    info.create_system = 3  # the same byte on every system
    info.external_attr = 0o644 << 16
    archive.writestr(info, data)


def checked_members(archive: zipfile.ZipFile, subject: str) -> list[zipfile.ZipInfo]:
    """List the members of an opened zip, in the order of their names, once none is dangerous.

    Nothing is ever extracted; names are judged all the same, for whoever does.

    Raises:
        DatasetError: E-DATA-NAME, E-DATA-SIZE, E-DATA-OVERLAP or E-DATA-COUNT.
    """
    members = [info for info in archive.infolist() if not info.is_dir()]
    if len(members) > MAX_MEMBERS:
        what = f"it has {len(members)} members; at most {MAX_MEMBERS} are allowed"
        raise DatasetError("E-DATA-COUNT", subject, what, "Split it")
    for info in members:
        _check_member(info, subject)
    _check_overlap(members, subject)
    return sorted(members, key=lambda info: info.filename)


def _check_member(info: zipfile.ZipInfo, subject: str) -> None:
    # zipfile cuts a name at NUL and turns backslashes; orig_filename is what the file says
    name = info.orig_filename
    parts = name.split("/")
    if ".." in parts or name.startswith("/") or "\\" in name or "\0" in name or ":" in parts[0]:
        what = f"the member {name!a} would leave its folder when unpacked"
        raise DatasetError("E-DATA-NAME", subject, what, "Do not trust this file")
    is_table = name.endswith((".json", ".jsonl"))
    limit = MAX_TABLE_BYTES if is_table else MAX_IMAGE_BYTES
    if info.file_size > limit or info.file_size > MAX_RATIO * max(info.compress_size, 1):
        what = f"the member {name!a} unpacks to {info.file_size} bytes"
        remedy = f"Keep each picture below {MAX_IMAGE_BYTES >> 20} MB"
        raise DatasetError("E-DATA-SIZE", subject, what, remedy)


def _check_overlap(members: Sequence[zipfile.ZipInfo], subject: str) -> None:
    end, previous = 0, ""
    for info in sorted(members, key=lambda info: info.header_offset):
        if info.header_offset < end:
            what = f"the members {previous!a} and {info.filename!a} share bytes"
            raise DatasetError("E-DATA-OVERLAP", subject, what, "Do not trust this file")
        end, previous = info.header_offset + 30 + info.compress_size, info.filename
