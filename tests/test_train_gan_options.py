"""Options of train_gan.py that change what is trained: classes, passes, transfer, frozen layers."""

import json
import os
import shutil
import signal

import numpy as np
import pytest
import torch
from PIL import Image
from train_gan_case import TINY, assert_refused, invoke, make_pictures, training

import train_gan
from data.dataset import ImageDataset
from engine.states import load_state
from evaluation.frechet import pixels16
from stylegan import load_generator, reporting
from stylegan.batching import draw_latents
from stylegan.checkpoint import load_discriminator
from stylegan.presets import PRESETS, build_trainer, resolve, training_config


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_pictures(tmp_path_factory.mktemp("data") / "faces.zip")


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    """32 pictures of three classes."""
    path = tmp_path_factory.mktemp("data") / "classes.zip"
    return make_pictures(path, labels=[index % 3 for index in range(32)])


def only(folder):
    [run] = folder.iterdir()
    return run


def state_of(run, step):
    return load_state(run / f"state-{step:09d}")["trainer"]


def weights(module_state):
    return torch.cat([value.flatten() for value in module_state.values()])


# --- classes -----------------------------------------------------------------------------------


def test_classes(classes, tmp_path):
    training(classes, tmp_path, "--cond", "1", "--steps", 3)
    run = only(tmp_path)
    G = load_generator(run / "generator.safetensors")
    assert G.config.c_dim == load_discriminator(run / "discriminator.safetensors").config.c_dim == 3
    z = torch.randn(1, 16).expand(3, 16)
    pictures = G(z, torch.eye(3))
    assert not torch.equal(pictures[0], pictures[1])
    result = invoke("--data", classes, "--resume", run, "--steps", 4)
    assert result.exit_code == 0, result.output
    assert state_of(run, 4)["step_count"] == 4


def test_classes_need_labels(data, tmp_path):
    result = invoke("--data", data, "--outdir", tmp_path / "runs", *TINY, "--cond", "1")
    assert_refused(result, "E-DATA-LABEL", 65, tmp_path / "runs")


def test_labels_are_ignored_unless_asked_for(classes, tmp_path):
    training(classes, tmp_path, "--steps", 1)
    assert load_generator(only(tmp_path) / "generator.safetensors").config.c_dim == 0


# --- passes ------------------------------------------------------------------------------------


def test_passes_change_nothing_but_rounding(data, tmp_path):
    more = ["--steps", 5, "--batch", 8, "--aug", "fixed", "--p", 0.5]
    training(data, tmp_path / "whole", *more)
    training(data, tmp_path / "parts", *more, "--batch-gpu", 4)
    whole, parts = (state_of(only(tmp_path / name), 5) for name in ("whole", "parts"))
    for name in ("G", "D", "G_ema"):
        a, b = weights(whole[name]), weights(parts[name])
        assert 0 < (a - b).norm() / a.norm() < 1e-4


def test_passes_must_divide_the_batch(data, tmp_path):
    for size, said in ((3, "not 1 processes times 3"), (2, "Lower --mbstd-group")):
        args = ["--data", data, "--outdir", tmp_path / "runs", *TINY, "--batch-gpu", size]
        result = invoke(*args)
        assert_refused(result, "E-CONFIG", 78, tmp_path / "runs")
        assert said in result.stderr


# --- transfer and frozen layers ----------------------------------------------------------------


@pytest.fixture(scope="module")
def parent(data, tmp_path_factory):
    outdir = tmp_path_factory.mktemp("parent")
    training(data, outdir, "--steps", 3)
    return only(outdir)


def test_transfer_takes_weights_and_nothing_else(data, parent, tmp_path):
    """With no learning rate the networks stay those of the file, in a run of its own age."""
    still = ["--glr", 0, "--dlr", 0, "--steps", 2, "--seed", 9]
    training(data, tmp_path, "--transfer", parent, *still)
    found, old = state_of(only(tmp_path), 2), state_of(parent, 3)
    assert found["step_count"] == 2
    for name, source in (("G", "G_ema"), ("G_ema", "G_ema"), ("D", "D")):
        learned = [k for k in old[source] if k.endswith(("weight", "bias"))]
        assert all(torch.equal(found[name][k], old[source][k]) for k in learned), name
    counts = {int(entry["step"]) for entry in found["g_opt"].values()}
    assert counts == {2}, "the optimiser came along"


