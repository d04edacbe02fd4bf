"""train_gan.py from end to end on 32 tiny pictures."""

import json
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_models import digest, tiny_generator, tiny_trainer
from train_gan_case import ROOT, TINY, assert_refused, invoke, make_pictures, training

from data.faces import describe, draw
from engine.digest import state_digest
from engine.record import read_record
from engine.seeding import derive_generator
from engine.states import load_state
from evaluation.report import save_sheet
from stylegan import load_generator
from stylegan.reporting import sample_grid


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_pictures(tmp_path_factory.mktemp("data") / "faces.zip")


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    """A finished run of four steps: its folder and what was printed."""
    outdir = tmp_path_factory.mktemp("runs")
    result = training(data, outdir, "--steps", 4, "--tick", 0.008, "--snap", 1, "--desc", "a b")
    [folder] = outdir.iterdir()
    return folder, result.stdout


# --- a run -------------------------------------------------------------------------------------


def test_run_folder(run):
    folder, _ = run
    assert folder.name == "00000-t-faces-gpus1-batch4-gamma1-a-b"
    assert sorted(os.listdir(folder)) == [
        "LATEST",
        "RUN.json",
        "curves.png",
        "discriminator.safetensors",
        "fakes000000.png",
        "fakes_init.png",
        "generator-000000.safetensors",
        "generator.safetensors",
        "log.txt",
        "reals.png",
        "state-000000002",
        "state-000000004",
        "stats.jsonl",
        "training_options.json",
    ]
    options = json.loads((folder / "training_options.json").read_text())
    assert (options["cbase"], options["desc"], options["steps"]) == (128, "a b", 4)


