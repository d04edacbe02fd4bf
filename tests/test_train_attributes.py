"""train_attributes.py from end to end, on few and small pictures."""

import json
import os
import signal

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from tiny_models import digest

import train_attributes
from attributes import network, pictures
from attributes.lessons import lesson_of
from attributes.reader import load_reader
from attributes.schema import CHOICES
from attributes.training import ReaderTrainer
from data.image_io import from_uint8
from engine.lock import run_lock
from engine.record import read_record
from engine.states import load_state

FIGURES = {"step", "train_loss", "accuracy", "accuracy_grey"}
NUM = 12


@pytest.fixture(scope="module", autouse=True)
def small():
    """Twelve held-out pictures instead of 5,000, all drawn small, and a narrow network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_attributes, "NUM_HELD_OUT", NUM)
        patch.setattr(train_attributes, "PAPER", 5)
        patch.setattr(pictures, "DRAWN_SIDE", 32)
        honest = network.ReaderConfig
        patch.setattr(network, "ReaderConfig", lambda: honest(width=2, num_features=8))
        yield


def invoke(*args):
    args = [*map(str, args), "--batch", "4", "--fp32", "true", "--workers", "0"]
    return CliRunner().invoke(train_attributes.main, args, prog_name="train_attributes.py")


def training(*args):
    result = invoke(*args)
    assert result.exit_code == 0, result.output
    return result.stdout


def rows_of(folder):
    return [json.loads(line) for line in (folder / "stats.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    outdir = tmp_path_factory.mktemp("runs")
    printed = training("--outdir", outdir, "--steps", 3, "--eval-every", 2)
    [folder] = outdir.iterdir()
    return folder, printed


def test_run_folder(run):
    folder, _ = run
    assert folder.name == "00000-attributes-batch4"
    assert sorted(os.listdir(folder)) == [
        "LATEST",
        "RUN.json",
        "attributes.safetensors",
        "curves.png",
        "log.txt",
        "marks.md",
        "state-000000002",
        "state-000000003",
        "stats.jsonl",
        "training_options.json",
    ]
    assert read_record(folder)["status"] == "done"
    assert len(np.unique(np.asarray(Image.open(folder / "curves.png").convert("L")))) > 10


def test_figures_are_those_of_the_stored_reader(run):
    """The last line of the statistics, computed again from the files and other pictures' code."""
    folder, printed = run
    rows = rows_of(folder)
    assert [row["step"] for row in rows] == [2, 3] and set(rows[0]) == FIGURES
    paper = pictures.exam(pictures.Task(0, 0, NUM))
    seen = load_reader(folder / "attributes.safetensors").read(from_uint8(paper.pictures))
    shares = []
    for k, name in enumerate(CHOICES):
        right = paper.truth.choices[:, k]
        guess = seen.chances[name].argmax(1).numpy()
        shares.append((guess == right)[right >= 0].mean())
    assert rows[1]["accuracy"] == pytest.approx(np.mean(shares))
    assert f"accuracy {rows[1]['accuracy']:.4f} in colour" in printed
    assert f"| glasses | {100 * shares[list(CHOICES).index('glasses')]:.1f} % |" in printed
    assert (folder / "marks.md").read_text() in printed


def stopped(outdir, monkeypatch, at, *more):
    """Train, with a SIGTERM in the midst of a step."""
    honest = ReaderTrainer.step

    def step(self, examples):
        if self.step_count == at - 1:
            signal.raise_signal(signal.SIGTERM)
        return honest(self, examples)

    with monkeypatch.context() as patch:
        patch.setattr(ReaderTrainer, "step", step)
        result = invoke("--outdir", outdir, *more)
    assert result.exit_code == 75, result.output
    assert result.stderr.splitlines()[-1].startswith("error[E-TRAIN-STOPPED]: ")
    [folder] = outdir.iterdir()
    assert read_record(folder)["status"] == "preempted"
    return folder


def test_resuming_is_bit_exact(tmp_path, monkeypatch):
    more = ["--steps", 3, "--eval-every", 3, "--seed", 5]
    training("--outdir", tmp_path / "straight", *more)
    parts = stopped(tmp_path / "parts", monkeypatch, 2, *more)
    training("--outdir", tmp_path / "parts", *more, "--resume", parts)
    [straight] = (tmp_path / "straight").iterdir()
    expected, found = (load_state(p / "state-000000003") for p in (straight, parts))
    assert digest(found) == digest(expected)
    last, again = rows_of(straight)[-1], rows_of(parts)[-1]
    assert {**again, "train_loss": 0} == {**last, "train_loss": 0}


def test_drawing_elsewhere_changes_nothing():
    """With a process of its own, which draws as large as ever: 256."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures, "DRAWN_SIDE", 256)
        drawn = []
        for workers in (0, 1):
            options = {"seed": 3, "batch": 2, "workers": workers}
            stream = train_attributes.batches(lesson_of("attributes"), 7, options)
            drawn.append([next(stream), next(stream)])
            stream.close()
    for here, there in zip(*drawn, strict=True):
        np.testing.assert_array_equal(here.pictures, there.pictures)
        np.testing.assert_array_equal(here.truth.choices, there.truth.choices)
    assert not np.array_equal(drawn[0][0].pictures, drawn[0][1].pictures)


def test_a_second_training_in_the_folder_is_refused(run):
    folder, _ = run
    with run_lock(folder):
        result = invoke("--steps", 5, "--resume", folder)
    assert result.exit_code == 73 and "error[E-OUT-LOCKED]: " in result.stderr


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu(tmp_path):
    result = invoke("--outdir", tmp_path / "runs", "--device", "cuda")
    assert result.exit_code == 69 and "sees no GPU" in result.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("change", [["--batch", "0"], ["--lr", "0"], ["--steps", "a"], ["--x"]])
def test_usage_errors(tmp_path, change):
    args = ["--outdir", str(tmp_path / "runs"), *change]
    result = CliRunner().invoke(train_attributes.main, args)
    assert result.exit_code == 2 and result.stderr.startswith("error[E-USAGE]: ")
    assert not (tmp_path / "runs").exists()
