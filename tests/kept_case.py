"""Trainings whose every step leaves a state, for tests of what is kept when something fails."""

import os
import re
import subprocess
import sys

import pytest
from train_gan_case import ROOT, TINY, make_pictures, training

from engine.record import read_record
from engine.states import list_states, load_state, state_folder

TOTAL = 6
EVERY = ["--ckpt-minutes", 1e-6]  # a state after every step


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_pictures(tmp_path_factory.mktemp("data") / "faces.zip")


@pytest.fixture(scope="module")
def straight(data, tmp_path_factory):
    """The digests of all states of the run that nothing happened to."""
    found = digests(training(data, tmp_path_factory.mktemp("runs"), *EVERY, "--steps", TOTAL))
    assert len(set(found)) == len(found) == TOTAL
    return found


@pytest.fixture
def start(data, tmp_path):
    """Start trainings as processes, in `tmp_path`; end them after the test."""
    started = []

    def start(*more, fault=None, command=()):
        words = ["--data", data, "--outdir", tmp_path, *TINY, *EVERY, "--resume", "auto", *more]
        process = subprocess.Popen(
            [*command, sys.executable, ROOT / "train_gan.py", *map(str, words)],
            env={**os.environ, **({"FAULT": fault} if fault else {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def digests(result):
    return re.findall(r"^state digest: (\w{64})$", result.stdout, re.MULTILINE)


def steps(run):
    return [load_state(folder)["trainer"]["step_count"] for folder in list_states(run)]


def course(run):
    found = read_record(run)
    return found["status"], found["step"], found["last_good"]


def only_run(outdir):
    [run] = outdir.iterdir()
    return run


def has_state(outdir, step):
    return any(state_folder(run, step).exists() for run in outdir.iterdir())


def resumed(data, outdir):
    """Return the digest at the end of the run in `outdir`, resumed in this process."""
    result = training(data, outdir, *EVERY, "--steps", TOTAL, "--resume", "auto")
    run = only_run(outdir)
    assert not list(run.glob(".*")) and course(run) == ("done", TOTAL, TOTAL)
    assert (run / "LATEST").read_text() == f"state-00000000{TOTAL}\n"
    return digests(result)[-1]
