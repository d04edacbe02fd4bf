"""train_gan.py on data sets with faults: bad pictures, and a disk that does not answer."""

import json
import re
import shutil
import threading
import time
import zipfile

import pytest
from click.testing import CliRunner
from ranks_case import finish, start
from train_gan_case import TINY, assert_refused, invoke, make_pictures, training

import make_dataset
from data.dataset import ImageDataset

BAD = (5, 20, 33)
SKIP = ["--on-bad-image", "skip", "--bad-budget", 0.1]
DIGEST = re.compile(r"^state digest: (\w{64})$", re.MULTILINE)


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory):
    """A zip of 64 pictures, three of them cut short."""
    folder = tmp_path_factory.mktemp("data")
    whole = make_pictures(folder / "whole.zip", count=64)
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(folder / "set.zip", "w") as new:
        for index, info in enumerate(old.infolist()):
            content = old.read(info)
            new.writestr(info, content[:-40] if index in BAD else content)
    return folder / "set.zip"


def rows_of(outdir, name="stats.jsonl"):
    [run] = outdir.iterdir()
    return [json.loads(line) for line in (run / name).read_text().splitlines()]


def test_check_lists_them_and_training_may_do_without(spoiled, tmp_path):
    checked = CliRunner().invoke(make_dataset.make_dataset, ["check", str(spoiled)])
    assert checked.exit_code == 65 and len(checked.stdout.splitlines()) == len(BAD)
    steps = ["--steps", 16, "--tick", 0.064]  # an epoch: all have been met
    result = training(spoiled, tmp_path, *steps, *SKIP)
    assert rows_of(tmp_path)[-1]["bad_images"] == len(BAD)
    told = [line for line in result.stderr.splitlines() if line.startswith("warning: ")]
    assert sorted(re.findall(r"img0*(\d+)\.png", "".join(told))) == sorted(map(str, BAD))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_run_puts_the_same_pictures_in_their_place(spoiled, tmp_path, workers):
    whole = training(spoiled, tmp_path / "whole", "--steps", 18, *SKIP)
    training(spoiled, tmp_path / "cut", "--steps", 9, *SKIP, "--workers", workers)
    [run] = (tmp_path / "cut").iterdir()
    result = invoke("--resume", run, "--steps", 18)
    assert DIGEST.findall(result.stdout)[-1:] == DIGEST.findall(whole.stdout)[-1:]


def test_more_than_the_budget_end_the_run(spoiled, tmp_path):
    args = ["--data", spoiled, "--outdir", tmp_path, *TINY, "--steps", 18]
    result = invoke(*args, "--on-bad-image", "skip", "--bad-budget", 0.04)
    assert_refused(result, "E-DATA-BAD", 65)
    assert "3 of 64 pictures cannot be used; --bad-budget 0.04 allows 2" in result.stderr


def test_a_read_without_an_answer_ends_the_run(spoiled, tmp_path, monkeypatch):
    data = shutil.copy(spoiled, tmp_path / "set.zip")
    read, reads, answer = ImageDataset.__getitem__, [], threading.Event()

    def hang(self, index):
        reads.append(index)
        if len(reads) > 20 and threading.current_thread() is not threading.main_thread():
            answer.wait(60)
        return read(self, index)

    monkeypatch.setattr(ImageDataset, "__getitem__", hang)
    started = time.monotonic()
    args = ["--data", data, "--outdir", tmp_path / "runs", *TINY, "--steps", 18, *SKIP]
    result = invoke(*args, "--data-timeout", 1)
    answer.set()
    assert_refused(result, "E-IO-TIMEOUT", 74)
    assert str(data) in result.stderr and ".png" in result.stderr
    assert time.monotonic() - started < 10


@pytest.mark.slow
def test_two_processes_count_and_measure_as_one(spoiled, tmp_path):
    """What each of them meets is counted once; the distance is that of all their pictures."""
    code = """
import sys, train_gan
train_gan.METRIC_IMAGES = 100
sys.argv[0] = "train_gan.py"
train_gan.main()
"""
    options = [
        *TINY,
        "--batch=8",
        "--steps",
        16,
        "--tick",
        0.064,
        "--snap",
        1,
        *SKIP,
        "--metrics=fd_pixels16",
    ]
    for num in (1, 2):
        args = [f"--data={spoiled}", f"--outdir={tmp_path / str(num)}", *options]
        finish(start(code, num, args=args))
    alone, both = ([row["bad_images"] for row in rows_of(tmp_path / n)] for n in "12")
    assert alone == both == [3, 3]
    alone, both = (rows_of(tmp_path / n, "metric-fd_pixels16.jsonl") for n in "12")
    for one, two in zip(alone, both, strict=True):
        assert two["fd_pixels16"] == pytest.approx(one["fd_pixels16"], rel=0.01)
