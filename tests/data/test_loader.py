"""The stream of training pictures: its order and its threads."""

import hashlib
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
from dataset_case import COUNT, SIZE, digests, noise_pictures, take, unpack, write_set

from data import loader as loader_module
from data import threads
from data.dataset import DatasetError, ImageDataset
from data.loader import Loader, LoaderConfig, sample_order

ROOT = Path(__file__).parent.parent.parent
WORKERS = pytest.mark.parametrize("workers", [0, 1, 2])


@pytest.fixture(scope="module")
def arrays():
    return noise_pictures()


@pytest.fixture
def path(tmp_path):
    return write_set(tmp_path / "set.zip")


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


def test_the_process_can_leave_while_a_read_hangs(tmp_path, path):
    folder = unpack(path, tmp_path / "loose")
    script = f"""
import os, pathlib, sys
from data.dataset import ImageDataset
from data.loader import Loader, LoaderConfig
dataset = ImageDataset({str(folder)!r})
stream = Loader(dataset, LoaderConfig(workers=2, timeout=0.3)).batches(lambda k: range(4))
for name in dataset.names:
    path = pathlib.Path({str(folder)!r}, name)
    path.unlink()
    os.mkfifo(path)
try:
    next(stream)
except ValueError as error:
    print(error.code)
"""
    started = time.monotonic()
    command = [sys.executable, "-c", script]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert run.stdout == "E-IO-TIMEOUT\n" and time.monotonic() - started < 30
    assert run.returncode == 0 and run.stderr == ""


def test_the_process_can_leave_while_threads_are_busy(path):
    """Those in native code must not come back to an interpreter that is gone."""
    script = f"""
import torch
from data.dataset import ImageDataset
from data.loader import Loader, LoaderConfig
class Slow(ImageDataset):
    def __getitem__(self, index):
        torch.rand(500_000).sort()
        return super().__getitem__(index)
stream = Loader(Slow({str(path)!r}), LoaderConfig(workers=2)).batches(lambda k: [k])
next(stream)
raise SystemExit(7)
"""
    command = [sys.executable, "-c", script]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stderr) == (7, "")
