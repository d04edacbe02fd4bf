# ruff: noqa: F811
"""train_encoder.py from end to end on a tiny generator."""

import os
import shutil
import signal
import sys

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from tiny_models import digest, tiny_generator
from torchrun_case import TWO_HERE, Launch
from train_encoder_case import (  # noqa: F401
    data,
    examples,
    generator_path,
    invoke,
    plain,
    rows_of,
    small,
    training,
)
from train_gan_case import ROOT

import train_encoder
from encoder import load_encoder
from encoder.training import EncoderTrainer
from engine.files import file_sha256
from engine.lock import run_lock
from engine.record import read_record
from engine.session import Session, Wish
from engine.states import load_state
from stylegan import load_generator
from stylegan.checkpoint import save_generator

LATENTS = ("v", "coarse", "middle", "fine")
EXAM = [f"{kind}_{name}" for name in LATENTS for kind in ("mse", "r2")] + ["flow_loss"]
LOSSES = {"train_mean", "train_flow", "train_image"}
FIGURES = {*EXAM, *(f"degraded_{name}" for name in EXAM), *LOSSES, "step"}


def assert_refused(result, code, exit_code, outdir=None):
    assert result.exit_code == exit_code, result.output
    [line] = [line for line in result.stderr.splitlines() if line.startswith("error")]
    assert line.startswith(f"error[{code}]: ")
    assert "Traceback" not in result.output
    assert outdir is None or not outdir.exists()


@pytest.fixture(scope="module")
def run(generator_path, tmp_path_factory):
    outdir = tmp_path_factory.mktemp("runs")
    result = training(generator_path, outdir, "--steps", 3, "--eval-every", 2)
    [folder] = outdir.iterdir()
    return folder, result.stdout


# --- a run -------------------------------------------------------------------------------------


def test_run_folder(run):
    folder, _ = run
    assert folder.name == "00000-encoder-batch4"
    assert sorted(os.listdir(folder)) == [
        "LATEST",
        "RUN.json",
        "curves.png",
        "encoder.safetensors",
        "log.txt",
        "state-000000002",
        "state-000000003",
        "stats.jsonl",
        "training_options.json",
    ]
    curve = Image.open(folder / "curves.png")
    assert min(curve.size) >= 400 and len(np.unique(np.asarray(curve.convert("L")))) > 10


def test_statistics(run):
    folder, printed = run
    rows = rows_of(folder)
    assert [row["step"] for row in rows] == [2, 3]
    assert all(set(row) == FIGURES for row in rows)
    assert all(np.isfinite(list(row.values())).all() for row in rows)
    assert all(row["train_image"] == 0 and row["train_flow"] > 0.5 for row in rows)
    assert [line.split()[:2] for line in printed.splitlines()] == [["step", "2"], ["step", "3"]]
    for name in ("train_mean", "train_flow", "r2_v", "flow_loss", "degraded_r2_v"):
        assert f"{name} {rows[1][name]:.4f}" in printed


def test_figures_are_those_of_the_stored_encoder(run, generator_path, plain):
    """The last line of the statistics, computed again from the files."""
    folder, _ = run
    encoder = load_encoder(folder / "encoder.safetensors", generator_path)
    batch = plain.held_out(100)
    with torch.no_grad():
        errors = (batch.v - encoder(batch.look).v).double().numpy()
    row = rows_of(folder)[-1]
    assert row["mse_v"] == pytest.approx(np.mean(errors**2), rel=1e-5)
    spread = batch.v.double().numpy() - batch.v.double().numpy().mean(0)
    assert row["r2_v"] == pytest.approx(1 - np.sum(errors**2) / np.sum(spread**2), abs=1e-5)
    root = encoder.residual_sqrt_cov.double().numpy()
    np.testing.assert_allclose(root @ root, errors.T @ errors / 100, rtol=1e-3, atol=1e-3)


def test_the_file_keeps_the_curvature_of_plain_small_pictures(run, generator_path, examples):
    folder, _ = run
    kept = load_encoder(folder / "encoder.safetensors", generator_path).curvature
    torch.testing.assert_close(kept, train_encoder.measured_curvature(examples))
    assert kept.any(1).sum() == train_encoder.NUM_PROBES


def test_encoder_belongs_to_its_generator(run, generator_path):
    folder, _ = run
    encoder = load_encoder(folder / "encoder.safetensors", generator_path)
    num_ws = load_generator(generator_path).config.num_ws
    assert encoder.config.generator_sha256 == file_sha256(generator_path)
    assert (encoder.config.latent_dim, encoder.config.num_ws) == (16, num_ws)


@pytest.mark.slow
def test_training_with_real_pictures(generator_path, data, tmp_path):
    training(generator_path, tmp_path, "--steps", 2, "--eval-every", 2, "--data", data)
    [row] = rows_of(next(tmp_path.iterdir()))
    assert set(row) == FIGURES and row["train_image"] > 0.001
    encoder = load_encoder(next(tmp_path.glob("*/encoder.safetensors")), generator_path)
    assert encoder.shares.weight.any()


# --- resuming ----------------------------------------------------------------------------------


TWO_PROCESSES = f"""
import sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]
import encoder.backbone, tiny_models, train_encoder
encoder.backbone.resnet50 = tiny_models.small_resnet
train_encoder.NUM_HELD_OUT = 40
train_encoder.main()
"""
SAVE = Wish(save=True, stop=0)
ENDINGS = [
    (signal.SIGINT, 130, "interrupted"),
    (signal.SIGTERM, 75, "error[E-TRAIN-STOPPED]: "),
]