def test_transfer_of_a_generator_alone_says_that_d_is_new(data, parent, tmp_path):
    (tmp_path / "model").mkdir()
    file = tmp_path / "model" / "g.safetensors"
    file.write_bytes((parent / "generator.safetensors").read_bytes())
    result = training(data, tmp_path / "runs", "--transfer", file, "--steps", 1)
    assert "note: " in result.stderr and "discriminator" in result.stderr


def test_a_transferred_run_resumes_without_the_file(data, parent, tmp_path):
    shutil.copytree(parent, tmp_path / "copy")
    training(data, tmp_path / "runs", "--transfer", tmp_path / "copy", "--steps", 4)
    straight = state_of(only(tmp_path / "runs"), 4)
    training(data, tmp_path / "two", "--transfer", tmp_path / "copy", "--steps", 2)
    shutil.rmtree(tmp_path / "copy")
    result = invoke("--data", data, "--resume", only(tmp_path / "two"), "--steps", 4)
    assert result.exit_code == 0, result.output
    found = state_of(only(tmp_path / "two"), 4)
    assert torch.equal(weights(found["G_ema"]), weights(straight["G_ema"]))


def test_transfer_to_other_networks_is_refused(data, parent, tmp_path):
    args = ["--data", data, "--outdir", tmp_path / "runs", *TINY, "--cmax", 4]
    result = invoke(*args, "--transfer", parent)
    assert_refused(result, "E-MODEL-MISMATCH", 76, tmp_path / "runs")
    assert "channel_max" in result.stderr


def test_frozen_layers_of_d_stay(data, parent, tmp_path):
    training(data, tmp_path, "--transfer", parent, "--freezed", 2, "--steps", 2)
    found, old = state_of(only(tmp_path), 2)["D"], state_of(parent, 3)["D"]
    kept = {name for name in old if torch.equal(found[name], old[name])}
    assert kept == {f"{k}.{v}" for k in ("from_rgb", "blocks.0.conv0") for v in ("weight", "bias")}


def options(**changes):
    given = {"cfg": "t", "batch": None, "gamma": None, "transfer": None, "device": "cpu"}
    given |= {"steps": None, "kimg": 100, "batch_gpu": None, "glr": 1, "dlr": 1, "seed": 0}
    return resolve(given | {"anneal": 0.3, "lr_floor": 0.25, "fp32": True} | changes)


def test_what_configuration_r_and_a_transfer_change_in_the_recipe():
    t, r, moved = (
        training_config(options(**change), 64)
        for change in ({}, {"cfg": "r"}, {"cfg": "r", "transfer": "x"})
    )
    assert (t.blur_sigma, r.blur_sigma, moved.blur_sigma) == (0, 10, 0)
    assert r.blur_kimg == 200  # at the batch of 32 of the paper
    assert (t.ema_rampup, r.ema_rampup, moved.ema_rampup) == (0.05, 0.05, None)
    assert moved.ema_beta(1) == moved.ema_beta(10**9) == pytest.approx(0.5 ** (32 / 10_000))


def test_the_discriminator_of_r_sees_blurred_pictures_at_first(data, monkeypatch):
    from stylegan import training as module

    seen = []
    monkeypatch.setattr(module, "blur", lambda images, sigma: seen.append(sigma) or images)
    context = options(cfg="r", batch=4, aug="noaug", blur=None) | {
        "cbase": 64, "cmax": 4, "num_layers": 4, "z_dim": 8, "w_dim": 8, "margin": 4,
        "first_cutoff": 2, "first_stopband": 4, "map_depth": 1, "mbstd_group": 4, "freezed": 0,
        "target": 0.6, "p": 0.0,
    }  # fmt: skip
    trainer = build_trainer(context, 16)
    trainer.step(torch.zeros(4, 3, 16, 16))
    assert seen == [10.0] * 4  # reals and fakes for D, fakes for G, reals for R1
    trainer.step_count = 100
    trainer.step(torch.zeros(4, 3, 16, 16))
    assert seen[4:] == pytest.approx([10 * (1 - 400 / 25_000)] * 3)  # over 4 x 200 / 32 kimg
    assert PRESETS["r"] == PRESETS["t"]


