"""train_gan.py when something is wrong: one line, the right code, nothing half written."""

import json
import re
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image
from train_gan_case import ROOT, TINY, assert_refused, invoke, make_pictures, training

import train_gan
from engine import states
from stylegan import checkpoint, load_generator
from stylegan.presets import resolve, training_config


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_pictures(tmp_path_factory.mktemp("data") / "faces.zip")


def test_dry_run_writes_nothing(data, tmp_path):
    result = training(data, tmp_path / "runs", "--steps", 4, "-n")
    assert not (tmp_path / "runs").exists()
    shown = json.loads(result.stdout)
    assert shown["img_resolution"] == 16 and shown["margin_size"] == 4 and shown["batch"] == 4
    assert shown["total_steps"] == 4 and shown["data"] == str(data)
    numbers = 5 * shown["g_parameters"] + 4 * shown["d_parameters"]
    assert shown["state_bytes"] == 4 * numbers > 0 and shown["memory_gb"] < 0.1


def test_configuration_r_has_twice_the_channels(data):
    shown = json.loads(invoke("--data", data, "--cfg", "r", "-n").stdout)
    assert (shown["channel_base"], shown["channel_max"]) == (65536, 1024)
    assert (shown["conv_kernel"], shown["use_radial_filters"]) == (1, True)


@pytest.mark.parametrize(
    ("batch", "given", "expected"), [(32, None, 2 / 256), (8, None, 8 / 256), (8, 3.5, 3.5)]
)
def test_gamma_follows_resolution_and_batch(batch, given, expected):
    """2 (res / 256)^2 32 / batch at 16 pixels."""
    context = train_gan.main.make_context("x", ["--data", "x"])
    options = resolve(context.params) | {
        "batch": batch,
        "gamma": given,
        "steps": None,
        "kimg": 1,
        "fp32": True,
    }
    config = training_config(options, 16)
    assert config.gamma == pytest.approx(expected)
    assert config.total_steps == round(1000 / batch)
    assert config.ema_kimg == pytest.approx(batch * 10 / 32)


def test_wrong_data(tmp_path):
    outdir = tmp_path / "runs"
    (tmp_path / "note.txt").write_text("not a zip")
    (tmp_path / "empty").mkdir()
    for name, code, exit_code in [
        ("nothing.zip", "E-DATA-MISSING", 66),
        ("note.txt", "E-DATA-ZIP", 65),
        ("empty", "E-DATA-EMPTY", 65),
    ]:
        result = invoke("--data", tmp_path / name, "--outdir", outdir, *TINY)
        assert_refused(result, code, exit_code, outdir)
        assert str(tmp_path / name) in result.stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--first-cutoff", 8], "first_cutoff is 8"),
        (["--first-stopband", 1], "first_stopband is 1"),
        (["--batch", 6], "batch of 6: not divisible"),
    ],
)
def test_options_that_do_not_fit_together(data, tmp_path, change, said):
    result = invoke("--data", data, "--outdir", tmp_path / "runs", *TINY, *change)
    assert_refused(result, "E-CONFIG", 78, tmp_path / "runs")
    assert said in result.stderr


def test_pictures_of_a_size_no_generator_has(tmp_path):
    pixels = np.zeros((12, 12, 3), np.uint8)
    (tmp_path / "set").mkdir()
    Image.fromarray(pixels).save(tmp_path / "set" / "a.png")
    result = invoke("--data", tmp_path / "set", "--outdir", tmp_path / "runs", *TINY)
    assert_refused(result, "E-CONFIG", 78, tmp_path / "runs")
    assert "12" in result.stderr


def test_a_damaged_picture_ends_the_run_with_its_name(tmp_path):
    path = make_pictures(tmp_path / "faces.zip", count=8)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 20] = bytes(20)
    path.write_bytes(content)
    result = invoke("--data", path, "--outdir", tmp_path / "runs", *TINY, "--steps", 4)
    assert_refused(result, "E-DATA-MEMBER", 65)
    assert re.search(r"img0000000\d\.png", result.stderr)


