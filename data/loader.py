"""The stream of training pictures: endless, shuffled, loaded ahead, the same on any machine.

Which picture stands at which position of the stream, and whether it is mirrored, is a function of
(seed, position) alone: a resumed training sees what an unbroken one would have seen, and neither
the number of processes and threads nor the size of the batch changes anything.
"""

from __future__ import annotations

import itertools
import logging
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from data.archive import DatasetError, PictureError
from data.dataset import ImageDataset
from data.image_io import from_uint8
from data.threads import DaemonThreads

if TYPE_CHECKING:
    from torch import Tensor

logger = logging.getLogger(__name__)
Positions = Callable[[int], Sequence[int]]


class Batch(NamedTuple):
    """What one process is given for one step."""

    images: Tensor  # float32 [N, 3, R, R] in [-1, 1]
    labels: Tensor | None  # float32 [N, c_dim]


@dataclass(frozen=True)
class LoaderConfig:
    """How pictures are loaded."""

    seed: int = 0
    mirror: bool = False  # half of them, at random
    workers: int = 1  # threads that load ahead; 0: the caller loads, when it asks
    timeout: float = 120.0  # seconds that one picture may take; without threads, any time
    bad_budget: float = 0.001  # share of the set that may be skipped, if the set skips at all


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


def substitutes(num_images: int, seed: int, position: int) -> Iterator[int]:
    """Yield indices for ever: which pictures to try at a position in turn, where one is bad."""
    generator = np.random.default_rng([seed, position, 1])
    while True:
        yield int(generator.integers(num_images))


class Loader:
    """Reads what a step trains on, and keeps account of the pictures that cannot be used.

    With `dataset.skip_bad` another picture takes the place of a bad one: which, is a function of
    seed, position and the pictures alone, never of what was met before.

    Args:
        dataset: the pictures.
        config: how they are loaded.
        labels: `[len(dataset), c_dim]`, of which each batch gets its rows.

    Attributes:
        bad: indices of the pictures that were replaced in the batches given out so far; those
            that other processes met are not among them.
    """

    def __init__(
        self, dataset: ImageDataset, config: LoaderConfig, labels: Tensor | None = None
    ) -> None:
        self.dataset, self.config, self.labels = dataset, config, labels
        self.bad: set[int] = set()
        num = len(dataset)
        share = int(config.bad_budget * num + 1e-9)  # 0.29 of 100 is 29
        self._most_bad = min(share, num - 1)

    def batches(self, positions: Positions, start: int = 0) -> Generator[Batch]:
        """Yield the batches of step `start`, `start + 1` and so on, for ever.

        `positions(k)` are those that this process loads for step k. Close the generator to end
        its threads.

        Raises:
            DatasetError: when a picture is reached that cannot be used, with `skip_bad` E-DATA-BAD
                when there were too many; E-IO-TIMEOUT when one is waited for too long.
        """
        loads = (_Load(self, positions(step)) for step in itertools.count(start))
        with closing(self._results(loads)) as results:
            for batch, bad in results:
                self._account(bad)
                yield batch

    def _results(self, loads: Iterator[_Load]) -> Generator[_Result]:
        if not self.config.workers:
            yield from (load() for load in loads)
        with closing(DaemonThreads(self.config.workers, "loader")) as threads:
            ahead: deque[tuple[_Load, Future[_Result]]] = deque()
            for load in loads:
                ahead.append((load, threads.submit(load)))
                if len(ahead) > self.config.workers + 1:
                    yield self._await(*ahead.popleft())

    def _await(self, load: _Load, future: Future[_Result]) -> _Result:
        timeout, num_read = self.config.timeout, -1
        while num_read != load.num_read:
            num_read = load.num_read
            if wait([future], timeout).done:
                return future.result()
        what = f"no answer within {timeout:g} seconds"
        remedy = "Check the disk or the network, or raise --data-timeout"
        raise DatasetError("E-IO-TIMEOUT", load.subject, what, remedy)

    def _account(self, bad: dict[int, PictureError]) -> None:
        for index in bad.keys() - self.bad:
            logger.warning("%s Others take its place.", bad[index])
        self.bad |= bad.keys()
        self.check_budget(len(self.bad))

    def all_bad(self, gather: Callable[[set[int]], Iterable[set[int]]]) -> list[int]:
        """Return the pictures that any process had to replace; `gather` gets those of all.

        Raises:
            DatasetError: E-DATA-BAD, there are too many of them.
        """
        bad: set[int] = set().union(*gather(self.bad))
        self.check_budget(len(bad))
        return sorted(bad)

    def check_budget(self, num_bad: int) -> None:
        """Refuse more bad pictures than the budget allows.

        Raises:
            DatasetError: E-DATA-BAD.
        """
        if num_bad > self._most_bad:
            num, budget = len(self.dataset), self.config.bad_budget
            what = f"{num_bad} of {num} pictures cannot be used; --bad-budget {budget:g} allows "
            what += str(self._most_bad)
            remedy = "Find them with make_dataset.py check, or raise the budget"
            raise DatasetError("E-DATA-BAD", str(self.dataset.path), what, remedy)


class _Load:
    """One batch in the making. `num_read` and `subject` say how far it is, to other threads."""

    def __init__(self, loader: Loader, positions: Sequence[int]) -> None:
        self.loader, self.positions = loader, positions
        self.bad: dict[int, PictureError] = {}
        self.num_read, self.subject = 0, str(loader.dataset.path)

    def __call__(self) -> _Result:
        pictures, indices = zip(*map(self._read, self.positions), strict=True)
        images = from_uint8(np.stack(pictures).transpose(0, 2, 3, 1)).contiguous()
        labels = self.loader.labels
        labels = None if labels is None else labels[list(indices)]
        return _Result(Batch(images, labels), self.bad)

    def _read(self, position: int) -> tuple[NDArray[np.uint8], int]:
        dataset, config = self.loader.dataset, self.loader.config
        first, is_mirrored = sample_order(len(dataset), config.seed, position)
        others = substitutes(len(dataset), config.seed, position)
        for index in itertools.chain([first], others):
            self.subject = f"{dataset.path}/{dataset.names[index]}"
            self.num_read += 1
            try:
                picture = dataset[index]
                break
            except PictureError as exc:
                if not dataset.skip_bad:
                    raise
                self.bad[index] = exc
                self.loader.check_budget(len(self.bad))
        return picture[:, :, ::-1] if config.mirror and is_mirrored else picture, index


class _Result(NamedTuple):
    batch: Batch
    bad: dict[int, PictureError]  # what was met on the way
