"""Bit-exact resuming: a run cut anywhere ends in the state of one that never stopped."""

import os
import re
import subprocess
import sys

import pytest
from train_gan_case import ROOT, invoke, make_pictures, training

ADA = ["--aug", "ada", "--p", 0.4, "--target", 0.1]  # moves every fourth step
TOTAL = 20  # R1 in steps 0 and 16; an epoch of 32 pictures is 8 steps


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_pictures(tmp_path_factory.mktemp("data") / "faces.zip")


@pytest.fixture(scope="module")
def straight(data, tmp_path_factory):
    """The digest of the run that never stopped."""
    return digests(training(data, tmp_path_factory.mktemp("runs"), *ADA, "--steps", TOTAL))[-1]


def digests(result):
    return re.findall(r"^state digest: (\w{64})$", result.stdout, re.MULTILINE)


def in_a_new_process(*args):
    command = [sys.executable, ROOT / "train_gan.py", *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, env=os.environ)
    assert done.returncode == 0, done.stderr
    return done


def cut(data, outdir, k, workers=1):
    """Train k steps, then the rest with another seed on the command line."""
    training(data, outdir, *ADA, "--steps", k, "--workers", workers)
    [run] = outdir.iterdir()
    return ["--data", data, "--resume", run, "--steps", TOTAL, "--seed", 77, "--workers", workers]


@pytest.mark.slow
def test_two_straight_runs_are_equal_and_the_seed_matters(data, straight, tmp_path):
    again = training(data, tmp_path / "again", *ADA, "--steps", TOTAL)
    other = training(data, tmp_path / "other", *ADA, "--steps", TOTAL, "--seed", 1)
    assert digests(again) == [straight] and digests(other) != [straight]


@pytest.mark.slow
def test_cut_inside_an_epoch_and_resumed_in_a_new_process(data, straight, tmp_path):
    assert digests(in_a_new_process(*cut(data, tmp_path, 6, workers=2))) == [straight]


@pytest.mark.parametrize(
    "k",
    [
        8,  # the end of an epoch
        *(pytest.param(k, marks=pytest.mark.slow) for k in (1, 3, 4, 5, 9, 15, 16, 17, 19)),
    ],
)
@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_cut_anywhere(data, straight, tmp_path, k, workers):
    assert digests(invoke(*cut(data, tmp_path, k, workers))) == [straight]


@pytest.mark.slow
def test_a_chain_of_cuts(data, straight, tmp_path):
    training(data, tmp_path, *ADA, "--steps", 4)
    [run] = tmp_path.iterdir()
    for k in (8, 12, 16, 20):
        result = invoke("--data", data, "--resume", run, "--steps", k)
    assert digests(result) == [straight]


@pytest.mark.slow
def test_resumed_twice_from_the_same_state(data, straight, tmp_path):
    training(data, tmp_path, *ADA, "--steps", 10)
    [run] = tmp_path.iterdir()
    first = invoke("--resume", run, "--steps", TOTAL)
    second = invoke("--resume", run / "state-000000010", "--steps", TOTAL)
    assert digests(first) == digests(second) == [straight]


@pytest.mark.slow
def test_classes(tmp_path):
    data = make_pictures(tmp_path / "classes.zip", labels=[index % 3 for index in range(32)])
    whole = training(data, tmp_path / "whole", "--cond", 1, *ADA, "--steps", TOTAL)
    training(data, tmp_path / "cut", "--cond", 1, *ADA, "--steps", 7)
    [run] = (tmp_path / "cut").iterdir()
    assert digests(invoke("--resume", run, "--steps", TOTAL)) == digests(whole)
