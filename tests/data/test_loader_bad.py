"""Bad pictures in the stream: an error, or deterministic substitutes within a budget."""

import logging
from contextlib import closing
from itertools import islice

import numpy as np
import pytest
import torch
from dataset_case import COUNT, digests, noise_pictures, take, unpack, write_set

from data.dataset import DatasetError, ImageDataset
from data.loader import Loader, LoaderConfig, sample_order, substitutes

WORKERS = pytest.mark.parametrize("workers", [0, 1, 2])


@pytest.fixture(scope="module")
def arrays():
    return noise_pictures()


@pytest.fixture
def folder(tmp_path):
    return unpack(write_set(tmp_path / "set.zip"), tmp_path / "loose")


def spoil(folder, indices):
    names = ImageDataset(folder, skip_bad=True).names
    for index in indices:
        (folder / names[index]).write_bytes(b"junk")
    return names


@WORKERS
def test_a_bad_picture_reaches_the_trainer_as_an_error(folder, workers):
    names = spoil(folder, [7])
    at = [sample_order(COUNT, 0, position)[0] for position in range(COUNT)].index(7)
    loader = Loader(ImageDataset(folder), LoaderConfig(workers=workers, bad_budget=1))
    with closing(loader.batches(lambda k: range(4 * k, 4 * k + 4))) as stream:
        assert len(list(islice(stream, at // 4))) == at // 4  # those before it are given out
        with pytest.raises(DatasetError, match=names[7]):
            next(stream)


def replaced(position, seed, bad):
    """Return what must stand at a position, computed anew."""
    indices = [sample_order(COUNT, seed, position)[0]]
    indices += islice(substitutes(COUNT, seed, position), 50)
    return next(index for index in indices if index not in bad)


@WORKERS
def test_bad_pictures_are_replaced_counted_and_named_once(folder, arrays, workers, caplog):
    bad = {0, 4, 11, 12, 22}
    names = spoil(folder, bad)
    dataset = ImageDataset(folder, skip_bad=True)
    with caplog.at_level(logging.WARNING):
        found, loader = take(
            dataset, 18, 5, seed=6, workers=workers, bad_budget=0.25, labels=torch.eye(COUNT)
        )
    indices = torch.cat([batch.labels for batch in found]).argmax(1).tolist()
    assert indices == [replaced(position, 6, bad) for position in range(90)]
    images = torch.cat([batch.images for batch in found]).numpy()
    expected = arrays[indices].transpose(0, 3, 1, 2) / 127.5 - 1
    np.testing.assert_allclose(images, expected, atol=1e-6)
    assert loader.bad == bad
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 5 and all(sum(names[k] in line for line in lines) == 1 for k in bad)


def test_substitutes_depend_on_nothing_but_seed_and_position(folder):
    """Neither a resumed stream nor another rank, who met other bad pictures, chooses otherwise."""
    spoil(folder, [3, 9, 10, 15])
    options = dict(seed=4, mirror=True, bad_budget=0.2)

    def load(*args, **more):
        dataset = ImageDataset(folder, skip_bad=True)
        return digests(take(dataset, *args, **options, **more)[0])

    whole = load(20, 4)
    for start in (3, 11, 19):
        assert load(20 - start, 4, start=start) == whole[4 * start :]
    halves = [load(20, 4, rank=rank, size=2) for rank in range(2)]
    assert [digest for pair in zip(*halves, strict=True) for digest in pair] == whole
    assert load(10, 8) == whole


def test_substitutes_are_spread_over_the_set():
    drawn = [next(substitutes(COUNT, 0, position)) for position in range(2300)]
    counts = np.bincount(drawn, minlength=COUNT)
    assert ((counts - 100) ** 2 / 100).sum() < 48.3  # chi squared, 22 degrees, p = 0.001
    assert drawn != [next(substitutes(COUNT, 1, position)) for position in range(2300)]


@WORKERS
@pytest.mark.parametrize(("num_bad", "budget"), [(3, 0.1), (2, 0.001), (COUNT - 1, 0.9), (4, 0.0)])
def test_more_bad_pictures_than_the_budget_end_it(folder, workers, num_bad, budget):
    spoil(folder, range(num_bad))
    dataset = ImageDataset(folder, skip_bad=True)
    with pytest.raises(DatasetError, match=str(folder)) as error:
        take(dataset, 30, workers=workers, bad_budget=budget)
    assert error.value.code == "E-DATA-BAD"


def test_the_budget_is_a_share_of_the_set(folder):
    spoil(folder, range(3))
    for budget, fits in ((3 / COUNT, True), (2.999 / COUNT, False), (1, True)):
        dataset = ImageDataset(folder, skip_bad=True)
        if fits:
            assert take(dataset, 30, bad_budget=budget)[1].bad == {0, 1, 2}
        else:
            with pytest.raises(DatasetError, match="allows 2"):
                take(dataset, 30, bad_budget=budget)


def test_a_budget_is_not_lost_to_rounding(folder):
    assert int(13 / COUNT * COUNT) == 12
    dataset = ImageDataset(folder, skip_bad=True)
    Loader(dataset, LoaderConfig(bad_budget=13 / COUNT)).check_budget(13)


def test_a_set_in_which_all_has_gone_bad_ends_it(folder):
    dataset = ImageDataset(folder, skip_bad=True)
    spoil(folder, range(COUNT))
    with pytest.raises(DatasetError, match="allows 22") as error:
        take(dataset, 1, bad_budget=1)
    assert error.value.code == "E-DATA-BAD"


def test_what_the_storage_does_is_not_the_pictures_fault(folder):
    dataset = ImageDataset(folder, skip_bad=True)
    for name in dataset.names:
        (folder / name).unlink()
    with pytest.raises(DatasetError, match="no such file") as error:
        take(dataset, 1, bad_budget=1)
    assert error.value.code == "E-DATA-MISSING"
