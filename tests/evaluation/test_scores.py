"""What is said of candidates, against Pillow, numpy and scikit-image."""

import itertools
import math
import mmap
import time

import numpy as np
import pytest
import torch
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from attributes.reader import Attributes
from evaluation.resources import resources
from evaluation.scores import COLUMNS, RANKED, Judges, calibration, score, summary
from evaluation.similarity import l1, l2, psnr, ssim
from inversion.operators import GreySmall
from tests.inversion.tiny import as_file, as_measurement, measured

SIDE, SMALL = 24, 6


def levels_of(seed: int, num: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (num, SIDE, SIDE, 3))


def as_pixels(levels: np.ndarray) -> Tensor:
    return torch.from_numpy(levels.transpose(0, 3, 1, 2) / 127.5 - 1).float()


def scores_of(truth: np.ndarray, found: np.ndarray) -> dict[str, list[float]]:
    y = as_measurement(as_file(measured(truth, SMALL)))
    measure = GreySmall(SIDE, (SMALL, SMALL)).quantised
    return score(as_pixels(truth[None]), y, as_pixels(found), measure, Judges(None, None))


def test_agreement_is_that_of_the_picture_made_small_by_pillow() -> None:
    [truth], found = levels_of(0, 1), levels_of(1, 3)
    made, grey = scores_of(truth, found), as_file(measured(truth, SMALL))
    errors = np.stack([as_file(measured(p, SMALL)).astype(int) - grey for p in found])
    assert made["rms"] == pytest.approx(np.sqrt((errors**2).mean((1, 2))))
    assert made["max"] == np.abs(errors).max((1, 2)).tolist()
    assert made["within_1"] == pytest.approx((np.abs(errors) <= 1).mean((1, 2)))


def test_likeness_is_that_of_scikit_image_and_numpy() -> None:
    [truth], found = levels_of(0, 1), levels_of(1, 3)
    made = scores_of(truth, found)
    expected = [peak_signal_noise_ratio(truth, p, data_range=255) for p in found]
    assert made["psnr"] == pytest.approx(expected, abs=1e-4)
    apart = found - truth
    assert made["l1"] == pytest.approx(np.abs(apart).mean((1, 2, 3)), rel=1e-6)
    assert made["l2"] == pytest.approx((apart**2).mean((1, 2, 3)), rel=1e-6)
    assert made["ssim"] == pytest.approx([ssim_of_skimage(truth, p) for p in found], abs=1e-6)