@pytest.mark.slow
def test_gradients_that_stay_not_finite_end_the_run(data, tmp_path, monkeypatch):
    from stylegan import training

    honest = training.generator_loss
    calls = []

    def poisoned(logits):
        calls.append(len(calls) + 1)
        return honest(logits) * (float("nan") if calls[-1] in (2, 3) or calls[-1] >= 7 else 1)

    monkeypatch.setattr(training, "generator_loss", poisoned)
    more = ["--steps", 100, "--tick", 0.004, "--snap", 1]
    result = invoke("--data", data, "--outdir", tmp_path, *TINY, *more)
    assert_refused(result, "E-TRAIN-NAN", 79)
    assert len(calls) == 15 and "9 in a row, 11 of the last 1000" in result.stderr
    [folder] = tmp_path.iterdir()
    rows = [json.loads(line) for line in (folder / "stats.jsonl").read_text().splitlines()]
    assert [row["skipped_steps"] for row in rows][:7] == [0, 1, 2, 2, 2, 2, 3]
    load_generator(folder / "generator.safetensors")


def test_weights_that_are_not_finite_are_not_published(data, tmp_path, monkeypatch):
    from stylegan.training import Trainer

    honest = Trainer.step

    def poisoned(self, *batch):
        step = honest(self, *batch)
        if self.step_count == 2:
            with torch.no_grad():
                self.G_ema.synthesis.layers[0].bias[0] = float("nan")
        return step

    monkeypatch.setattr(Trainer, "step", poisoned)
    more = ["--steps", 2, "--tick", 0.004, "--snap", 1]
    result = invoke("--data", data, "--outdir", tmp_path, *TINY, *more)
    assert_refused(result, "E-TRAIN-NAN", 79)
    [folder] = tmp_path.iterdir()
    assert [p.name for p in folder.glob("state-*")] == ["state-000000001"]
    load_generator(folder / "generator.safetensors")


def test_a_full_disk_is_one_line_and_keeps_the_last_state(data, tmp_path, monkeypatch):
    training(data, tmp_path, "--steps", 2)
    [folder] = tmp_path.iterdir()

    def full(*_, **__):
        raise OSError(28, "No space left on device", "generator.safetensors")

    monkeypatch.setattr(checkpoint, "save", full)
    result = invoke("--data", data, *TINY, "--steps", 3, "--resume", folder)
    assert_refused(result, "E-IO-FULL", 74)
    assert sorted(p.name for p in folder.glob("state-*")) == ["state-000000002", "state-000000003"]
    assert not list(folder.glob(".*"))


def test_a_state_of_another_kind_of_run_is_refused(data, tmp_path):
    states.publish_state(tmp_path, 1, {"encoder": {}})
    args = ["--data", data, *TINY, "--steps", 3, "--resume", tmp_path]
    assert_refused(invoke(*args), "E-MODEL-MISSING", 66)  # it lacks its options
    (tmp_path / "training_options.json").write_text("{}")
    assert_refused(invoke(*args), "E-MODEL-MISMATCH", 76)


@pytest.mark.parametrize(
    "change",
    [
        ["--batch", "abc"],
        ["--batch", "0"],
        ["--gamma", "-1"],
        ["--steps", "0"],
        ["--cfg", "x"],
        ["--anneal", "1.5"],
        ["--colour", "1"],
    ],
)
def test_usage_errors(tmp_path, change):
    started = time.monotonic()
    result = invoke("--data", tmp_path / "none", "--outdir", tmp_path / "runs", *change)
    assert_refused(result, "E-USAGE", 2, tmp_path / "runs")
    assert time.monotonic() - started < 1


def test_usage_errors_do_not_load_torch():
    code = "import sys, train_gan\ntry: train_gan.main(['--batch', 'abc'])\n"
    code += "except SystemExit as e: sys.exit(e.code if 'torch' not in sys.modules else 99)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, timeout=60)
    assert done.returncode == 2, done.stderr
