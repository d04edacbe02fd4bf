"""Training pictures: random access by index, and an endless shuffled stream that can resume.

Which picture stands at which position of the stream, and whether it is mirrored, is a function of
(seed, position) alone: a resumed training sees what an unbroken one would have seen.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from data.archive import DatasetError
from data.image_io import ImageError, decode_image, from_uint8
from data.source import Source, open_source

if TYPE_CHECKING:  # torch takes seconds to import, and checking a data set does not need it
    from torch import Tensor

__all__ = ["DatasetError", "ImageDataset", "batches", "find_bad", "sample_order"]

MAX_CACHE_BYTES = 512 * 2**20
_AHEAD = 3  # batches prepared before they are asked for


class ImageDataset:
    """Square pictures of one size in a zip (StyleGAN's layout) or a folder.

    A set that fits into 512 MB is kept decoded once read. Objects can be pickled and survive a
    fork; the zip is opened again by each process.

    Attributes:
        name: the file's stem or the folder's name.
        names: of the pictures, sorted; the index runs over them.
        resolution: side in pixels, taken from the first picture.
        labels: one JSON value per picture, or None.

    Raises:
        DatasetError: if the set or its first picture cannot be used.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._source = open_source(path)
        self.path = self._source.path
        self.name = Path(os.path.abspath(self.path)).stem
        self.names = self._source.names
        self.labels = _labels(self._source)
        self.resolution = _decode(self._source, self.names[0], None).shape[1]
        self._cache: NDArray[np.uint8] | None = None
        self._is_cached = np.zeros(len(self), bool)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """Give picture `index` as RGB [3, H, W].

        Raises:
            DatasetError: if it is damaged or of another size than the rest.
            IndexError: if there is no such index.
        """
        index = range(len(self))[index]
        if self._cache is not None and self._is_cached[index]:
            return self._cache[index].copy()
        image = _decode(self._source, self.names[index], self.resolution)
        self._remember(index, image)
        return image

    def _remember(self, index: int, image: NDArray[np.uint8]) -> None:
        if image.nbytes * len(self) > MAX_CACHE_BYTES:
            return
        if self._cache is None:
            self._cache = np.empty((len(self), *image.shape), np.uint8)
        self._cache[index] = image
        self._is_cached[index] = True

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_cache": None, "_is_cached": np.zeros(len(self), bool)}

    def digest(self) -> str:
        """Hash names, sizes and CRC-32 of all pictures and the labels (SHA-256, hexadecimal)."""
        hasher = hashlib.sha256()
        for name in self.names:
            hasher.update(json.dumps([name, *self._source.fingerprint(name)]).encode())
        hasher.update(json.dumps(self.labels).encode())
        return hasher.hexdigest()


def _decode(source: Source, name: str, resolution: int | None) -> NDArray[np.uint8]:
    subject = f"{source.path}/{name}"
    try:
        pixels = decode_image(source.read(name), subject).pixels  # float32 [H, W, 1 or 3], 0..255
    except ImageError as exc:
        raise _BadPicture(exc.code.replace("IMG", "DATA", 1), str(exc)) from exc
    height, width, _ = pixels.shape
    expected = resolution or width
    if (height, width) != (expected, expected):
        what = f"it is {width}x{height}, not {expected}x{expected} like the rest"
        remedy = "Make the data set with make_dataset.py pack"
        raise DatasetError("E-DATA-SIZE", subject, what, remedy)
    rgb = np.broadcast_to(np.rint(pixels).astype(np.uint8), (height, width, 3))
    return np.ascontiguousarray(rgb.transpose(2, 0, 1))


class _BadPicture(DatasetError):
    """A picture that `data.image_io` refuses, in its words."""

    def __init__(self, code: str, sentence: str) -> None:
        ValueError.__init__(self, sentence)
        self.code = code


def _labels(source: Source) -> list[object] | None:
    table = source.read_table()
    if table is None:
        return None
    try:
        pairs = json.loads(table)["labels"]
        named = None if pairs is None else {name: label for name, label in pairs}
    except (ValueError, TypeError, KeyError, RecursionError) as exc:
        what, remedy = 'dataset.json is not {"labels": [[name, label], ...]}', "Make it again"
        raise DatasetError("E-DATA-LABEL", str(source.path), what, remedy) from exc
    if named is None:
        return None
    missing = next((name for name in source.names if name not in named), None)
    if missing is not None:
        what = f"dataset.json has no label for {missing!a}"
        raise DatasetError("E-DATA-LABEL", str(source.path), what, "Label all pictures or none")
    return [named[name] for name in source.names]


def find_bad(path: str | os.PathLike[str]) -> Iterator[DatasetError]:
    """Read every picture of a data set and yield one error for each that training would refuse.

    Raises:
        DatasetError: if the zip or folder itself cannot be read.
    """
    source, resolution = open_source(path), None
    try:
        _labels(source)
    except DatasetError as exc:
        yield exc
    for name in source.names:
        try:
            resolution = _decode(source, name, resolution).shape[1]
        except DatasetError as exc:
            yield exc


@lru_cache(maxsize=4)
def _epoch(num_images: int, seed: int, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    generator = np.random.default_rng([seed, epoch])
    return generator.permutation(num_images), generator.random(num_images) < 0.5


def sample_order(num_images: int, seed: int, position: int) -> tuple[int, bool]:
    """Give the index of the picture at a position of the endless stream, and whether to mirror it.

    Every stretch of `num_images` positions that starts at a multiple of it holds each picture once.
    """
    epoch, place = divmod(position, num_images)
    order, is_mirrored = _epoch(num_images, seed, epoch)
    return int(order[place]), bool(is_mirrored[place])


def batches(
    dataset: ImageDataset, batch_size: int, *, seed: int, start: int = 0, mirror: bool = False
) -> Iterator[Tensor]:
    """Yield shuffled pictures for ever as float32 [N, 3, H, W] in [-1, 1].

    `start` is the number of batches to skip, those a resumed training has seen; batch k holds the
    positions k N to k N + N - 1. A thread prepares the next batches; closing the generator ends it.

    Raises:
        DatasetError: when a picture is reached that cannot be used.
    """

    def load(step: int) -> Tensor:
        positions = range(step * batch_size, (step + 1) * batch_size)
        return _stack(dataset, [sample_order(len(dataset), seed, p) for p in positions], mirror)

    with ThreadPoolExecutor(1, "batches") as pool:
        ahead = deque(pool.submit(load, start + k) for k in range(_AHEAD))
        for step in itertools.count(start + _AHEAD):
            batch = ahead.popleft().result()
            ahead.append(pool.submit(load, step))
            yield batch


def _stack(dataset: ImageDataset, samples: list[tuple[int, bool]], mirror: bool) -> Tensor:
    images = [
        dataset[index][:, :, ::-1] if mirror and is_mirrored else dataset[index]
        for index, is_mirrored in samples
    ]
    return from_uint8(np.stack(images).transpose(0, 2, 3, 1)).contiguous()
