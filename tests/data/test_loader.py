"""The stream of training pictures: its order, its threads, and what it does about bad pictures."""

import hashlib
import logging
import os
import subprocess
import sys
import threading
import time
from contextlib import closing
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from dataset_case import COUNT, SIZE, noise_pictures, unpack, write_set

from data import loader as loader_module
from data import threads
from data.dataset import DatasetError, ImageDataset
from data.loader import Loader, LoaderConfig, sample_order, substitutes

ROOT = Path(__file__).parent.parent.parent
WORKERS = pytest.mark.parametrize("workers", [0, 1, 2])


@pytest.fixture(scope="module")
def arrays():
    return noise_pictures()


@pytest.fixture
def path(tmp_path):
    return write_set(tmp_path / "set.zip")


def take(dataset, count, batch=4, *, start=0, rank=0, size=1, labels=None, **config):
    """Return the first `count` batches that rank `rank` of `size` is given, and the loader."""
    loader = Loader(dataset, LoaderConfig(**config), labels)
    stream = loader.batches(lambda k: range(k * batch + rank, (k + 1) * batch, size), start)
    with closing(stream):
        return list(islice(stream, count)), loader


def digests(batches):
    return [hashlib.sha256(image.numpy().tobytes()).digest() for b in batches for image in b.images]


# ---- order ----


def test_each_epoch_holds_every_picture_once():
    orders = []
    for epoch in range(4):
        stretch = range(epoch * COUNT, (epoch + 1) * COUNT)
        orders.append([sample_order(COUNT, 5, position)[0] for position in stretch])
        assert sorted(orders[-1]) == list(range(COUNT))
    assert len({tuple(order) for order in orders}) == 4


def test_order_depends_on_seed_and_position_alone():
    positions = [0, 7, 10**9, COUNT, 7]
    first = [sample_order(COUNT, 5, p) for p in positions]
    loader_module._epoch.cache_clear()
    assert [sample_order(COUNT, 5, p) for p in reversed(positions)] == first[::-1]
    assert [sample_order(COUNT, 6, p) for p in range(20)] != [
        sample_order(COUNT, 5, p) for p in range(20)
    ]


def test_half_are_mirrored_and_it_changes_between_epochs():
    flips = np.array([sample_order(100, 0, p) for p in range(10_000)])
    assert abs(flips[:, 1].mean() - 0.5) < 4 * 0.5 / 100
    per_picture = [flips[flips[:, 0] == k, 1].mean() for k in range(100)]
    assert 0.25 < min(per_picture) and max(per_picture) < 0.75


@WORKERS
def test_batches_are_the_pictures_of_the_order(path, arrays, workers):
    dataset = ImageDataset(path)
    table = dataset.label_table()
    found, _ = take(dataset, 12, 5, seed=3, mirror=True, workers=workers, labels=table)
    for step, (images, labels) in enumerate(found):
        assert images.shape == (5, 3, SIZE, SIZE) and images.dtype == torch.float32
        assert images.is_contiguous() and labels.shape == (5, COUNT)
        for place in range(5):
            index, is_mirrored = sample_order(COUNT, 3, 5 * step + place)
            expected = arrays[index].astype(np.float64) / 127.5 - 1
            expected = (expected[:, ::-1] if is_mirrored else expected).transpose(2, 0, 1)
            np.testing.assert_allclose(images[place].numpy(), expected, atol=1e-6)
            assert labels[place].argmax().item() == index


def test_without_mirror_nothing_is_mirrored(path, arrays):
    [batch], _ = take(ImageDataset(path), 1, COUNT, seed=3)
    stored = torch.from_numpy(arrays.transpose(0, 3, 1, 2).copy()).float() / 127.5 - 1
    expected = {hashlib.sha256(image.numpy().tobytes()).digest() for image in stored}
    assert set(digests([batch])) == expected and batch.labels is None


