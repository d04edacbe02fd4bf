"""The projector, judged by arithmetic that shares nothing with it: numpy, Pillow, scipy."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from scipy.optimize import lsq_linear
from torch import Tensor

from inversion.operators import GreySmall, MeasurementError
from inversion.project import PATIENCE, Projection, project, round_keeping_luma
from tests.inversion.pictures import G, ink, input_of, measure, smooth, to_bytes

SIZES = [(64, n) for n in (16, 24, 32, 48, 56, 64)] + [(256, 32)]
SLOW_SIZES = [(256, 64), (256, 224)]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Matrices are tiny: a second thread gains nothing, and costs much on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def differences(found: Projection, levels: np.ndarray) -> np.ndarray:
    """Return |measured - input| in levels, [N, h, w], by independent arithmetic."""
    return np.stack([abs(measure(p, levels.shape) - levels) for p in to_bytes(found.pixels)])


def cases(side: int) -> dict[str, tuple[Tensor, Tensor]]:
    """Pictures to project, and the picture that their input is made of."""
    truth, strokes = smooth(1, side, 1), ink(side, 2)
    blurred = F.avg_pool2d(F.pad(strokes, (1, 1, 1, 1), mode="replicate"), 3, 1)
    return {
        "near": ((truth + 0.1 * smooth(2, side, 3)).clamp(-1, 1), truth),
        "unrelated": (smooth(2, side, 4), truth),
        "unrelated, saturated": (smooth(2, side, 5, spread=1.5), truth),
        "ink, near": ((0.95 * blurred + 0.05 * smooth(2, side, 6)).clamp(-1, 1), strokes),
        "ink, unrelated": (smooth(2, side, 7), strokes),
    }


def check_agreement(side: int, n: int) -> None:
    A = GreySmall(side, (n, n))
    for name, (x, truth) in cases(side).items():
        y, levels = input_of(truth, A.size)
        found = project(x, y, A)
        error = differences(found, levels)
        share = (error == 0).mean(axis=(1, 2))
        assert error.max() <= 1, name
        assert share.min() > 0.99, name
        assert found.feasible.all(), name
        np.testing.assert_array_equal(found.residual_max_255, error.max(axis=(1, 2)))
        np.testing.assert_allclose(found.share_identical, share)
        np.testing.assert_allclose(
            found.residual_rms_255, np.sqrt((error**2).mean(axis=(1, 2))), atol=1e-12
        )


@pytest.mark.parametrize(("side", "n"), SIZES)
def test_pictures_agree_by_independent_arithmetic(side: int, n: int) -> None:
    check_agreement(side, n)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("side", "n"), SLOW_SIZES)
def test_large_pictures_agree_by_independent_arithmetic(side: int, n: int) -> None:
    check_agreement(side, n)


def test_oblong_inputs_agree() -> None:
    A = GreySmall(64, (32, 20))
    y, levels = input_of(smooth(1, 64, 1), A.size)
    assert differences(project(smooth(1, 64, 2), y, A), levels).max() == 0


def test_sixteen_bit_inputs_agree_with_their_rounding() -> None:
    A = GreySmall(64, (32, 32))
    y = A(smooth(1, 64, 1).double())
    levels = np.clip(np.round((y[0, 0].numpy() + 1) * 127.5), 0, 255)
    found = project(smooth(1, 64, 2), y, A)
    assert differences(found, levels).max() == 0


def test_a_sample_does_not_depend_on_the_others() -> None:
    A = GreySmall(64, (32, 32))
    y, _ = input_of(ink(64, 0), A.size)
    x = torch.cat([smooth(3, 64, 1), ink(64, 1), ink(64, 0)])
    together = project(x, y, A)
    assert len(set(together.rounds.tolist())) > 1
    for k in range(len(x)):
        alone = project(x[k : k + 1].clone(), y, A)
        assert torch.equal(alone.pixels[0], together.pixels[k])
        assert alone.rounds[0] == together.rounds[k]


def test_every_sample_may_have_its_own_input() -> None:
    A = GreySmall(64, (32, 32))
    inputs = [input_of(smooth(1, 64, seed), A.size) for seed in (1, 2)]
    found = project(smooth(2, 64, 3), torch.cat([y for y, _ in inputs]), A)
    for pixels, (_, levels) in zip(to_bytes(found.pixels), inputs, strict=True):
        assert np.array_equal(measure(pixels, A.size), levels)


def test_a_picture_that_agrees_already_is_left_alone() -> None:
    """Also where it overshoots: white beside a stroke measures above 255, and may."""
    A = GreySmall(64, (32, 32))
    x = torch.cat([ink(64, 3), 0.4 * smooth(1, 64, 3)])
    x = ((x + 1) * 127.5).round() / 127.5 - 1
    y = A.quantised(x.double())
    assert A(x).max() > 1.02
    found = project(x, y, A)
    assert found.rounds.tolist() == [0, 0]
    torch.testing.assert_close(found.pixels, x, rtol=0, atol=1e-6)
    assert found.correction_rms_255.max() < 1e-4


def test_overshoot_is_not_held_back() -> None:
    """Only the grey dot is wrong; white paper around a black bar keeps its overshoot."""
    bar = torch.ones(1, 3, 64, 64)
    bar[..., 30:34] = -1
    A = GreySmall(64, (32, 32))
    y = A.quantised(bar.double())
    x = bar.clone()
    x[..., 10:14, 10:14] = 0
    found = project(x, y, A)
    changed = (found.pixels != x).any(dim=1)[0]
    assert found.share_identical == 1
    assert not changed[:, 26:].any() and not changed[24:].any()


def test_chroma_stays_where_no_colour_is_clipped() -> None:
    A = GreySmall(64, (24, 24))
    y, _ = input_of(0.4 * smooth(1, 64, 1), A.size)
    x = 0.4 * smooth(2, 64, 2)
    found = project(x, y, A)
    assert found.correction_rms_255.min() > 10
    for a, b in ((0, 1), (1, 2)):
        drift = (found.pixels[:, a] - found.pixels[:, b] - x[:, a] + x[:, b]) * 127.5
        assert drift.abs().max() < 2  # each colour is rounded by less than one level


@pytest.mark.parametrize("start", ["inside the gamut", "clipped"])
def test_correction_is_the_smallest_by_scipy(start: str) -> None:
    """The quadratic programme of the docstring by bounded least squares, y as a heavy penalty."""
    A = GreySmall(6, (3, 3))
    x = smooth(1, 6, 8, spread=0.3 if start == "inside the gamut" else 1.5)
    y, levels = input_of(smooth(1, 6, 9), A.size)
    x_0 = ((x.double().numpy() + 1) * 127.5).ravel()
    weight = np.repeat(G, 36)
    basis = torch.eye(108, dtype=torch.float64).reshape(108, 3, 6, 6)
    rows = A(basis).reshape(108, 9).T.numpy()
    solved = lsq_linear(
        np.concatenate([np.diag(np.sqrt(weight)), 1e3 * rows]),
        np.concatenate([np.sqrt(weight) * x_0, 1e3 * levels.ravel()]),
        bounds=(-1e-9, 255 + 1e-9),
        method="bvls",
    )
    assert solved.success and np.abs(rows @ solved.x - levels.ravel()).max() < 0.05
    if start == "clipped":
        assert (solved.x < 0.01).sum() + (solved.x > 254.99).sum() > 20
    found = to_bytes(project(x, y, A).pixels)[0].transpose(2, 0, 1).ravel()
    smallest = np.sqrt((weight * (solved.x - x_0) ** 2).sum() / 36)
    ours = np.sqrt((weight * (found - x_0) ** 2).sum() / 36)
    assert ours == pytest.approx(smallest, abs=0.5)  # rounding adds up to about that much
    assert np.abs(found - solved.x).max() < 3


def infeasible_inputs() -> dict[str, np.ndarray]:
    """Inputs of 32x32 that are no bicubic reduction of anything, in levels."""
    rng = np.random.default_rng(0)
    grey = to_bytes(((smooth(1, 64, 1) + 1) * 127.5).round() / 127.5 - 1)[0] @ G
    nearest = np.round(to_bytes(((ink(64, 1) + 1) * 127.5).round() / 127.5 - 1)[0] @ G)[1::2, 1::2]
    soft = Image.fromarray(np.round(grey).astype(np.uint8)).resize((32, 32))
    small = np.asarray(soft).astype(float)
    mean = np.asarray(soft.resize((8, 8)).resize((32, 32))).astype(float)
    return {
        "nearest neighbour": nearest,
        "dithered": np.asarray(soft.convert("1").convert("L")).astype(float),
        "sharpened": np.clip(np.round(small + 12 * (small - mean)), 0, 255),
        "noise": rng.integers(0, 256, (32, 32)).astype(float),
    }


@pytest.mark.parametrize("kind", ["nearest neighbour", "dithered", "sharpened", "noise"])
def test_what_no_picture_reproduces_stops_and_is_marked(kind: str) -> None:
    A = GreySmall(64, (32, 32))
    levels = infeasible_inputs()[kind]
    y = torch.from_numpy(levels / 127.5 - 1).float()[None, None]
    x = smooth(2, 64, 1)
    found = project(x, y, A)
    error = differences(found, levels)
    assert not found.feasible.any()
    assert (found.rounds > PATIENCE).all() and (found.rounds < 150).all()
    np.testing.assert_array_equal(found.residual_max_255, error.max(axis=(1, 2)))

    once = (x + A.right_inverse(y - A(x))).clamp(-1, 1)
    once = ((once + 1) * 127.5).round() / 127.5 - 1
    naive = [abs(measure(p, A.size) - levels) for p in to_bytes(once)]
    naive_rms = np.sqrt((np.stack(naive) ** 2).mean(axis=(1, 2)))
    assert (found.residual_rms_255.numpy() < 0.95 * naive_rms).all()


def test_more_rounds_never_make_it_worse() -> None:
    A = GreySmall(64, (32, 32))
    levels = infeasible_inputs()["noise"]
    y = torch.from_numpy(levels / 127.5 - 1).float()[None, None]
    x = smooth(1, 64, 1)
    rms = [
        float(project(x, y, A, max_rounds=n).residual_rms_255)
        for n in (0, 1, 3, 6, 12, 20, 26, 27, 28)
    ]
    assert rms == sorted(rms, reverse=True) and rms[-1] < rms[3] < rms[0]


def test_rounds_are_limited() -> None:
    A = GreySmall(64, (32, 32))
    y, _ = input_of(ink(64, 1), A.size)
    found = project(smooth(1, 64, 1), y, A, max_rounds=2)
    assert found.rounds.tolist() == [2] and found.share_identical < 1


def test_rounding_takes_the_best_of_floor_and_ceil() -> None:
    rng = np.random.default_rng(0)
    levels = rng.uniform(0, 255, (300, 3))
    levels[:50] = np.clip(levels[:50] * 3 - 200, 0, 255)  # many at the very ends
    tensor = torch.from_numpy(levels.T.reshape(1, 3, 15, 20))
    found = round_keeping_luma(tensor)[0].numpy().reshape(3, 300).T
    for value, rounded in zip(levels, found, strict=True):
        options = [
            np.where([i, j, k], np.ceil(value), np.floor(value))
            for i in (0, 1)
            for j in (0, 1)
            for k in (0, 1)
        ]
        costs = [(G @ (o - value)) ** 2 + 0.03 * ((o - value) ** 2).sum() for o in options]
        assert any(np.array_equal(rounded, o) for o in options)
        cost = (G @ (rounded - value)) ** 2 + 0.03 * ((rounded - value) ** 2).sum()
        assert cost == pytest.approx(min(costs), abs=1e-12)


def test_values_beyond_the_range_count_as_its_ends() -> None:
    """A generator overshoots; what is corrected is the picture one would see."""
    A = GreySmall(64, (32, 32))
    y, _ = input_of(smooth(1, 64, 1), A.size)
    x = 2 * smooth(1, 64, 2)
    wide, clipped = project(x, y, A), project(x.clamp(-1, 1), y, A)
    assert torch.equal(wide.pixels, clipped.pixels)
    difference = (wide.pixels - x.clamp(-1, 1)).double() * 127.5
    rms = difference.square().mean().sqrt().item()
    assert wide.correction_rms_255.item() == pytest.approx(rms, rel=1e-4)


def test_arguments_stay_as_they_are_and_the_type_is_kept() -> None:
    A = GreySmall(64, (32, 32))
    x, y = smooth(1, 64, 1) * 1.3, torch.zeros(1, 1, 32, 32)
    x_before, y_before = x.clone(), y.clone()
    assert project(x, y, A).pixels.dtype == torch.float32
    assert torch.equal(x, x_before) and torch.equal(y, y_before)


def test_misfits_are_refused() -> None:
    A = GreySmall(64, (32, 32))
    x, y = torch.zeros(2, 3, 64, 64), torch.zeros(1, 1, 32, 32)
    for bad_x, bad_y in (
        (x[:, :1], y),
        (x[..., :32], y),
        (x, y[..., :16]),
        (x, y.repeat(3, 1, 1, 1)),
    ):
        with pytest.raises(MeasurementError, match="do not fit"):
            project(bad_x, bad_y, A)
    with pytest.raises(MeasurementError, match="not finite"):
        project(x * torch.nan, y, A)
