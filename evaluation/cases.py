"""Faces whose truth is known, and what is seen of them: pairs of files, or a data set made small.

Every picture is read before any is used: one that is damaged, missing or of an odd size is an error
that names it, and none is ever left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from data.archive import DatasetError
from data.dataset import ImageDataset
from data.image_io import from_uint8, load_measurement

Measure = Callable[[Tensor], Tensor]  # pictures [N, 3, P, P] to [N, 1, h, w] as files hold them
TRUTH, INPUT = "truth", "input"  # folders of pairs, with pictures of the same names


@dataclass(frozen=True)
class Case:
    """One face."""

    name: str
    x: Tensor  # the truth, [1, 3, P, P] in [-1, 1], on the 8-bit grid
    y: Tensor  # what is seen of it, [1, 1, h, w]
    measure: Measure  # what would be seen of others


class HeldOut:
    """A data set's pictures, made small and grey.

    Args:
        dataset: of the truths.
        measure: makes them small and grey.
        num: how many, evenly spaced; all of them if None.

    Raises:
        DatasetError: one of those cannot be used.
    """

    def __init__(self, dataset: ImageDataset, measure: Measure, num: int | None = None) -> None:
        self.dataset, self.measure = dataset, measure
        num = min(num or len(dataset), len(dataset))
        self.indices = [k * len(dataset) // num for k in range(num)]
        for index in self.indices:
            dataset[index]

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[Case]:
        for index in self.indices:
            x = _picture(self.dataset, index)
            yield Case(self.dataset.names[index], x, self.measure(x), self.measure)


class Pairs:
    """The pairs of a folder: `truth/NAME` in colour, `input/NAME` small and grey.

    Args:
        folder: it.
        measure_of: (h, w) -> what makes pictures of that size.
        most: the longest side of an input.

    Raises:
        DatasetError: a picture cannot be used, or has no partner.
    """

    def __init__(
        self, folder: Path, measure_of: Callable[[tuple[int, int]], Measure], most: int
    ) -> None:
        self.folder, self.measure_of, self.most = folder, measure_of, most
        self.truths, self.inputs = (ImageDataset(folder / name) for name in (TRUTH, INPUT))
        self.partners = _by_stem(self.inputs)
        self._check()

    def _check(self) -> None:
        truths = _by_stem(self.truths)
        for stem in sorted(truths.keys() ^ self.partners.keys()):
            there, missing = (TRUTH, INPUT) if stem in truths else (INPUT, TRUTH)
            name = {**truths, **self.partners}[stem]
            what = f"there is no {missing} picture of that name"
            subject = str(self.folder / there / name)
            raise DatasetError("E-DATA-MISSING", subject, what, f"Add {missing}/{stem}.png")
        for _ in self:
            pass

    def __len__(self) -> int:
        return len(self.truths)

    def __iter__(self) -> Iterator[Case]:
        for index, name in enumerate(self.truths.names):
            path = self.folder / INPUT / self.partners[_stem(name)]
            y = load_measurement(path).y
            height, width = y.shape[2:]
            if max(height, width) > self.most:
                what = f"it has {width}x{height} pixels, more than {self.most}"
                raise DatasetError("E-DATA-SIZE", str(path), what, "Give small grey pictures")
            yield Case(name, _picture(self.truths, index), y, self.measure_of((height, width)))


def _picture(dataset: ImageDataset, index: int) -> Tensor:
    return from_uint8(np.ascontiguousarray(dataset[index].transpose(1, 2, 0))[None])


def _stem(name: str) -> str:
    return name.rsplit(".", 1)[0]


def _by_stem(dataset: ImageDataset) -> dict[str, str]:
    return {_stem(name): name for name in dataset.names}
