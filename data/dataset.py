"""Training pictures: random access by index, labels, and a digest of the whole."""

from __future__ import annotations

import copy
import hashlib
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data.archive import DatasetError, PictureError
from data.image_io import ImageError, decode_image, from_uint8
from data.labels import label_table, read_labels
from data.source import Source, open_source

if TYPE_CHECKING:  # torch takes seconds to import, and checking a data set does not need it
    from torch import Tensor

__all__ = ["DatasetError", "ImageDataset", "PictureError", "find_bad"]

MAX_CACHE_BYTES = 512 * 2**20


class _Cache:
    """Pictures once decoded, in one block: thousands of small ones would leave memory in shreds.

    Threads may fill it together: what is there is marked after it has been written.
    """

    def __init__(self, num: int, side: int) -> None:
        self._arguments = num, side
        size = num if num * 3 * side**2 <= MAX_CACHE_BYTES else 0
        self._pictures = np.empty((size, 3, side, side), np.uint8)  # pages come as they are filled
        self._is_there = np.zeros(size, bool)

    def __reduce__(self) -> tuple[type[_Cache], tuple[int, int]]:
        return _Cache, self._arguments  # a copy of another process starts empty

    def get(self, index: int) -> NDArray[np.uint8] | None:
        """Return a copy of a picture, if it is there."""
        is_there = index < len(self._is_there) and self._is_there[index]
        return self._pictures[index].copy() if is_there else None

    def put(self, index: int, picture: NDArray[np.uint8]) -> None:
        """Keep a picture, unless the set is too large."""
        if index < len(self._is_there):
            self._pictures[index] = picture
            self._is_there[index] = True


class ImageDataset:
    """Square pictures of one size in a zip (StyleGAN's layout) or a folder.

    A set that fits into 512 MB is kept decoded once read. Objects can be pickled, survive a fork
    (the zip is opened again by each process), and can be read by several threads.

    Args:
        path: of the zip or folder.
        skip_bad: whether one may do without pictures that cannot be used.
        side: if given, pictures may be of any shape: each is cut to its central square and resized.

    Attributes:
        name: the file's stem or the folder's name.
        names: of the pictures, sorted; the index runs over them.
        resolution: side in pixels, taken from the first picture (that can be used).
        labels: one JSON value per picture, or None.

    Raises:
        DatasetError: if the set or its first picture cannot be used.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, skip_bad: bool = False, side: int | None = None
    ) -> None:
        self._source = open_source(path)
        self.path = self._source.path
        self.name = Path(os.path.abspath(self.path)).stem
        self.names = self._source.names
        self.skip_bad, self._decode = skip_bad, _decode if side is None else _decode_and_fit
        self.labels = read_labels(self._source)
        self.resolution = side or self._first_side()
        self._cache = _Cache(len(self), self.resolution)

    def _first_side(self) -> int:
        for name in self.names[:-1]:
            try:
                return _decode(self._source, name, None).shape[1]
            except PictureError:
                if not self.skip_bad:
                    raise
        return _decode(self._source, self.names[-1], None).shape[1]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """Give picture `index` as RGB [3, H, W].

        Raises:
            PictureError: if it is damaged or of another size than the rest.
            DatasetError: if it cannot be read at all.
            IndexError: if there is no such index.
        """
        index = range(len(self))[index]
        image = self._cache.get(index)
        if image is None:
            image = self._decode(self._source, self.names[index], self.resolution)
            self._cache.put(index, image)
        return image

    def part(self, indices: Sequence[int]) -> ImageDataset:
        """Return the set of these pictures alone, in this order."""
        part = copy.copy(self)
        part.names = [self.names[index] for index in indices]
        part.labels = self.labels and [self.labels[index] for index in indices]
        part._cache = _Cache(len(part), self.resolution)
        return part

    def pictures(self, indices: Iterable[int]) -> Iterator[NDArray[np.uint8]]:
        """Yield the pictures of `indices`, with `skip_bad` those of them that can be used.

        Raises:
            DatasetError: as for a single one.
        """
        for index in indices:
            try:
                yield self[index]
            except PictureError:
                if not self.skip_bad:
                    raise

    def first(self, num: int) -> Tensor:
        """Return the first `num` pictures, fewer if there are fewer, [N, 3, H, W] in [-1, 1].

        Raises:
            DatasetError: as for a single one, without `skip_bad`.
        """
        found = list(itertools.islice(self.pictures(range(len(self))), num))
        return from_uint8(np.stack(found).transpose(0, 2, 3, 1))

    def label_table(self) -> Tensor:
        """Return the labels as float32 [num, c_dim]: classes one-hot, lists of numbers as such.

        Raises:
            DatasetError: E-DATA-LABEL if there are none, or they are neither.
        """
        import torch

        return torch.from_numpy(label_table(self.labels, self.names, str(self.path)))

    def digest(self) -> str:
        """Hash names, sizes and CRC-32 of all pictures and the labels (SHA-256, hexadecimal)."""
        hasher = hashlib.sha256()
        for name in self.names:
            hasher.update(json.dumps([name, *self._source.fingerprint(name)]).encode())
        hasher.update(json.dumps(self.labels).encode())
        return hasher.hexdigest()


def _pixels(source: Source, name: str) -> NDArray[np.float32]:
    """Return a picture as [H, W, 1 or 3] in 0..255."""
    try:
        return decode_image(source.read(name), f"{source.path}/{name}").pixels
    except ImageError as exc:
        raise _BadPicture(exc.code.replace("IMG", "DATA", 1), str(exc)) from exc


def _decode(source: Source, name: str, resolution: int | None) -> NDArray[np.uint8]:
    pixels = _pixels(source, name)
    height, width, _ = pixels.shape
    expected = resolution or width
    if (height, width) != (expected, expected):
        what = f"it is {width}x{height}, not {expected}x{expected} like the rest"
        remedy = "Make the data set with make_dataset.py pack"
        raise PictureError("E-DATA-SIZE", f"{source.path}/{name}", what, remedy)
    rgb = np.broadcast_to(np.rint(pixels).astype(np.uint8), (height, width, 3))
    return np.ascontiguousarray(rgb.transpose(2, 0, 1))


def _decode_and_fit(source: Source, name: str, side: int) -> NDArray[np.uint8]:
    fitted = np.asarray(square(_pixels(source, name), side))
    return np.ascontiguousarray(fitted.transpose(2, 0, 1))


def square(pixels: NDArray[np.float32], size: int) -> Image.Image:
    """Cut [H, W, C] in 0..255 to the central square, resize it (antialiased Lanczos) to RGB."""
    height, width, _ = pixels.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    middle = np.rint(pixels[top : top + side, left : left + side]).astype(np.uint8)
    image = Image.fromarray(np.ascontiguousarray(np.broadcast_to(middle, (side, side, 3))))
    return image.resize((size, size), Image.Resampling.LANCZOS)


class _BadPicture(PictureError):
    """A picture that `data.image_io` refuses, in its words."""

    def __init__(self, code: str, sentence: str) -> None:
        ValueError.__init__(self, sentence)
        self.code = code


def find_bad(path: str | os.PathLike[str]) -> Iterator[DatasetError]:
    """Read every picture of a data set and yield one error for each that training would refuse.

    Raises:
        DatasetError: if the zip or folder itself cannot be read.
    """
    source, resolution = open_source(path), None
    try:
        read_labels(source)
    except DatasetError as exc:
        yield exc
    for name in source.names:
        try:
            resolution = _decode(source, name, resolution).shape[1]
        except DatasetError as exc:
            yield exc