# --- what is resumed ---------------------------------------------------------------------------


def test_auto_goes_on_with_the_newest_run_of_its_name(data, tmp_path):
    training(data, tmp_path, "--steps", 2, "--resume", "auto")
    training(data, tmp_path, "--steps", 2, "--desc", "other")
    training(data, tmp_path, "--steps", 4, "--resume", "auto")
    names = sorted(run.name for run in tmp_path.iterdir())
    assert [name[:5] for name in names] == ["00000", "00001"]
    assert state_of(tmp_path / names[0], 4)["step_count"] == 4


@pytest.mark.slow
def test_an_older_state_can_be_named(data, tmp_path):
    training(data, tmp_path, "--steps", 4, "--tick", 0.004, "--snap", 1)
    run = only(tmp_path)
    expected = weights(state_of(run, 4)["G"])
    result = invoke("--resume", run / "state-000000002")  # the data is known, too
    assert result.exit_code == 0, result.output
    assert torch.equal(weights(state_of(run, 4)["G"]), expected)
    rows = [json.loads(line)["step"] for line in (run / "stats.jsonl").read_text().splitlines()]
    assert rows == [1, 2, 3, 4]


def test_other_pictures_only_if_allowed(data, tmp_path):
    other = make_pictures(tmp_path / "other.zip", count=8, seed=5)
    training(data, tmp_path / "runs", "--steps", 2)
    run = only(tmp_path / "runs")
    assert_refused(invoke("--resume", run, "--data", other), "E-DATA-MISMATCH", 76)
    args = ["--resume", run, "--data", other, "--allow-data-change", "1", "--steps", 3]
    assert invoke(*args).exit_code == 0
    assert (
        load_state(run / "state-000000003")["data_digest"]
        != load_state(run / "state-000000002")["data_digest"]
    )


# --- metrics -----------------------------------------------------------------------------------


def test_a_metric_at_every_snapshot(data, tmp_path, monkeypatch):
    monkeypatch.setattr(train_gan, "METRIC_IMAGES", 24)
    more = ["--metrics", "fd_pixels16", "--tick", 0.008, "--snap", 1]
    result = training(data, tmp_path, "--steps", 4, *more)
    run = only(tmp_path)
    rows = [json.loads(line) for line in (run / "metric-fd_pixels16.jsonl").open()]
    assert [(row["step"], row["kimg"]) for row in rows] == [(2, 0.008), (4, 0.016)]
    assert result.stdout.count("fd_pixels16 ") == 2
    trainer_z = draw_latents(0, "metric", range(24), 16)
    G = load_generator(run / "generator.safetensors")
    with torch.no_grad():
        fakes = pixels16(G(trainer_z)).double().numpy()
    dataset = ImageDataset(data)
    reals = np.stack([dataset[k] for k in range(32)])
    reals = np.concatenate([reals, reals[..., ::-1]]) / 127.5 - 1  # mirrored as they are trained on
    reals = pixels16(torch.from_numpy(reals).float()).double().numpy()
    covs = [np.cov(x, rowvar=False) for x in (fakes, reals)]
    overlap = np.sqrt(np.linalg.eigvals(covs[0] @ covs[1]).real.clip(0)).sum()
    expected = np.square(fakes.mean(0) - reals.mean(0)).sum() + np.trace(sum(covs)) - 2 * overlap
    assert rows[-1]["fd_pixels16"] == pytest.approx(expected, rel=1e-3)