@WORKERS
def test_a_resumed_stream_continues_the_old_one(path, workers):
    whole, _ = take(ImageDataset(path), 20, seed=1, mirror=True)
    resumed, _ = take(ImageDataset(path), 11, seed=1, mirror=True, start=9, workers=workers)
    assert digests(resumed) == digests(whole[9:])


@pytest.mark.parametrize("size", [2, 3])
def test_ranks_share_one_stream(path, size):
    options = dict(seed=2, mirror=True)
    whole, _ = take(ImageDataset(path), 8, 6, **options)
    parts = [take(ImageDataset(path), 8, 6, rank=r, size=size, **options) for r in range(size)]
    for step, batch in enumerate(whole):
        images = torch.stack([found[step].images for found, _ in parts], 1).flatten(0, 1)
        assert torch.equal(images, batch.images)


# ---- threads ----


@WORKERS
def test_closing_the_stream_ends_its_threads(path, workers):
    before = threading.active_count()
    stream = Loader(ImageDataset(path), LoaderConfig(workers=workers)).batches(lambda k: [k])
    for _ in islice(stream, 3):
        assert threading.active_count() == before + workers
    stream.close()
    assert threading.active_count() == before


def test_threads_load_a_few_batches_ahead_and_no_more(path):
    asked = []
    loader = Loader(ImageDataset(path), LoaderConfig(workers=2))
    with closing(loader.batches(lambda k: asked.append(k) or [k], 5)) as stream:
        next(stream)
        assert asked == [5, 6, 7, 8]
        next(stream)
        assert asked == [5, 6, 7, 8, 9]


def before_each_read(monkeypatch, call):
    read = ImageDataset.__getitem__
    monkeypatch.setattr(ImageDataset, "__getitem__", lambda *args: (call(), read(*args))[1])


def test_two_threads_read_at_the_same_time(path, monkeypatch):
    before_each_read(monkeypatch, threading.Barrier(2, timeout=20).wait)
    assert len(take(ImageDataset(path), 2, 1, workers=2)[0]) == 2


def test_slow_reads_are_no_hang(path, monkeypatch):
    """The limit is for one picture: 8 of 0.05 s each may take longer than 0.2 s."""
    before_each_read(monkeypatch, lambda: time.sleep(0.05))
    [batch], _ = take(ImageDataset(path), 1, 8, timeout=0.2)
    assert len(batch.images) == 8


@pytest.mark.parametrize("workers", [1, 2])
def test_a_read_that_hangs_is_named(tmp_path, path, workers, monkeypatch):
    monkeypatch.setattr(threads, "PATIENCE", 0.2)
    folder = unpack(path, tmp_path / "loose")
    dataset = ImageDataset(folder)
    names = [f"{folder}/{dataset.names[sample_order(COUNT, 0, p)[0]]}" for p in range(12)]
    stuck = Path(names[6])
    stuck.unlink()
    os.mkfifo(stuck)  # opening it waits for a writer that never comes
    loader = Loader(dataset, LoaderConfig(workers=workers, timeout=0.5))
    stream = loader.batches(lambda k: range(4 * k, 4 * k + 4))
    next(stream)
    started = time.monotonic()
    with pytest.raises(DatasetError) as error:
        next(stream)
    assert 0.4 < time.monotonic() - started < 6
    assert error.value.code == "E-IO-TIMEOUT" and str(stuck) in str(error.value)
    with stuck.open("wb"):  # lets the thread go
        pass


@pytest.mark.parametrize(("ending", "code"), [("", 0), ("raise SystemExit(7)", 7)])
def test_the_process_can_leave_while_a_read_hangs(tmp_path, path, ending, code):
    folder = unpack(path, tmp_path / "loose")
    script = f"""
import os, pathlib, sys
from data.dataset import ImageDataset
from data.loader import Loader, LoaderConfig
dataset = ImageDataset({str(folder)!r})
stream = Loader(dataset, LoaderConfig(workers=2, timeout=0.5)).batches(lambda k: range(4))
for name in dataset.names:
    path = pathlib.Path({str(folder)!r}, name)
    path.unlink()
    os.mkfifo(path)
try:
    next(stream)
except ValueError as error:
    print(error.code)
{ending}
"""
    started = time.monotonic()
    command = [sys.executable, "-c", script]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert run.stdout == "E-IO-TIMEOUT\n" and time.monotonic() - started < 30
    assert run.returncode == code and run.stderr == ""


