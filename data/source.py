"""Where the pictures of a data set lie: the members of a zip, or the files of a folder."""

from __future__ import annotations

import os
import zipfile
import zlib
from pathlib import Path
from typing import Protocol

from data.archive import (
    MAX_IMAGE_BYTES,
    MAX_TABLE_BYTES,
    DatasetError,
    PictureError,
    checked_members,
)

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif")
_TABLE = "dataset.json"


class Source(Protocol):
    """Named pieces of bytes in a fixed order."""

    path: Path
    names: list[str]  # of the pictures, sorted

    def read(self, name: str) -> bytes:
        """Read one picture or table."""

    def fingerprint(self, name: str) -> tuple[int, int]:
        """Give size in bytes and CRC-32 of a picture."""

    def read_table(self) -> bytes | None:
        """Read `dataset.json`, or nothing where there is none."""


def open_source(path: str | os.PathLike[str]) -> Source:
    """Open a zip or a folder of pictures.

    Raises:
        DatasetError: E-DATA-MISSING, -PERM, -ZIP, -EMPTY, or what `checked_members` says.
    """
    path = Path(path)
    try:
        source = FolderSource(path) if path.is_dir() else ZipSource(path)
    except OSError as exc:
        raise _unreadable(exc, str(path)) from exc
    if not source.names:
        remedy = f"It must hold pictures ({', '.join(SUFFIXES)})"
        raise DatasetError("E-DATA-EMPTY", str(path), "there is no picture in it", remedy)
    return source


def is_picture_name(name: str) -> bool:
    """Tell a picture by its suffix; hidden files and macOS's shadow files are none."""
    parts = name.split("/")
    is_hidden = any(part.startswith((".", "__MACOSX")) for part in parts)
    return name.lower().endswith(SUFFIXES) and not is_hidden


class ZipSource:
    """The members of a zip; nothing is extracted, and each process opens the file anew."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._archive: zipfile.ZipFile | None = None
        self._owner = 0
        try:
            members = checked_members(self._open(), str(path))
        except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError) as exc:
            remedy = "Copy or make it again"
            raise DatasetError("E-DATA-ZIP", str(path), f"not a sound zip ({exc})", remedy) from exc
        self._infos = {info.filename: info for info in members}
        if len(self._infos) < len(members):
            what = "two members have the same name"
            raise DatasetError("E-DATA-NAME", str(path), what, "Make it again")
        self.names = [name for name in self._infos if is_picture_name(name)]

    def _open(self) -> zipfile.ZipFile:
        if self._archive is None or self._owner != os.getpid():  # a handle does not survive a fork
            self._archive, self._owner = zipfile.ZipFile(self.path), os.getpid()
        return self._archive

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_archive": None}

    def read(self, name: str) -> bytes:
        """Read one member.

        Raises:
            PictureError: E-DATA-MEMBER if its bytes are damaged.
            DatasetError: E-DATA-IO if the disk fails.
        """
        subject = f"{self.path}/{name}"
        try:
            return self._open().read(self._infos[name])
        except OSError as exc:
            raise _unreadable(exc, subject) from exc
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as exc:
            what, remedy = f"damaged or encrypted ({exc})", "Make the zip again"
            raise PictureError("E-DATA-MEMBER", subject, what, remedy) from exc

    def fingerprint(self, name: str) -> tuple[int, int]:
        """Give size and CRC-32 as the zip's directory states them."""
        return self._infos[name].file_size, self._infos[name].CRC

    def read_table(self) -> bytes | None:
        """Read `dataset.json`, or nothing where there is none."""
        return self.read(_TABLE) if _TABLE in self._infos else None


class FolderSource:
    """The pictures of a folder and its sub-folders; links are not followed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        found = []
        for folder, folders, files in os.walk(path):
            folders.sort()
            relative = Path(folder).relative_to(path)
            found += [(relative / file).as_posix() for file in files]
        self.names = sorted(
            name for name in found if is_picture_name(name) and not (path / name).is_symlink()
        )

    def read(self, name: str) -> bytes:
        """Read one file.

        Raises:
            PictureError: E-DATA-SIZE if it is too large.
            DatasetError: E-DATA-MISSING, -PERM or -IO if it cannot be read.
        """
        limit = MAX_TABLE_BYTES if name == _TABLE else MAX_IMAGE_BYTES
        try:
            with (self.path / name).open("rb") as file:
                content = file.read(limit + 1)
        except OSError as exc:
            raise _unreadable(exc, str(self.path / name)) from exc
        if len(content) > limit:
            what = f"it is larger than {limit >> 20} MB"
            raise PictureError("E-DATA-SIZE", str(self.path / name), what, "Make it smaller")
        return content

    def fingerprint(self, name: str) -> tuple[int, int]:
        """Give size and CRC-32 of a file, which is read for that, whatever its size."""
        size = crc = 0
        try:
            with (self.path / name).open("rb") as file:
                while block := file.read(1 << 20):
                    size, crc = size + len(block), zlib.crc32(block, crc)
        except OSError as exc:
            raise _unreadable(exc, str(self.path / name)) from exc
        return size, crc

    def read_table(self) -> bytes | None:
        """Read `dataset.json`, or nothing where there is none."""
        return self.read(_TABLE) if (self.path / _TABLE).is_file() else None


def _unreadable(exc: OSError, subject: str) -> DatasetError:
    if isinstance(exc, FileNotFoundError):
        return DatasetError("E-DATA-MISSING", subject, "no such file or folder", "Check the path")
    if isinstance(exc, PermissionError):
        return DatasetError("E-DATA-PERM", subject, "no permission to read it", "Run chmod +r")
    return DatasetError("E-DATA-IO", subject, f"cannot be read ({exc.strerror})", "Check the disk")
