"""train_colorizer.py from end to end, on few and small pictures."""

import json
import os
import signal
import sys

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from tiny_models import digest, small_resnet, tiny_generator

import train_colorizer
from baselines import presets
from baselines.colorizer import Colorizer, grey, load_colorizer
from baselines.pictures import exam_of, sort_out
from baselines.training import ColorizerTrainer
from data.dataset import ImageDataset
from data.faces import describe, draw
from data.image_io import to_uint8
from engine.lock import run_lock
from engine.record import read_record
from engine.states import load_state
from stylegan.checkpoint import save_generator


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Faces of two sizes, and a grey one."""
    folder = tmp_path_factory.mktemp("pictures")
    for k in range(14):
        draw(describe(5, k), 32 + 8 * (k % 2)).save(folder / f"{k:02d}.png")
    draw(describe(5, 14), 32, "grey").save(folder / "grey.png")
    return folder


def invoke(*args):
    args = [*map(str, args), "--fp32", "true", "--workers", "0"]
    return CliRunner().invoke(train_colorizer.main, args, prog_name="train_colorizer.py")


def training(data, outdir, cfg, *more):
    small = ["--size", 32, "--width", 4, "--batch", 4]
    result = invoke("--cfg", cfg, "--data", data, "--outdir", outdir, *small, *more)
    assert result.exit_code == 0, result.output
    return result


def rows_of(folder):
    return [json.loads(line) for line in (folder / "stats.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    outdir = tmp_path_factory.mktemp("runs")
    result = training(data, outdir, "lab", "--steps", 3, "--eval-every", 2)
    [folder] = outdir.iterdir()
    return folder, result


def test_run_folder(run):
    folder, result = run
    assert folder.name == "00000-colorizer-lab-32"
    assert sorted(os.listdir(folder)) == [
        "LATEST", "RUN.json", "colorizer.safetensors", "curves.png", "log.txt",
        "seen-000002.png", "seen-000003.png", "state-000000002", "state-000000003",
        "stats.jsonl", "training_options.json", "unseen-000002.png", "unseen-000003.png",
    ]  # fmt: skip
    assert read_record(folder)["status"] == "done"
    assert Image.open(folder / "seen-000003.png").size == (11 * 32, 3 * 32)
    assert "15 pictures: 11 to learn from, 3 kept apart, 1 grey" in result.stderr
    assert [row["step"] for row in rows_of(folder)] == [2, 3]


def test_figures_are_those_of_the_stored_colouriser(run, data):
    """The last line of the statistics, computed again from the files by numpy."""
    folder, result = run
    colorizer = load_colorizer(folder / "colorizer.safetensors")
    dataset = ImageDataset(data, side=32)
    tiers = sort_out(dataset, colorizer.config, 0)
    row = rows_of(folder)[-1]
    for tier in ("seen", "unseen"):
        x = exam_of(dataset, getattr(tiers, tier), 99)
        made = to_uint8(colorizer(colorizer.see(x, grey(x)))).astype(float)
        errors = made - to_uint8(x)
        assert row[f"l1_{tier}"] == pytest.approx(np.abs(errors).mean(), rel=1e-3)
        assert row[f"l2_{tier}"] == pytest.approx((errors**2).mean(), rel=1e-3)
        assert f"{tier} L1 {row[f'l1_{tier}']:.2f} L2 {row[f'l2_{tier}']:.0f}" in result.stdout
    sheet = np.asarray(Image.open(folder / "unseen-000003.png"))
    assert np.abs(sheet[32:64] - made.reshape(-1, 32, 3).reshape(3, 32, 32, 3).transpose(
        1, 0, 2, 3).reshape(32, 96, 3)).max() <= 1  # fmt: skip


def stopped(monkeypatch, at, *args):
    """Train, with a SIGTERM in the midst of a step."""
    honest = ColorizerTrainer.step

    def step(self, x):
        if self.step_count == at - 1:
            signal.raise_signal(signal.SIGTERM)
        return honest(self, x)

    with monkeypatch.context() as patch:
        patch.setattr(ColorizerTrainer, "step", step)
        result = invoke(*args)
    assert result.exit_code == 75, result.output
    assert result.stderr.splitlines()[-1].startswith("error[E-TRAIN-STOPPED]: ")


def test_resuming_is_bit_exact(data, tmp_path, monkeypatch):
    """Of the preset with dropout; a stop leaves weights and pictures as well."""
    monkeypatch.setattr("evaluation.curves.draw_curves", lambda rows, path: None)
    more = ["--cfg", "cue", "--data", data, "--size", 32, "--width", 4, "--steps", 4]
    more += ["--eval-every", 4, "--seed", 5]
    assert invoke("--outdir", tmp_path / "straight", *more).exit_code == 0
    stopped(monkeypatch, 2, "--outdir", tmp_path / "parts", *more)
    [parts] = (tmp_path / "parts").iterdir()
    assert read_record(parts)["status"] == "preempted"
    assert (parts / "colorizer.safetensors").exists()
    assert invoke("--outdir", tmp_path / "parts", *more, "--resume", parts).exit_code == 0
    [straight] = (tmp_path / "straight").iterdir()
    expected, found = (load_state(p / "state-000000004") for p in (straight, parts))
    assert digest(found) == digest(expected)
    last, again = rows_of(straight)[-1], rows_of(parts)[-1]
    measured = [name for name in last if not name.startswith("train")]
    assert {name: last[name] for name in measured} == {name: again[name] for name in measured}


def test_a_state_is_resumed_with_the_same_pictures_only(run, tmp_path):
    folder, _ = run
    for k in range(12):
        draw(describe(6, k), 32).save(tmp_path / f"{k}.png")
    args = ["--cfg", "lab", "--data", tmp_path, "--size", 32, "--width", 4, "--batch", 4]
    result = invoke(*args, "--steps", 5, "--resume", folder)
    assert result.exit_code == 76 and "other pictures" in result.stderr


@pytest.mark.parametrize(
    ("cfg", "more", "name"),
    [
        ("cgan", ["--input", "canny"], "cgan-canny"),
        pytest.param("cue", ["--no-cue"], "cue-no-cue", marks=pytest.mark.slow),
        pytest.param("page", ["--no-judge"], "page-no-judge", marks=pytest.mark.slow),
        pytest.param("page", [], "page", marks=pytest.mark.slow),
    ],
)
def test_variants(data, tmp_path, cfg, more, name, monkeypatch):
    monkeypatch.setattr("evaluation.curves.draw_curves", lambda rows, path: None)
    training(data, tmp_path, cfg, "--steps", 1, *more)
    [folder] = tmp_path.iterdir()
    assert folder.name == f"00000-colorizer-{name}-32"
    assert load_colorizer(folder / "colorizer.safetensors").name == name


@pytest.mark.slow
@pytest.mark.parametrize("cfg", ["convnet", "cgan", "cascade"])
def test_every_other_preset(data, tmp_path, cfg):
    training(data, tmp_path, cfg, "--steps", 2)


def test_ancestor(tmp_path, monkeypatch):
    monkeypatch.setattr("encoder.gaussian.resnet50", small_resnet)
    monkeypatch.setattr("baselines.ancestor.NUM_HELD_OUT", 64)
    monkeypatch.setattr("evaluation.curves.draw_curves", lambda rows, path: None)
    save_generator(tmp_path / "g.safetensors", tiny_generator())
    args = ["--cfg", "ancestor", "--generator", tmp_path / "g.safetensors", "--steps", 3]
    result = invoke(*args, "--batch", 4, "--eval-every", 2, "--outdir", tmp_path / "runs")
    assert result.exit_code == 0, result.output
    folder = tmp_path / "runs" / "00000-ancestor"
    rows = rows_of(folder)
    assert [row["step"] for row in rows] == [2, 3]
    assert set(rows[0]) == {"step", "train_mse", "mse", "r2"} and rows[1]["r2"] < 1
    assert (folder / "ancestor.safetensors").exists()


def test_a_second_training_in_the_folder_is_refused(run, data):
    folder, _ = run
    with run_lock(folder):
        result = invoke("--cfg", "lab", "--data", data, "--size", 32, "--resume", folder)
    assert result.exit_code == 73 and "error[E-OUT-LOCKED]: " in result.stderr


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (["--cfg", "lab", "--size", "40"], 78, "Use a multiple of 16"),
        (["--cfg", "lab", "--backbone", "x"], 78, "lab has no backbone"),
        (["--cfg", "page", "--backbone", "x"], 65, "x: no weights of MobileNetV2"),
        (["--cfg", "ancestor"], 2, "needs a --generator"),
        (["--cfg", "other"], 2, "E-USAGE"),
        (["--cfg", "lab", "--batch", "1"], 2, "E-USAGE"),
    ],
)
def test_user_errors(data, tmp_path, change, code, message):
    result = invoke("--data", data, "--outdir", tmp_path / "runs", "--size", 32, *change)
    assert result.exit_code == code, result.output
    assert message in result.stderr and "Traceback" not in result.output
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("what", ["missing", "empty", "broken", "none"])
def test_bad_data(data, tmp_path, what):
    folder = tmp_path / "pictures"
    if what != "missing":
        folder.mkdir()
    if what == "broken":
        (folder / "torn.png").write_bytes((data / "00.png").read_bytes()[:99])
    given = [] if what == "none" else ["--data", folder]
    result = invoke("--cfg", "lab", *given, "--outdir", tmp_path / "runs")
    assert result.exit_code == {"missing": 66, "none": 2}.get(what, 65)
    expected = {"broken": "torn.png", "none": "needs --data"}.get(what, "pictures")
    assert expected in result.stderr and not (tmp_path / "runs").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu(data, tmp_path):
    result = invoke("--cfg", "lab", "--data", data, "--device", "cuda", "--outdir", tmp_path / "r")
    assert result.exit_code == 69 and not (tmp_path / "r").exists()


def test_names_that_the_verb_repeats_to_start_quickly():
    assert train_colorizer.NAMES == (*presets.PRESETS, train_colorizer.ANCESTOR)
    assert train_colorizer.INPUTS == presets.SEES
    assert "torch" in sys.modules and Colorizer