def ssim_of_skimage(a: np.ndarray, b: np.ndarray) -> float:
    as_published = dict(gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
    return structural_similarity(a, b, data_range=255, channel_axis=-1, **as_published)


def test_likeness_of_smooth_pictures_too() -> None:
    ramp = np.linspace(20, 230, SIDE)[:, None, None] + np.zeros((1, SIDE, 3))
    other = (ramp * 0.9 + levels_of(5, 1)[0] * 0.1).round()
    a, b = as_pixels(ramp.round()[None]), as_pixels(other[None])
    assert ssim(a, b).item() == pytest.approx(ssim_of_skimage(ramp.round(), other), abs=1e-6)
    assert 0.3 < ssim(a, b).item() < 0.95 and ssim(a, a).item() == pytest.approx(1)
    assert l1(a, a).item() == l2(a, a).item() == 0 and psnr(a, a).item() == math.inf


def test_l1_and_l2_are_in_levels() -> None:
    a, b = torch.zeros(1, 3, 16, 16), torch.full((1, 3, 16, 16), 10 / 127.5)
    assert l1(a, b).item() == pytest.approx(10) and l2(a, b).item() == pytest.approx(100)


def test_colours_and_their_spread_are_those_of_scikit_image() -> None:
    [truth], found = levels_of(0, 1), levels_of(1, 3)
    made = scores_of(truth, found)
    lab = [rgb2lab(p / 255) for p in (truth, *found)]
    apart = [deltaE_ciede2000(lab[0], other).mean() for other in lab[1:]]
    assert made["de2000"] == pytest.approx(apart, abs=1e-3)
    pairs = [deltaE_ciede2000(a, b).mean() for a, b in itertools.combinations(lab[1:], 2)]
    assert sorted(made["pairwise"]) == pytest.approx(sorted(pairs), abs=1e-3)
    assert made["energy"] == pytest.approx([np.mean(apart) - np.mean(pairs) / 2], abs=1e-3)
    alone = scores_of(truth, found[:1])
    assert alone["energy"] == pytest.approx(apart[:1], abs=1e-3) and alone["pairwise"] == []


def test_ranks_are_of_the_mean_colour() -> None:
    truth = np.full((SIDE, SIDE, 3), (128, 128, 128))
    colours = [(140, 120, 120), (110, 140, 120), (128, 128, 128), (120, 120, 160)]
    found = np.stack([np.full((SIDE, SIDE, 3), colour) for colour in colours])
    lab = rgb2lab(np.array([(128, 128, 128), *colours])[None] / 255)[0]
    made = scores_of(truth, found)
    for name, channel in RANKED.items():
        below = (lab[1:, channel] < lab[0, channel] - 1e-3).sum()
        assert made[name] == [below, 1, 4]  # one candidate is the truth
    assert made["rank_a"][0] == 1 and made["rank_b"][0] == 1


def test_a_candidate_that_agrees_is_within_1_everywhere() -> None:
    [truth] = levels_of(0, 1)
    made = scores_of(truth, truth[None].repeat(2, 0))
    assert (made["max"], made["within_1"], made["de2000"]) == ([0, 0], [1, 1], [0, 0])
    assert made["pairwise"] == [0] and made["psnr"] == [np.inf] * 2


# ---- calibration ----


def ranks(faces: int, num: int, shift: float = 0, width: float = 1) -> list[list[float]]:
    rng = np.random.default_rng(3)
    found = rng.standard_normal((faces, num)) * width + shift
    truth = rng.standard_normal(faces)
    return [[float((f < t).sum()), 0.0, float(num)] for f, t in zip(found, truth, strict=True)]


def test_calibrated_candidates_are_not_rejected_and_others_are() -> None:
    assert calibration(ranks(200, 8)) > 0.05
    assert calibration(ranks(2000, 4)) > 0.05  # coarse ranks of many faces
    for broken in [dict(shift=0.7), dict(width=0.4), dict(width=2.5)]:
        assert calibration(ranks(200, 8, **broken)) < 0.01


def test_the_chance_is_uniform_where_candidates_are_calibrated() -> None:
    rng = np.random.default_rng(4)
    chances = [
        calibration([[float(rng.integers(0, 9)), 0.0, 8.0] for _ in range(20)]) for _ in range(200)
    ]
    assert abs(np.mean(np.array(chances) < 0.1) - 0.1) < 4 * np.sqrt(0.09 / 200)
    assert abs(np.mean(chances) - 0.5) < 4 / np.sqrt(12 * 200)


def test_equal_candidates_are_ties_and_no_evidence() -> None:
    assert calibration([[0.0, 8.0, 8.0]] * 50) > 0.05


def test_few_faces_or_candidates_have_no_calibration() -> None:
    assert math.isnan(calibration(ranks(4, 8))) and math.isnan(calibration(ranks(50, 1)))


# ---- columns ----


def test_columns_are_medians_means_and_extremes() -> None:
    faces = [
        {name: [1.0, 2.0, 9.0] for name, _ in COLUMNS.values()},
        {name: [4.0, 5.0, 6.0] for name, _ in COLUMNS.values()},
    ]
    row = summary(faces)
    assert list(row) == list(COLUMNS)
    medians = ("residual_before_rms_255", "residual_rms_255", "correction_rms_255")
    assert {row[name] for name in medians} == {4.5}
    assert (row["residual_max_255"], row["peak_memory_mb"], row["failed"]) == (9, 9, 27)
    for name in ("psnr", "ssim"):
        assert (row[f"{name}_best"], row[f"{name}_mean"]) == ((9 + 6) / 2, 4.5)
    for name in ("lpips", "l1", "l2", "de2000"):
        assert (row[f"{name}_best"], row[f"{name}_mean"]) == ((1 + 4) / 2, 4.5)
    assert row["within_1"] == row["seconds"] == row["de2000_energy"] == 4.5
    assert "lpips_mean" not in summary([{n: v for n, v in faces[0].items() if n != "lpips"}])


def test_a_column_is_of_those_faces_that_have_it() -> None:
    """A method that failed on a face says nothing of its own there."""
    assert summary([{"rms": [1.0], "before": [3.0]}, {"rms": [2.0]}]) == {
        "residual_before_rms_255": 3.0,
        "residual_rms_255": 1.5,
    }


def test_calibration_is_of_several_faces() -> None:
    one = {"rank_a": [3.0, 0.0, 8.0]}
    assert "rank_a_p" not in summary([one]) and "rank_a_p" in summary([one] * 6)
    assert "rank_a_p" not in summary([one] * 4)  # too few to say


def test_a_single_candidate_has_no_spread() -> None:
    assert summary([{"rms": [1.0], "pairwise": []}]) == {"residual_rms_255": 1.0}


# ---- judges and resources ----


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
    with resources() as idle:
        time.sleep(0.02)
    with resources() as busy, mmap.mmap(-1, 64 << 20) as memory:  # none that is kept and reused
        memory.write(b"1" * (64 << 20))
    assert 0.02 <= idle["seconds"][0] < 1
    assert busy["peak_memory_mb"][0] > idle["peak_memory_mb"][0] + 32