def test_the_process_can_leave_while_threads_are_busy(path):
    """Those in native code must not come back to an interpreter that is gone."""
    script = f"""
import torch
from data.dataset import ImageDataset
from data.loader import Loader, LoaderConfig
class Slow(ImageDataset):
    def __getitem__(self, index):
        torch.rand(2_000_000).sort()
        return super().__getitem__(index)
stream = Loader(Slow({str(path)!r}), LoaderConfig(workers=2)).batches(lambda k: [k])
next(stream)
raise SystemExit(7)
"""
    command = [sys.executable, "-c", script]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stderr) == (7, "")


# ---- bad pictures ----


def spoil(folder, indices):
    names = ImageDataset(folder, skip_bad=True).names
    for index in indices:
        (folder / names[index]).write_bytes(b"junk")
    return names


@WORKERS
def test_a_bad_picture_reaches_the_trainer_as_an_error(tmp_path, path, workers):
    folder = unpack(path, tmp_path / "loose")
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
def test_bad_pictures_are_replaced_counted_and_named_once(tmp_path, path, arrays, workers, caplog):
    bad = {0, 4, 11, 12, 22}
    folder = unpack(path, tmp_path / "loose")
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


def test_substitutes_depend_on_nothing_but_seed_and_position(tmp_path, path):
    """Neither a resumed stream nor another rank, who met other bad pictures, chooses otherwise."""
    folder = unpack(path, tmp_path / "loose")
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
def test_more_bad_pictures_than_the_budget_end_it(tmp_path, path, workers, num_bad, budget):
    folder = unpack(path, tmp_path / "loose")
    spoil(folder, range(num_bad))
    dataset = ImageDataset(folder, skip_bad=True)
    with pytest.raises(DatasetError, match=str(folder)) as error:
        take(dataset, 30, workers=workers, bad_budget=budget)
    assert error.value.code == "E-DATA-BAD"


def test_the_budget_is_a_share_of_the_set(tmp_path, path):
    folder = unpack(path, tmp_path / "loose")
    spoil(folder, range(3))
    for budget, fits in ((3 / COUNT, True), (2.999 / COUNT, False), (1, True)):
        dataset = ImageDataset(folder, skip_bad=True)
        if fits:
            assert take(dataset, 30, bad_budget=budget)[1].bad == {0, 1, 2}
        else:
            with pytest.raises(DatasetError, match="allows 2"):
                take(dataset, 30, bad_budget=budget)


def test_a_budget_is_not_lost_to_rounding(path):
    assert int(13 / COUNT * COUNT) == 12
    dataset = ImageDataset(path, skip_bad=True)
    Loader(dataset, LoaderConfig(bad_budget=13 / COUNT)).check_budget(13)


def test_a_set_in_which_all_has_gone_bad_ends_it(tmp_path, path):
    folder = unpack(path, tmp_path / "loose")
    dataset = ImageDataset(folder, skip_bad=True)
    spoil(folder, range(COUNT))
    with pytest.raises(DatasetError, match="allows 22") as error:
        take(dataset, 1, bad_budget=1)
    assert error.value.code == "E-DATA-BAD"


def test_what_the_storage_does_is_not_the_pictures_fault(tmp_path, path):
    folder = unpack(path, tmp_path / "loose")
    dataset = ImageDataset(folder, skip_bad=True)
    for name in dataset.names:
        (folder / name).unlink()
    with pytest.raises(DatasetError, match="no such file") as error:
        take(dataset, 1, bad_budget=1)
    assert error.value.code == "E-DATA-MISSING"
