"""`benchmarks.inversion`: every column against Pillow, numpy and scikit-image."""

import itertools
import json
import mmap
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import peak_signal_noise_ratio
from torch import Tensor

from attributes.reader import Attributes
from benchmarks import inversion as benchmark
from benchmarks.scores import COLUMNS, Judges, score, summary
from encoder.gaussian import GaussianConfig, GaussianEncoder
from encoder.model import save_encoder
from inversion.operators import GreySmall
from stylegan.checkpoint import save_generator
from tests.inversion.tiny import as_file, as_measurement, measured, tiny_generator
from tests.invert_case import sha256

SIDE, SMALL, FACES = 24, 6, 3


def levels_of(seed: int, num: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (num, SIDE, SIDE, 3))


def as_pixels(levels: np.ndarray) -> Tensor:
    return torch.from_numpy(levels.transpose(0, 3, 1, 2) / 127.5 - 1).float()


def part(levels: np.ndarray, before: list[float], correction: list[float]) -> SimpleNamespace:
    projection = SimpleNamespace(
        pixels=as_pixels(levels), correction_rms_255=torch.tensor(correction)
    )
    return SimpleNamespace(projection=projection, residual_before_rms_255=torch.tensor(before))


def test_scores_are_those_of_other_libraries() -> None:
    [truth], found = levels_of(0, 1), levels_of(1, 3)
    grey = as_file(measured(truth, SMALL))
    made = score(
        as_pixels(truth[None]),
        as_measurement(grey),
        GreySmall(SIDE, (SMALL, SMALL)),
        [part(found[:2], [3.0, 4.0], [5.0, 6.0]), part(found[2:], [7.0], [8.0])],
        Judges(None, None),
    )
    errors = np.stack([as_file(measured(p, SMALL)).astype(int) - grey for p in found])
    assert made["rms"] == pytest.approx(np.sqrt((errors**2).mean((1, 2))))
    assert made["max"] == np.abs(errors).max((1, 2)).tolist()
    assert made["within_1"] == pytest.approx((np.abs(errors) <= 1).mean((1, 2)))
    assert (made["before"], made["correction"]) == ([3, 4, 7], [5, 6, 8])
    expected = [peak_signal_noise_ratio(truth, p, data_range=255) for p in found]
    assert made["psnr"] == pytest.approx(expected, abs=1e-4)
    lab = [rgb2lab(p / 255) for p in (truth, *found)]
    apart = [deltaE_ciede2000(lab[0], other).mean() for other in lab[1:]]
    assert made["de2000"] == pytest.approx(apart, abs=1e-3)
    pairs = [deltaE_ciede2000(a, b).mean() for a, b in itertools.combinations(lab[1:], 2)]
    assert sorted(made["pairwise"]) == pytest.approx(sorted(pairs), abs=1e-3)


def test_a_candidate_that_agrees_is_within_1_everywhere() -> None:
    [truth] = levels_of(0, 1)
    y, A = as_measurement(as_file(measured(truth, SMALL))), GreySmall(SIDE, (SMALL, SMALL))
    found = [part(truth[None].repeat(2, 0), [0.0] * 2, [0.0] * 2)]
    made = score(as_pixels(truth[None]), y, A, found, Judges(None, None))
    assert (made["max"], made["within_1"], made["de2000"]) == ([0, 0], [1, 1], [0, 0])
    assert made["pairwise"] == [0] and made["psnr"] == [np.inf] * 2


def test_columns_are_medians_means_and_extremes() -> None:
    faces = [
        {name: [1.0, 2.0, 9.0] for name, _ in COLUMNS.values()},
        {name: [4.0, 5.0, 6.0] for name, _ in COLUMNS.values()},
    ]
    row = summary(faces)
    assert list(row) == list(COLUMNS)
    medians = ("residual_before_rms_255", "residual_rms_255", "correction_rms_255")
    assert {row[name] for name in medians} == {4.5}
    assert (row["residual_max_255"], row["peak_memory_mb"]) == (9, 9)
    assert (row["psnr_best"], row["de2000_best"]) == ((9 + 6) / 2, (1 + 4) / 2)
    assert row["psnr_mean"] == row["within_1"] == row["seconds"] == 4.5
    assert "lpips" not in summary([{n: v for n, v in faces[0].items() if n != "lpips"}])


def test_judges_see_candidates_truth_and_input() -> None:
    def lpips(a: Tensor, b: Tensor) -> Tensor:
        assert a.shape == b.shape
        return (a - b).abs().mean((1, 2, 3))

    x, found = as_pixels(levels_of(0, 1)), as_pixels(levels_of(1, 2))
    made = Judges(None, lpips)(x, x[:, :1], found)
    assert made == {"lpips": pytest.approx((found - x).abs().mean((1, 2, 3)).tolist())}


class BrightnessReader:
    """Reads one number, the mean of red, as surely everywhere."""

    def features(self, pictures: Tensor) -> Tensor:
        return pictures.mean((2, 3))

    def read_features(self, features: Tensor) -> Attributes:
        return Attributes({}, {"turn": features[:, 0]}, {"turn": torch.ones(len(features))}, {})

    def read(self, pictures: Tensor) -> Attributes:
        return self.read_features(self.features(pictures))


def test_the_reader_compares_with_the_truth_and_with_the_input() -> None:
    x, found = as_pixels(levels_of(0, 1)), as_pixels(levels_of(1, 2) // 2)
    y = torch.full((1, 1, SMALL, SMALL), 0.7)
    made = Judges(BrightnessReader(), None)(x, y, found)
    means = found.mean((2, 3))
    expected = (means - x.mean((2, 3))).square().sum(1).sqrt()
    assert made["attr_distance"] == pytest.approx(expected.tolist())
    fit = (-(means[:, 0] - 0.7).square() / 4).exp()
    assert made["attribute_agreement"] == pytest.approx(fit.tolist())


def test_resources_are_those_of_the_block() -> None:
    with benchmark.resources() as idle:
        time.sleep(0.02)
    with benchmark.resources() as busy:
        mmap.mmap(-1, 64 << 20).write(bytes(64 << 20))  # pages that nobody has had before
    assert 0.02 <= idle["seconds"][0] < 1
    assert busy["peak_memory_mb"][0] > idle["peak_memory_mb"][0] + 32


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


def test_one_row_per_method_over_both_sets(models: list[str], tmp_path: Path) -> None:
    words = "--count=1 --samples=2 --size=8 --set=chunk=2 --set=num_steps=3 --set=output_side=64"
    methods = ["--method=pulse", "--method=encoder", "--method=flow", "--method=ours"]
    places = [f"--json={tmp_path / 'rows.json'}", f"--sheets={tmp_path / 'sheets'}"]
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
        assert (tmp_path / "sheets" / f"{row['method']}-generated.png").exists()
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
