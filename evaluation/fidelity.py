"""How near a training's pictures are to its data set, measured while it goes on."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from attributes.reader import PRETRAINED, Reader, load_reader
from data.dataset import ImageDataset
from data.image_io import from_uint8
from evaluation.frechet import Features, Gaussian, Moments, frechet_distance, pixels16


@functools.cache
def _default_reader(device: torch.device) -> Reader:
    return load_reader(PRETRAINED, device)


def attr(pictures: Tensor) -> Tensor:
    """Return the features of `fd_attr`, `[N, 192]`: the default model's reader of attributes.

    They see what a drawn face is like, and its sharpness, and need no download. Another reader's
    are `load_reader(path).features`; distances by different readers cannot be compared.

    Args:
        pictures: `[N, 3, H, W]` in [-1, 1], resized to 128x128 by the antialiased bicubic.

    Raises:
        CheckpointError: the reader's file is missing or damaged.
    """
    return _default_reader(pictures.device).features(pictures)


METRICS: dict[str, Features] = {"fd_pixels16": pixels16, "fd_attr": attr}
BATCH = 32  # pictures at a time
Sample = Callable[[Sequence[int]], Tensor]  # numbers of pictures to those, [N, 3, H, W]


def shares(num: int, batch: int, rank: int, size: int) -> Iterator[range]:
    """Yield the batches of the numbers below `num` that one of `size` processes works on."""
    for first in range(rank * batch, num, size * batch):
        yield range(first, min(first + batch, num))


class MetricError(ValueError):
    """A metric that there is not."""

    code = "E-USAGE-METRIC"


class TrainingMetric:
    """The Frechet distance of a generator's pictures to a data set, as often as one asks.

    Ranks share the work; all must ask, and all are told the same number. How many they are does
    not change it by more than rounding does.

    Args:
        name: one of METRICS.
        dataset: of the real pictures.
        mirror: whether the mirrored ones are real too.
        cap: how many real pictures are read; of a larger set, as many evenly spaced ones.
        rank, size: which of how many processes this is.
        total: the sum over the ranks of a float64 tensor on the CPU.

    Raises:
        MetricError: there is no such metric.
        CheckpointError: its network cannot be loaded.
    """

    def __init__(
        self,
        name: str,
        dataset: ImageDataset,
        *,
        mirror: bool = False,
        cap: int = 10_000,
        rank: int = 0,
        size: int = 1,
        total: Callable[[Tensor], Tensor] = lambda tensor: tensor,
    ) -> None:
        if name not in METRICS:
            known = ", ".join(METRICS)
            raise MetricError(f"metric {name!a}: there is none of this name. Choose from {known}.")
        self.name, self.dataset, self.mirror, self.cap = name, dataset, mirror, cap
        self.rank, self.size, self.total = rank, size, total
        self._reference: Gaussian | None = None
        blank = torch.zeros(1, 3, dataset.resolution, dataset.resolution)
        self._none = METRICS[name](blank)[:0]  # what a rank without a share has seen

    @property
    def reference(self) -> Gaussian:
        """Mean and covariance of the real pictures' features; computed at the first use.

        Raises:
            DatasetError: a picture cannot be used.
            FeatureError: there are fewer than two.
        """
        if self._reference is None:
            self._reference = self._gaussian(self._reals())
        return self._reference

    def measure(self, sample: Sample, num: int) -> float:
        """Return the distance of `num` generated pictures, nan where one is not finite.

        Args:
            sample: called with numbers below `num`, the same groups of them whatever the ranks.
            num: two or more.

        Raises:
            DatasetError, FeatureError: as `reference`.
        """
        fakes = self._gaussian(sample(numbers) for numbers in self._shares(num))
        reals = self.reference  # by all ranks
        value = frechet_distance(fakes, reals) if self.rank == 0 else 0.0
        return self.total(torch.tensor(value, dtype=torch.float64)).item()

    def row(self, sample: Sample, num: int) -> dict[str, float]:
        """Return the distance under its name, and the seconds that it took."""
        started = time.monotonic()
        value = self.measure(sample, num)
        return {self.name: value, "seconds": time.monotonic() - started}

    def _shares(self, num: int) -> Iterator[range]:
        return shares(num, BATCH, self.rank, self.size)

    def _reals(self) -> Iterator[Tensor]:
        num = min(len(self.dataset), self.cap)
        for numbers in self._shares(num):
            indices = [number * len(self.dataset) // num for number in numbers]
            if found := list(self.dataset.pictures(indices)):
                pictures = from_uint8(np.stack(found).transpose(0, 2, 3, 1))
                yield from [pictures, pictures.flip(3)] if self.mirror else [pictures]

    @torch.no_grad()
    def _gaussian(self, batches: Iterable[Tensor]) -> Gaussian:
        features = METRICS[self.name]
        gram = Moments.of(self._none).gram
        for pictures in batches:
            # features clip, and infinity would look like white
            found = features(pictures).where(pictures.isfinite().all(), torch.nan)
            gram += Moments.of(found).gram.cpu()
        return Moments(self.total(gram)).gaussian()
