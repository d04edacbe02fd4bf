"""`benchmarks.inversion`: a row for each method, over faces that are files."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from benchmarks import inversion as benchmark
from encoder.gaussian import GaussianConfig, GaussianEncoder
from encoder.model import save_encoder
from evaluation.scores import Judges
from stylegan.checkpoint import save_generator
from tests.inversion.tiny import tiny_generator
from tests.invert_case import sha256


def test_pulse_tuned_is_the_best_of_the_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    residuals = {0.1: 9.0, 0.2: 4.0, 0.4: 5.0, 0.8: 7.0}

    def row(self: object, method: str, pulse: object, count: int, sheets: None) -> dict:
        return {"lr": pulse.lr, "residual_before_rms_255": residuals[pulse.lr]}

    monkeypatch.setattr(benchmark.Bench, "_row", row)
    bench = object.__new__(benchmark.Bench)
    assert bench.row("pulse-tuned", 2, None)["lr"] == 0.2
    assert bench.row("pulse", 2, None)["lr"] == 0.4


ISSUE_KEYS = (
    "method residual_before_rms_255 residual_max_255 within_1 psnr_best psnr_mean de2000_best "
    "pairwise_de2000 generator_evaluations seconds"
).split()


@pytest.fixture
def models(tmp_path: Path) -> list[str]:
    generator, encoder = tmp_path / "generator.safetensors", tmp_path / "encoder.safetensors"
    save_generator(generator, tiny_generator())
    save_encoder(encoder, GaussianEncoder(GaussianConfig(16, sha256(generator))))
    return [f"--generator={generator}", f"--encoder={encoder}"]


@pytest.mark.slow
def test_one_row_per_method_over_both_sets(models: list[str], tmp_path: Path) -> None:
    words = "--count=1 --samples=2 --size=8 --set=chunk=2 --set=num_steps=3 --set=output_side=64"
    methods = ["--method=pulse", "--method=encoder", "--method=flow", "--method=ours"]
    places = [f"--json={tmp_path / 'rows.json'}", f"--sheets={tmp_path}"]
    done = CliRunner().invoke(
        benchmark.main, [*models, *words.split(), *methods, *places], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert [row["method"] for row in rows] == ["pulse", "encoder", "ours"]  # it has no flow
    for row in rows:
        assert set(ISSUE_KEYS) <= row.keys()
        assert row["sets"].keys() == {"drawn", "generated"}
        assert (row["residual_max_255"], row["within_1"]) == (pytest.approx(0.5, abs=0.5), 1)
        both = [row["sets"][kind]["psnr_mean"] for kind in ("drawn", "generated")]
        assert row["psnr_mean"] == pytest.approx(np.mean(both), abs=1e-3)
        assert (tmp_path / f"{row['method']}-generated.png").exists()
    evaluations = [row["generator_evaluations"] for row in rows]
    assert evaluations == [100 + 1, 1, 64 / 2 + 3 + 1]
    assert rows[1]["pairwise_de2000"] < rows[2]["pairwise_de2000"]


def test_truths_are_files_and_differ(models: list[str]) -> None:
    generator, encoder = (Path(word.split("=")[1]) for word in models)
    bench = benchmark.Bench(
        generator, encoder, Judges(None, None), samples=2, size=8, changes=("output_side=64",)
    )
    for kind in benchmark.SETS:
        one, two = bench.truth(kind, 0), bench.truth(kind, 1)
        assert one.shape == (1, 3, 64, 64) and not torch.equal(one, two)
        levels = (one.double() + 1) * 127.5
        torch.testing.assert_close(levels, levels.round(), rtol=0, atol=1e-4)
        assert torch.equal(one, bench.truth(kind, 0))
