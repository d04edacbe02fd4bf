"""How near one set of pictures is to another: Frechet and kernel distance, precision and recall."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data.archive import DatasetError, PictureError
from data.dataset import ImageDataset, find_bad
from data.image_io import from_uint8
from engine.ranks import ALONE, Ranks
from engine.seeding import derive_generator
from evaluation.features import Extractor
from evaluation.fidelity import shares
from evaluation.frechet import accumulate, frechet_distance
from evaluation.kernel import kid
from evaluation.manifold import prdc
from evaluation.reference import beside, load_reference, save_reference

Pictures = Callable[[Sequence[int]], Tensor]  # numbers to those pictures, [N, 3, H, W] in [-1, 1]
OnBatch = Callable[[int], object]  # called with the number of pictures done
Progress = Callable[[int, str], AbstractContextManager[OnBatch]]
MEASURES = ("kid", "precision", "recall", "density", "coverage")  # beside the Frechet distance
_NAMED = 16  # bad pictures in one error
_ROWS = 4096


@contextmanager
def silent(num: int, what: str) -> Iterator[OnBatch]:
    """Show no progress."""
    yield lambda num: None


def compare_features(reals: Tensor, fakes: Tensor, key: str, seed: int = 0) -> dict[str, float]:
    """Return all measures of `fakes [n, d]` beside `reals [m, d]`; nan where one is not finite.

    Args:
        reals: features of the data set.
        fakes: features of the pictures in question.
        key: what the Frechet distance is called.
        seed: of the blocks of `kid`.

    Raises:
        FeatureError: there are fewer than two of either, or they are of different lengths.
    """
    real, fake = (accumulate(part.split(_ROWS), lambda x: x).gaussian() for part in (reals, fakes))
    distance = frechet_distance(fake, real)
    mean, error = kid(reals, fakes, derive_generator(seed, "kid"))
    return {key: distance, "kid": mean, "kid_stderr": error, **prdc(reals, fakes)}


def features_of(
    pictures: Pictures,
    num: int,
    extractor: Extractor,
    *,
    batch: int = 32,
    ranks: Ranks = ALONE,
    on_batch: OnBatch = lambda num: None,
) -> Tensor:
    """Return the features `[num, d]` of the pictures 0 to num - 1, in order.

    Each rank does its share; how many there are changes nothing, nor does, on the CPU, the batch.

    Args:
        pictures: called with a batch of numbers.
        num: how many there are.
        extractor: makes the features.
        batch: pictures at a time.
        ranks: the processes that share the work; all get the whole.
        on_batch: called with the number of pictures of every batch done.
    """
    probe = extractor(torch.zeros(1, 3, 64, 64))
    found = probe.new_zeros(num, probe.shape[1])
    for numbers in shares(num, batch, ranks.rank, ranks.size):
        found[numbers.start : numbers.stop] = extractor(pictures(numbers))
        on_batch(len(numbers))
    return ranks.sum_(found)


class Folder:
    """The pictures of a data set by number, decoded by several threads.

    Args:
        dataset: of the pictures.
        mirror: whether they are followed by their mirror images.
        workers: threads that decode, 0 for none beside this one.
    """

    def __init__(self, dataset: ImageDataset, *, mirror: bool = False, workers: int = 0) -> None:
        self.dataset, self.mirror = dataset, mirror
        self._pool = ThreadPoolExecutor(workers) if workers else None

    def __len__(self) -> int:
        return len(self.dataset) * (2 if self.mirror else 1)

    def __call__(self, numbers: Sequence[int]) -> Tensor:
        """Return pictures `[N, 3, H, W]`.

        Raises:
            DatasetError: one cannot be used; all such are named, up to 16.
        """
        indices = [number % len(self.dataset) for number in numbers]
        each = self._pool.map if self._pool else map
        try:
            levels = np.stack(list(each(self.dataset.__getitem__, indices)))
        except PictureError as error:
            raise self._all_bad(error) from error
        pictures = from_uint8(levels.transpose(0, 2, 3, 1))
        flipped = torch.tensor([number >= len(self.dataset) for number in numbers])
        return pictures.flip(3).where(flipped[:, None, None, None], pictures)

    def _all_bad(self, first: PictureError) -> DatasetError:
        bad = list(find_bad(self.dataset.path))
        if len(bad) < 2:
            return first
        told = [str(error) for error in bad[:_NAMED]]
        more = [f"and {len(bad) - _NAMED} more"] if len(bad) > _NAMED else []
        what = f"{len(bad)} pictures cannot be used: {' '.join([*told, *more])}".rstrip(".")
        return DatasetError(first.code, str(self.dataset.path), what, "Mend or remove them")


def reference_features(
    path: Path,
    facts: dict[str, Any],
    compute: Callable[[], Tensor],
    ranks: Ranks = ALONE,
) -> Tensor:
    """Return the features of a data set, stored or computed by all ranks and then stored.

    Where they had been stored, the first rank alone has them.

    Args:
        path: where they are kept.
        facts: what they are computed from and with.
        compute: makes them.
        ranks: the processes.

    Raises:
        StoredFeaturesError: stored ones are not these.
    """
    stored = load_reference(path, facts) if ranks.is_first else None
    if ranks.of_first(stored is not None):
        return torch.empty(0, 0) if stored is None else stored
    computed = compute()
    if ranks.is_first:
        save_reference(path, computed, facts)
    return computed


class Judge:
    """Compares one set of pictures after the other with a data set.

    Args:
        extractor: makes the features of both.
        dataset: the real pictures, all of them.
        facts: what else decides the numbers, such as versions: kept with them and with the
            features of the data set.
        mirror: whether mirrored real pictures are real too.
        workers: threads that decode.
        batch: pictures at a time.
        seed: of the blocks of `kid`.
        reference: where the features of the data set are kept, beside it if None.
        ranks: the processes that share the work.
        progress: (number of pictures, of what) -> a context that gives `on_batch`.

    Raises:
        DatasetError, StoredFeaturesError: as `Folder` and `reference_features`.
    """

    def __init__(
        self,
        extractor: Extractor,
        dataset: ImageDataset,
        facts: dict[str, Any],
        *,
        mirror: bool = False,
        workers: int = 0,
        batch: int = 32,
        seed: int = 0,
        reference: Path | None = None,
        ranks: Ranks = ALONE,
        progress: Progress = silent,
    ) -> None:
        self.extractor, self.seed, self.batch = extractor, seed, batch
        self.ranks, self.progress = ranks, progress
        reals = Folder(dataset, mirror=mirror, workers=workers)
        same = {"data_sha256": ranks.once(dataset.digest), "num_real": len(reals), "mirror": mirror}
        self.facts = {"features": extractor.facts, "data": str(dataset.path), **same, **facts}
        self.reals = reference_features(
            reference or beside(dataset.path, extractor.key),
            {**extractor.facts, **same, **facts},
            lambda: self._features(reals, len(reals), "data"),
            ranks,
        )

    def _features(self, pictures: Pictures, num: int, what: str) -> Tensor:
        with self.progress(num, what) as on_batch:
            return features_of(
                pictures,
                num,
                self.extractor,
                batch=self.batch,
                ranks=self.ranks,
                on_batch=on_batch,
            )

    def row(self, pictures: Pictures, num: int, **facts: Any) -> dict[str, Any]:
        """Return all measures of pictures 0 to num - 1, by the first rank, and what they are of."""
        started = time.monotonic()
        fakes = self._features(pictures, num, "pictures")
        found = {}
        if self.ranks.is_first:
            found = compare_features(self.reals, fakes, self.extractor.key, self.seed)
        facts |= {"num_fake": num, **self.facts, "seed": self.seed, "processes": self.ranks.size}
        return {**found, **facts, "seconds": round(time.monotonic() - started, 2)}
