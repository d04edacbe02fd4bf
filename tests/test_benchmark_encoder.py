"""`benchmarks.encoder`: its baseline against numpy, and what it compares."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from tiny_models import small_resnet, tiny_generator

from benchmarks import encoder as benchmark
from encoder import Encoder, EncoderConfig
from encoder.model import save_encoder
from engine.files import file_sha256
from stylegan.checkpoint import save_generator


def batches(num, noise, seed=0):
    """Batches of x of 5 numbers and v of 2 that follow them."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(5, 2))
    for _ in range(num):
        x = rng.normal(size=(40, 5))
        v = x @ weights + 3 + noise * rng.normal(size=(40, 2))
        yield torch.from_numpy(x).float(), torch.from_numpy(v).float()


@pytest.mark.parametrize("penalty", [0.01, 30.0])
def test_ridge_against_numpy(penalty):
    """By augmented least squares on the batches that are fitted."""
    found = benchmark.fit_ridge(batches(20, 1.0), [penalty]).numpy()
    used = [pair for k, pair in enumerate(batches(20, 1.0)) if k % 10]
    x, v = (torch.cat(column).numpy() for column in zip(*used, strict=True))
    rows = np.vstack([np.c_[x, np.ones(len(x))], np.c_[np.sqrt(penalty) * np.eye(5), np.zeros(5)]])
    expected = np.linalg.lstsq(rows, np.vstack([v, np.zeros((5, 2))]), rcond=None)[0]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_best_penalty_is_taken():
    for penalties, best in (([1e6, 0.01], 0.01), ([0.01, 1e6], 0.01)):
        found = benchmark.fit_ridge(batches(20, 0.1), penalties)
        assert torch.equal(found, benchmark.fit_ridge(batches(20, 0.1), [best]))


@pytest.mark.slow
def test_what_is_compared(tmp_path, monkeypatch):
    monkeypatch.setattr("encoder.backbone.resnet50", small_resnet)
    generator = tmp_path / "generator.safetensors"
    G = tiny_generator()
    save_generator(generator, G)
    network = Encoder(EncoderConfig(16, G.config.num_ws, file_sha256(generator), 14))
    save_encoder(tmp_path / "encoder.safetensors", network)
    options = ["--generator", generator, "--encoder", tmp_path / "encoder.safetensors"]
    options += ["--pairs=1000", "--held-out=150", "--few=4", "--samples=3", "--passes=1"]
    options += ["--size=16", "--json", tmp_path / "rows.json"]
    result = CliRunner().invoke(benchmark.main, list(map(str, options)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert list(rows) == [
        "ridge",
        "mean, 0 corrections",
        "mean, 0 corrections, first 4",
        "mean, 1 corrections",
        "mean, 1 corrections, first 4",
        "mean of 3 samples, first 4",
    ]
    assert rows["ridge"]["r2_v"] > 0.1, "pixels say something"
    assert abs(rows["mean, 0 corrections"]["r2_v"]) < 0.03, "untrained: the mean of the prior"