def stopped(generator_path, outdir, monkeypatch, at, ending, *more):
    """Train, with a signal in the midst of a step."""
    number, exit_code, said = ending
    honest = EncoderTrainer.step

    def step(self, batch):
        if self.step_count == at - 1:
            self.optimizer.register_step_post_hook(lambda *_: signal.raise_signal(number))
        return honest(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(EncoderTrainer, "step", step)
        result = invoke("--generator", generator_path, "--outdir", outdir, *more)
    assert result.exit_code == exit_code and result.stderr.splitlines()[-1].startswith(said)
    [run] = outdir.iterdir()
    record = read_record(run)
    assert (record["status"], record["step"], record["last_good"]) == ("preempted", at, at)


@pytest.mark.parametrize("ending", [pytest.param(ENDINGS[0], marks=pytest.mark.slow), ENDINGS[1]])
def test_resuming_is_bit_exact(generator_path, tmp_path, monkeypatch, ending):
    more = ["--steps", 3, "--eval-every", 3, "--seed", 5]
    training(generator_path, tmp_path / "straight", *more)
    stopped(generator_path, tmp_path / "parts", monkeypatch, 2, ending, *more)
    [straight], [parts] = (tmp_path / "straight").iterdir(), (tmp_path / "parts").iterdir()
    assert [row["step"] for row in rows_of(parts)] == [2]
    resume = "auto" if ending[0] == signal.SIGTERM else parts
    training(generator_path, tmp_path / "parts", *more, "--resume", resume)
    expected, found = (load_state(p / "state-000000003") for p in (straight, parts))
    assert digest(found) == digest(expected)
    assert len(list((tmp_path / "parts").iterdir())) == 1, "a second run folder"
    [last], again = rows_of(straight), rows_of(parts)[-1]
    assert {k: again[k] for k in FIGURES - LOSSES} == {k: last[k] for k in FIGURES - LOSSES}


@pytest.mark.slow
def test_going_back_to_a_state(run, generator_path, tmp_path):
    """Its figures go back as well, and states between two looks change nothing."""
    folder = shutil.copytree(run[0], tmp_path / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "after_step", lambda self, step: setattr(self, "step", step) or SAVE)
        more = ["--steps", 3, "--eval-every", 2, "--resume", folder / "state-000000002"]
        result = invoke("--generator", generator_path, "--batch", 4, *more)
    assert result.exit_code == 0, result.output
    assert [row["step"] for row in rows_of(folder)] == [2, 3]
    states = [load_state(p / "state-000000003") for p in (folder, run[0])]
    assert digest(states[0]) == digest(states[1])
    assert sorted(os.listdir(folder)) == sorted(os.listdir(run[0]))


def test_a_second_training_in_the_folder_is_refused(run, generator_path):
    folder, _ = run
    with run_lock(folder):
        result = invoke("--generator", generator_path, "--steps", 5, "--resume", folder)
    assert_refused(result, "E-OUT-LOCKED", 73)


def test_resuming_something_else_is_refused(run, generator_path, tmp_path):
    folder, _ = run
    other = tmp_path / "other.safetensors"
    save_generator(other, tiny_generator(seed=8))
    before = digest((folder / "stats.jsonl").read_text())
    result = invoke("--generator", other, "--steps", 5, "--resume", folder)
    assert_refused(result, "E-MODEL-MISMATCH", 76)
    result = invoke("--generator", generator_path, "--steps", 5, "--resume", tmp_path)
    assert_refused(result, "E-MODEL-MISSING", 66)
    assert digest((folder / "stats.jsonl").read_text()) == before


# --- what is refused ---------------------------------------------------------------------------


def test_wrong_generator(tmp_path, run):
    outdir = tmp_path / "runs"
    (tmp_path / "note.txt").write_text("not a model")
    for path, code, exit_code in [
        (tmp_path / "nothing.safetensors", "E-MODEL-MISSING", 66),
        (tmp_path / "note.txt", "E-MODEL", 65),
        (run[0] / "encoder.safetensors", "E-MODEL", 65),
    ]:
        result = invoke("--generator", path, "--outdir", outdir, "--steps", 1)
        assert_refused(result, code, exit_code, outdir)
        assert str(path) in result.stderr


@pytest.mark.slow
def test_two_processes_train_the_encoder_of_one(generator_path, data, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(TWO_PROCESSES)
    options = ["--generator", generator_path, "--data", data, "--batch=8", "--fp32=true"]
    options += ["--steps=3", "--eval-every=3", "--passes=1"]
    for outdir, launcher in (("one", []), ("two", ["-m", "torch.distributed.run", *TWO_HERE])):
        words = [*launcher, script, *options, "--outdir", tmp_path / outdir]
        with Launch([sys.executable, *words], tmp_path / "logs", {}) as launch:
            assert launch.wait() == 0, launch.complaints
    one, two = (load_state(next((tmp_path / n).glob("*/state-000000003"))) for n in ("one", "two"))
    for index, expected in one["optimizer"].items():
        difference = two["optimizer"][index]["exp_avg"] - expected["exp_avg"]  # of the gradients
        assert difference.norm() <= 0.01 * expected["exp_avg"].norm() + 1e-7, index
    first, second = (rows_of(next((tmp_path / n).iterdir()))[-1] for n in ("one", "two"))
    for name, value in first.items():
        assert second[name] == pytest.approx(value, abs=2e-3), name


@pytest.mark.parametrize("change", [["--batch", "0"], ["--lr", "0"], ["--steps", "abc"], ["--x"]])
def test_usage_errors(tmp_path, change):
    outdir = tmp_path / "runs"
    args = ["--generator", str(tmp_path / "none"), "--outdir", str(outdir), *change]
    assert_refused(CliRunner().invoke(train_encoder.main, args), "E-USAGE", 2, outdir)
