"""benchmarks.inputs: its columns by other libraries, its truths within their bounds."""

from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.color import deltaE_ciede2000, rgb2lab

from benchmarks.inputs import Bench, _best, draw_tones
from colouring.models import Models
from colouring.options import Options
from data.image_io import from_uint8
from inversion.pose import Pose
from stylegan.checkpoint import save_generator
from tests.inversion.tiny import tiny_generator
from tests.invert_case import quick_config


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    quick_config(monkeypatch, num_steps=2)
    monkeypatch.setattr("inversion.pipeline.NUM_PROBES", 8)
    monkeypatch.setattr("inversion.joint.NUM_STEPS", 2)
    save_generator(tmp_path / "tiny.safetensors", tiny_generator())
    return Bench(Models(Options(tmp_path / "tiny.safetensors")), None, 1, 1, 16)


def test_best_is_the_least_mean_difference_of_scikit_image() -> None:
    rng = np.random.default_rng(0)
    truth, *found = rng.integers(0, 256, (4, 12, 12, 3), dtype=np.uint8)
    apart = [deltaE_ciede2000(rgb2lab(f / 255), rgb2lab(truth / 255)).mean() for f in found]
    made = _best(from_uint8(np.stack(found)), from_uint8(truth[None]))
    assert made == pytest.approx(min(apart), abs=1e-3) and min(apart) < max(apart)


def test_tones_are_those_of_the_issue() -> None:
    drawn = [draw_tones(k) for k in range(300)]
    for name, low, high in (("blur", 0.5, 2), ("gamma", 0.8, 1.25), ("paper", 0.85, 1)):
        values = np.array([getattr(tones, name) for tones in drawn])
        assert low <= values.min() < 1.05 * low and 0.95 * high < values.max() <= high
    assert draw_tones(3) == drawn[3]


@pytest.mark.slow
def test_full_pictures_keep_their_luma(bench: Bench) -> None:
    rows = bench.kinds()
    assert [row["input"] for row in rows] == ["grey", "full", "lineart", "screentone"]
    assert rows[1]["luma_max_255"] <= 1 and min(row["de2000_best"] for row in rows) > 1


def test_errors_are_those_of_what_was_found(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    [row] = bench.auto()
    assert set(row) > {"blur_error", "gamma_error", "paper_error", "worse"}
    assert row["worse"] == pytest.approx(row["de2000"] / row["de2000_told"] - 1, abs=1e-3)
    seen = []
    monkeypatch.setattr(
        "colouring.reading.PoseSearch.pose",
        lambda search: seen.append(search.input.y) or Pose(3.0, 0.0, 0.0),
    )
    bench.count = 5
    [row] = bench.pose()
    assert 0 <= row["degrees_median"] <= 18 and 0 < row["pixels_median"] < 0.15 * 16
    assert len(seen) == 5 and not torch.equal(seen[0], seen[1])