def test_statistics(run):
    folder, printed = run
    rows = [json.loads(line) for line in (folder / "stats.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 4]
    assert [row["kimg"] for row in rows] == [0.008, 0.016]
    names = {"kimg", "step", "g_loss", "d_loss", "real_sign", "r1", "images_per_sec", "lr"}
    names |= {"g_grad_norm", "d_grad_norm", "p", "skipped_steps", "fake_sign", "sec_per_kimg"}
    names |= {"bad_images", "cpu_mem_gb"}
    assert all(set(row) == names for row in rows)
    assert rows[0]["r1"] > 0 == rows[1]["r1"]  # applied in step 0
    assert all(row["lr"] == 1 and row["images_per_sec"] > 0 for row in rows)
    lines = printed.splitlines()
    pattern = r"tick \d +kimg 0\.0 +time 0:00:\d\d +s/kimg [\d.]+ +augment 0\.000 +g_loss [\d.]+ "
    assert all(re.match(pattern, line) for line in lines[::2])
    states = [load_state(folder / f"state-00000000{step}") for step in (2, 4)]
    assert lines[1::2] == [f"state digest: {state_digest(state)}" for state in states]
    assert (folder / "log.txt").read_text().splitlines() == lines


def test_record(run):
    record = read_record(run[0])
    assert (record["status"], record["step"], record["last_good"]) == ("done", 4, 4)
    assert torch.__version__.startswith(record["versions"]["torch"])


def test_statistics_are_means_over_the_tick(data, tmp_path):
    rows = {}
    for tick in (0.004, 0.008):
        training(data, tmp_path / str(tick), "--steps", 4, "--tick", tick)
        [folder] = (tmp_path / str(tick)).iterdir()
        lines = (folder / "stats.jsonl").read_text().splitlines()
        rows[tick] = [json.loads(line) for line in lines]
    for name in ("g_loss", "d_loss", "real_sign"):
        single = [row[name] for row in rows[0.004]]
        expected = [np.mean(single[:2]), np.mean(single[2:])]
        assert [row[name] for row in rows[0.008]] == pytest.approx(expected, abs=1e-6)
    assert rows[0.008][0]["r1"] == rows[0.004][0]["r1"]  # of the only step that has one


def test_sheets(run, data):
    folder, _ = run
    reals = np.asarray(Image.open(folder / "reals.png"))
    assert reals.shape == (4 * 16, 8 * 16, 3)
    third = np.asarray(draw(describe(0, 10), 16).convert("RGB"))
    np.testing.assert_array_equal(reals[16:32, 32:48], third)
    first, last = (np.asarray(Image.open(folder / f"fakes{n}.png")) for n in ("_init", "000000"))
    assert first.shape == last.shape == (8 * 16, 8 * 16, 3)
    assert (first != last).any()


def test_generator_file(run):
    folder, _ = run
    G = load_generator(folder / "generator.safetensors")
    assert G.config.img_resolution == 16 and G.config.num_layers == 4
    state = load_state(folder / "state-000000004")
    averaged = state["trainer"]["G_ema"]
    assert digest(dict(G.state_dict())) == digest(dict(averaged))
    assert digest(dict(averaged)) != digest(dict(state["trainer"]["G"]))
    content = (folder / "generator.safetensors").read_bytes()
    assert (folder / "generator-000000.safetensors").read_bytes() == content


def test_sheet_shows_the_averaged_generator(tmp_path):
    trainer = tiny_trainer(seed=3)
    with torch.no_grad():
        trainer.G.synthesis.layers[-1].bias.add_(1)  # the live one is much brighter
    save_sheet(tmp_path / "a.png", sample_grid(trainer), 8)
    z = torch.randn(64, 16, generator=derive_generator(0, "grid"))
    with torch.no_grad():
        x = tiny_generator(seed=3)(z).double().numpy()
    levels = np.clip(np.rint((x + 1) * 127.5), 0, 255)
    sheet = np.asarray(Image.open(tmp_path / "a.png")).reshape(8, 16, 8, 16, 3)
    shown = sheet.transpose(0, 2, 4, 1, 3).reshape(64, 3, 16, 16)
    assert np.abs(shown - levels).max() <= 1


# --- resuming ----------------------------------------------------------------------------------


def test_resuming_to_a_larger_total_is_bit_exact(data, run, tmp_path):
    more = ["--seed", 3, "--aug", "ada", "--p", 0.5]
    training(data, tmp_path / "straight", "--steps", 7, *more)
    training(data, tmp_path / "parts", "--steps", 4, *more)
    [straight], [parts] = (tmp_path / "straight").iterdir(), (tmp_path / "parts").iterdir()
    training(data, tmp_path / "parts", "--steps", 7, "--seed", 5, "--resume", parts)
    assert [p.name for p in (tmp_path / "parts").iterdir()] == [parts.name], "a second run folder"
    expected, found = (load_state(p / "state-000000007") for p in (straight, parts))
    assert digest(found) == digest(expected)
    weights = [(p / "generator.safetensors").read_bytes() for p in (straight, parts)]
    assert weights[0] == weights[1]
    other_seed = load_state(run[0] / "state-000000004")
    earlier = load_state(parts / "state-000000004")
    assert digest(other_seed["trainer"]["G"]) != digest(earlier["trainer"]["G"])


def test_statistics_of_steps_that_were_lost_are_dropped(data, tmp_path):
    training(data, tmp_path, "--steps", 2)
    [folder] = tmp_path.iterdir()
    lines = [json.dumps({"kimg": 0.004 * step, "step": step}) for step in (1, 2, 3)]
    (folder / "stats.jsonl").write_text("\n".join([*lines, '{"kimg": 0.0']))
    training(data, tmp_path, "--steps", 3, "--resume", folder)
    assert (folder / "stats.jsonl").read_text().splitlines() == lines[:2]


def test_a_resumed_run_keeps_its_options(data, tmp_path):
    training(data, tmp_path / "one", "--steps", 2)
    training(data, tmp_path / "two", "--steps", 3)
    [one], [two] = ((tmp_path / name).iterdir() for name in ("one", "two"))
    assert invoke("--data", data, "--steps", 3, "--resume", one).exit_code == 0
    states = [digest(load_state(p / "state-000000003")) for p in (one, two)]
    assert states[0] == states[1]
    again = invoke("--data", data, "--resume", two)  # whose length is kept, so it has ended
    assert again.exit_code == 0 and [p.name for p in two.glob("state-*4")] == []


def test_small_presets_take_what_is_not_given(data):
    shown = json.loads(invoke("--data", data, "--cfg", "t-64", "--cmax", 32, "-n").stdout)
    assert (shown["channel_base"], shown["channel_max"], shown["num_layers"]) == (2048, 32, 8)
    assert (shown["batch"], shown["gamma"], shown["first_stopband"]) == (8, 2.0, 8.0)


@pytest.mark.slow
def test_a_damaged_state_gives_way_to_the_one_before(data, tmp_path):
    training(data, tmp_path, "--steps", 4, "--tick", 0.004, "--snap", 1)
    [folder] = tmp_path.iterdir()
    expected = digest(load_state(folder / "state-000000004"))
    (folder / "state-000000004" / "state.pt").write_bytes(b"torn")
    result = training(data, tmp_path, "--steps", 4, "--resume", folder)
    assert "state-000000004: training state is damaged" in result.stderr
    assert digest(load_state(folder / "state-000000004")) == expected


@pytest.mark.parametrize(
    ("change", "code", "exit_code"),
    [
        (["--cbase", 64], "E-MODEL-MISMATCH", 76),
        (["--glr", 0.1], "E-MODEL-MISMATCH", 76),
        (["--resume", "nowhere"], "E-MODEL-MISSING", 66),
        (["--data", "other.zip"], "E-DATA-MISMATCH", 76),
    ],
)
def test_resuming_something_else_is_refused(
    data, run, tmp_path, monkeypatch, change, code, exit_code
):
    monkeypatch.chdir(tmp_path)
    make_pictures(tmp_path / "other.zip", count=8, seed=1)
    before = {p.name for p in run[0].iterdir()}
    args = ["--data", data, *TINY, "--steps", 6, "--resume", run[0], *change]
    assert_refused(invoke(*args), code, exit_code)
    assert {p.name for p in run[0].iterdir()} == before


def test_a_run_that_is_not_there(tmp_path):
    assert_refused(invoke("--resume", tmp_path / "nowhere"), "E-MODEL-MISSING", 66)


def test_sigterm_leaves_a_whole_state(data, tmp_path):
    command = [sys.executable, ROOT / "train_gan.py", "--data", data, "--outdir", tmp_path, *TINY]
    command += ["--steps", "100000", "--tick", "0.004", "--snap", "1000000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        for _ in range(3):
            assert process.stdout.readline().startswith(b"tick")
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 75
    [folder] = tmp_path.iterdir()
    [line] = errors.decode().splitlines()
    assert line.startswith(
        f"error[E-TRAIN-STOPPED]: {folder}: stopped on request (SIGTERM) at step"
    )
    [path] = folder.glob("state-*")
    state = load_state(path)["trainer"]
    count = state["step_count"]
    record = read_record(folder)
    assert [record[k] for k in ("status", "reason", "step")] == ["preempted", "SIGTERM", count]
    assert count >= 3 and path.name == f"state-{count:09d}"
    taken = {int(entry["step"]) for entry in state["g_opt"].values()}
    assert taken == {count}
    taken = max(int(entry["step"]) for entry in state["d_opt"].values())
    assert taken == count + -(-count // 16)  # one more for every R1
    training(data, tmp_path, "--steps", count + 1, "--resume", folder)
    assert (folder / f"state-{count + 1:09d}").exists()
    load_generator(folder / "generator.safetensors")