def test_a_stop_does_not_wait_for_a_metric(data, tmp_path, monkeypatch):
    """The signal comes while the 32nd of 2,000 pictures is drawn; nothing is written of them."""
    drawn = []

    def drawing(trainer, indices):
        drawn.extend(indices)
        os.kill(os.getpid(), signal.SIGTERM)
        return torch.zeros(len(indices), 3, 16, 16)

    monkeypatch.setattr(reporting, "sample_indices", drawing)
    args = ["--data", data, "--outdir", tmp_path, *TINY, "--steps", 4, "--tick", 0.008]
    result = invoke(*args, "--snap", 1, "--metrics", "fd_pixels16")
    assert_refused(result, "E-TRAIN-STOPPED", 75)
    assert 0 < len(drawn) < 200
    assert not list(only(tmp_path).glob("metric-*")) and state_of(only(tmp_path), 3)


# --- what a resumed run keeps ------------------------------------------------------------------


def test_the_same_line_again(data, parent, tmp_path):
    """With --resume auto, a scheduler may start the very same command any number of times."""
    args = ["--transfer", parent, "--steps", 2, "--resume", "auto", "--on-bad-image", "skip"]
    for _ in range(3):
        training(data, tmp_path, *args)
    assert state_of(only(tmp_path), 2)


def test_a_new_length_is_kept(data, tmp_path):
    training(data, tmp_path, "--steps", 2)
    run = only(tmp_path)
    assert invoke("--resume", run, "--steps", 3).exit_code == 0
    stored = json.loads((run / "training_options.json").read_text())
    assert stored["steps"] == 3 and stored["batch"] == 4
    assert invoke("--resume", run).exit_code == 0
    assert json.loads((run / "training_options.json").read_text()) == stored


def test_a_run_without_its_options_is_refused(data, tmp_path):
    training(data, tmp_path, "--steps", 2)
    run = only(tmp_path)
    (run / "training_options.json").write_text("{")
    result = invoke("--resume", run, "--data", data, "--batch", 8)
    assert_refused(result, "E-MODEL-MISSING", 66)
    assert "training_options.json" in result.stderr


def test_auto_takes_the_options_of_the_run(classes, tmp_path):
    training(classes, tmp_path, "--steps", 2, "--cond", 1)
    result = invoke("--data", classes, "--outdir", tmp_path, *TINY, "--resume", "auto", "-n")
    shown = json.loads(result.stdout)
    assert shown["cond"] is True and shown["c_dim"] == 3 and shown["steps"] == 2


def test_a_skipped_step_does_not_spoil_the_means_of_its_tick(data, tmp_path, monkeypatch):
    from stylegan import training as module

    honest, calls = module.generator_loss, []

    def sometimes(logits):
        calls.append(0)
        return honest(logits) * (float("inf") if len(calls) == 2 else 1)

    monkeypatch.setattr(module, "generator_loss", sometimes)
    training(data, tmp_path, "--steps", 4, "--tick", 0.016)
    row = json.loads((only(tmp_path) / "stats.jsonl").read_text())
    assert row["skipped_steps"] == 1
    assert all(np.isfinite(value) for value in row.values())


def test_bad_pictures_are_remembered(tmp_path):
    (tmp_path / "set").mkdir()
    for index in range(8):
        pixels = np.full((16, 16, 3), 30 * index, np.uint8)
        Image.fromarray(pixels).save(tmp_path / "set" / f"{index}.png")
    (tmp_path / "set" / "3.png").write_bytes(b"no picture")
    more = ["--on-bad-image", "skip", "--bad-budget", 0.2, "--tick", 0.004]
    training(tmp_path / "set", tmp_path / "runs", "--steps", 2, *more)
    run = only(tmp_path / "runs")
    assert load_state(run / "state-000000002")["bad_pictures"] == [3]
    assert invoke("--resume", run, "--steps", 3).exit_code == 0
    rows = [json.loads(line) for line in (run / "stats.jsonl").open()]
    assert rows[-1]["bad_images"] == 1
