"""invert.py and its models: where candidates start, the default model, files that are refused."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import invert
from encoder.gaussian import GaussianConfig, GaussianEncoder
from encoder.model import save_encoder
from inversion.latent import LatentPrior
from stylegan.checkpoint import save_generator
from tests.inversion.tiny import tiny_generator
from tests.invert_case import Case, Run, assert_refused, quick_config, run, sha256


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    quick_config(monkeypatch)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    case = Case(tmp_path_factory.mktemp("invert"))
    yield case
    case.remove()


@pytest.fixture
def outs(tmp_path: Path) -> Path:
    folder = tmp_path / "outs"
    folder.mkdir()
    return folder


# ---- models that are used ----


@pytest.fixture(scope="module")
def encoder(case: Case) -> Path:
    """An encoder that answers 0.7 for every number of v, whatever it sees, without any doubt."""
    network = GaussianEncoder(GaussianConfig(16, sha256(case.generator)))
    torch.nn.init.zeros_(network.head.weight)
    torch.nn.init.constant_(network.head.bias, 0.7)
    network.residual_sqrt_cov.zero_()
    save_encoder(case.folder / "encoder.safetensors", network)
    return case.folder / "encoder.safetensors"


def latent_of(done: Run, case: Case) -> torch.Tensor:
    ws = load_file(done.folder / "ws.safetensors")["ws"]
    return LatentPrior.fit(case.G).from_w(ws[:, 0])


def test_candidates_start_at_the_encoders_guess(
    case: Case, encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick_config(monkeypatch, num_steps=1, delta_std=1e-9)
    guided = case.run("--samples", 3, "--encoder", encoder)
    alone = case.run("--samples", 3)
    assert (guided.code, guided.stderr) == (0, "")
    assert "candidates start from the prior" in alone.stderr and alone.stderr.startswith("note: ")
    assert guided.result["sha256"]["encoder"] == sha256(encoder)
    assert (latent_of(guided, case) - 0.7).abs().max() < 0.01
    assert (latent_of(alone, case) - 0.7).abs().mean() > 0.5


@pytest.fixture
def pretrained(case: Case, encoder: Path, tmp_path: Path, monkeypatch) -> Path:
    """A folder like pretrained/, with a manifest, in its place."""
    folder = tmp_path / "pretrained"
    folder.mkdir()
    os.link(case.generator, folder / "generator.safetensors")
    os.link(encoder, folder / "encoder.safetensors")
    files = {path.name: {"sha256": sha256(path)} for path in folder.iterdir()}
    (folder / "manifest.json").write_text(json.dumps({"files": files}))
    monkeypatch.setattr(invert, "PRETRAINED", folder)
    return folder


def test_the_default_model_is_generator_and_encoder(
    case: Case, encoder: Path, pretrained: Path, tmp_path: Path
) -> None:
    done = run("--image", case.image, "--samples", 1, outdir=tmp_path / "face")
    assert (done.code, done.stderr) == (0, "")
    assert done.result["sha256"]["generator"] == sha256(case.generator)
    assert done.result["sha256"]["encoder"] == sha256(encoder)


def test_a_default_model_that_is_not_as_its_manifest_is_refused(
    case: Case, pretrained: Path, tmp_path: Path
) -> None:
    manifest = pretrained / "manifest.json"
    manifest.write_text(manifest.read_text().replace(sha256(case.generator), "0" * 64))
    done = run("--image", case.image, outdir=tmp_path / "face")
    assert done.code == 65 and done.stderr.startswith("error[E-MODEL") and "SHA-256" in done.stderr


# ---- models that are refused ----


def damaged(case: Case) -> dict[str, bytes]:
    data = case.generator.read_bytes()
    nan = np.float32(np.nan).tobytes()
    return {
        "empty": b"",
        "cut": data[: len(data) // 2],
        "header_cut": data[:100],
        "not_finite": data[:-4] + nan,
        "pickle": b"\x80\x04\x95" + bytes(100),
        "text": b"not a model\n",
    }


@pytest.mark.parametrize("name", ["empty", "cut", "header_cut", "not_finite", "pickle", "text"])
def test_damaged_generators(case: Case, outs: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.safetensors"
    path.write_bytes(damaged(case)[name])
    done = run("--image", case.image, "--generator", path, outdir=outs / "face")
    assert_refused(done, 65, outs, "E-MODEL")
    assert str(path) in done.stderr


@pytest.mark.parametrize("changes", [{"c_dim": 3}, {"img_channels": 1}], ids=str)
def test_generators_of_another_kind(case: Case, outs: Path, tmp_path: Path, changes: dict) -> None:
    path = tmp_path / "other.safetensors"
    save_generator(path, tiny_generator(**changes))
    done = run("--image", case.image, "--generator", path, outdir=outs / "face")
    assert_refused(done, 65, outs, "E-MODEL-KIND")


def test_models_that_are_missing(case: Case, outs: Path, monkeypatch) -> None:
    nowhere = case.folder / "nowhere.safetensors"
    done = run("--image", case.image, "--generator", nowhere, outdir=outs / "face")
    assert_refused(done, 66, outs, "E-MODEL-MISSING")
    done = case.run("--encoder", nowhere, outdir=outs / "face")
    assert_refused(done, 66, outs, "E-MODEL-MISSING")
    monkeypatch.setattr(invert, "PRETRAINED", case.folder / "pretrained")
    done = run("--image", case.image, outdir=outs / "face")
    assert_refused(done, 66, outs, "E-MODEL-MISSING")
    done = run("--image", case.image, "--generator", case.folder, outdir=outs / "face")
    assert_refused(done, 65, outs, "E-MODEL")


def test_models_in_each_others_place(case: Case, outs: Path) -> None:
    done = case.run("--encoder", case.generator, outdir=outs / "face")
    assert_refused(done, 65, outs, "E-MODEL")
    assert "holds generator weights, encoder weights are needed" in done.stderr


def test_an_encoder_for_another_generator(case: Case, outs: Path, tmp_path: Path) -> None:
    path = tmp_path / "encoder.safetensors"
    save_encoder(path, GaussianEncoder(GaussianConfig(16, "0" * 64)))
    done = case.run("--encoder", path, outdir=outs / "face")
    path.unlink()
    assert_refused(done, 76, outs, "E-MODEL-MISMATCH")
