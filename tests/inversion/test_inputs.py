"""Kinds of input: each measured again by Pillow, numpy and scipy."""

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.stats import multivariate_normal

from inversion.config import InversionConfig
from inversion.inputs import AS, LARGEST_FULL, LINES_STD, SOLVED_AT, Canvas
from inversion.lines import DRAWN_AT, EPS, PHI, SIGMA, TAU, K, LineArt, blurred
from inversion.operators import ColourSmall, Frame, GreySmall, MeasurementError, MeasurementNoise
from tests.inversion.tiny import LUMA, as_file, resize

SIDE = 32
CANVAS = Canvas(SIDE, SIDE, InversionConfig())


def pictures(num: int, side: int = SIDE) -> torch.Tensor:
    """Return smooth random pictures `[N, 3, side, side]` well inside [-1, 1]."""
    coarse = torch.rand(num, 3, 6, 6, generator=torch.Generator().manual_seed(side)) * 1.2 - 0.6
    return torch.nn.functional.interpolate(coarse, (side, side), mode="bicubic").clamp(-0.9, 0.9)


def levels_of(x: torch.Tensor) -> np.ndarray:
    """Return pictures as levels `[N, H, W, C]`, float64."""
    return (x.double().permute(0, 2, 3, 1).numpy() + 1) * 127.5


# ---- parts of a picture, and colours ----


@pytest.mark.parametrize("frame", [Frame(16, 3, 0), Frame(16, 0, 5), Frame(12)])
def test_a_framed_measurement_is_a_part_of_the_whole_one(frame: Frame) -> None:
    size = (frame.side - 2 * frame.top, frame.side - 2 * frame.left)
    [x] = levels_of(pictures(1))
    found = GreySmall(SIDE, size, None, frame)(pictures(1).double())
    whole = resize(x @ LUMA, frame.side)
    part = whole[frame.top : frame.top + size[0], frame.left : frame.left + size[1]]
    np.testing.assert_allclose((found[0, 0].numpy() + 1) * 127.5, part, atol=1e-3)


def test_the_smallest_square_around_a_rectangle() -> None:
    assert Frame.around(9, 16) == Frame(16, 3, 0)
    assert Frame.around(16, 9) == Frame(16, 0, 3)
    assert Frame.around(5, 5) == Frame(5)


def test_colours_are_measured_each_by_itself() -> None:
    [x] = levels_of(pictures(1))
    [found] = ColourSmall(SIDE, (9, 13))(pictures(1).double()).numpy()
    for c in range(3):
        image = Image.fromarray(x[..., c].astype(np.float32))
        expected = np.asarray(image.resize((13, 9), Image.Resampling.BICUBIC))
        np.testing.assert_allclose((found[c] + 1) * 127.5, expected, atol=1e-3)


def test_noise_of_colours_is_that_of_the_dense_gaussian() -> None:
    A = ColourSmall(6, (2, 3))
    noise = MeasurementNoise(A, 0.3, 0.1)
    dense = A(torch.eye(108, dtype=torch.float64).view(108, 3, 6, 6)).flatten(1).T.numpy()
    density = multivariate_normal(cov=0.09 * dense @ dense.T + 0.01 * np.eye(18))
    r = torch.randn(4, 3, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = -(noise.whiten(r).square().flatten(1).sum(1) + noise.log_det() + 18 * np.log(2 * np.pi))
    np.testing.assert_allclose(found / 2, density.logpdf(r.flatten(1).numpy()), rtol=1e-9)


def test_the_finished_picture_made_small_is_the_colour_input() -> None:
    truth, other = pictures(2)
    y = ColourSmall(SIDE, (14, 14)).quantised(truth[None])
    given, notes = AS["colour"](y, None, CANVAS)
    done = given.projection(other[None])
    [finished] = levels_of(done.pixels)
    assert notes == [] and done.feasible.all()
    for c in range(3):
        found = as_file(resize(finished[..., c].round(), 14)).astype(int)
        assert np.abs(found - levels_of(y)[0, ..., c].round()).max() <= 1


# ---- full size ----


@pytest.mark.parametrize("side", [SIDE, 40, 100])
def test_a_full_picture_keeps_its_size_and_its_luma(side: int) -> None:
    y = GreySmall(side, (side, side)).quantised(pictures(1, side))
    given, notes = AS["full"](y, None, CANVAS)
    done = given.projection(pictures(2, side)[1:])
    [finished] = levels_of(done.pixels)
    assert (given.side, notes, finished.shape) == (side, [], (side, side, 3))
    assert np.abs(finished.round() @ LUMA - levels_of(y)[0, ..., 0]).max() <= 1
    assert given.evidence.y.shape[2:] == (min(side, SOLVED_AT),) * 2
    chroma = levels_of(pictures(2, side))[1]
    moved = finished - chroma
    assert np.abs(moved - moved.mean(-1, keepdims=True)).mean() < 0.5  # grey shifts alone


def test_a_picture_smaller_than_the_generators_is_not_full() -> None:
    with pytest.raises(MeasurementError, match=r"31 pixels a side.*--input grey"):
        AS["full"](torch.zeros(1, 1, 31, 31), None, CANVAS)


def test_very_large_pictures_are_reduced_to_the_largest() -> None:
    given, notes = AS["full"](torch.zeros(1, 1, 100, 1400), None, CANVAS)
    assert given.side == LARGEST_FULL and given.y.shape[2:] == (73, 1024)
    assert [note.split()[0] for note in notes] == ["1400x100", "reduced"]


# ---- lines ----


def test_lines_are_the_published_ones() -> None:
    """The lower part of a square's, by Pillow's reduction and scipy's Gaussian."""
    x = torch.where(pictures(1).double() > 0, 0.8, -0.8)
    luma = (x[0].permute(1, 2, 0).numpy() @ LUMA + 1) / 2
    drawn = resize(luma, DRAWN_AT)
    narrow, wide = (
        gaussian_filter(drawn, sigma, mode="nearest", radius=3) for sigma in (SIGMA, K * SIGMA)
    )
    u = narrow - TAU * wide
    expected = np.where(u >= EPS, 1, 1 + np.tanh(PHI * (u - EPS)))[8:56] * 2 - 1
    [[lines]] = LineArt(SIDE, (48, 64), DRAWN_AT, Frame(64, 8, 0))(x)
    np.testing.assert_allclose(lines, expected, atol=1e-5)
    assert expected.min() < 0 < np.median(expected)


def test_flat_pictures_have_no_lines_and_dark_strokes_do() -> None:
    A = LineArt(64, (64, 64), None, Frame(64))
    for level in (-1.0, -0.5, 0.5, 1.0):
        assert A(torch.full((1, 3, 64, 64), level)).min() > 0.6
    stroke = torch.full((1, 3, 64, 64), 0.6)
    stroke[..., 30:32] = -0.8
    lines = A(stroke)
    assert lines[..., 30:32].max() < -0.4 and lines[..., :24].min() > 0.8


def test_lines_have_a_gradient() -> None:
    x = pictures(1).double().requires_grad_(True)
    A = LineArt(SIDE, (16, 16), None, Frame(16))
    direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(1)).double()
    (slope,) = torch.autograd.grad(A(x).sum(), x)
    with torch.no_grad():
        rise = (A(x + 1e-6 * direction) - A(x - 1e-6 * direction)).sum() / 2e-6
    torch.testing.assert_close((slope * direction).sum(), rise, rtol=1e-4, atol=0)
    assert slope.abs().max() > 0.1


def test_blur_is_scipys() -> None:
    x = pictures(1)[:, :1].double()
    expected = gaussian_filter(x[0, 0].numpy(), 1.7, mode="nearest", truncate=6)
    np.testing.assert_allclose(blurred(x, 1.7)[0, 0], expected, atol=1e-3)


def test_line_art_is_judged_and_never_projected() -> None:
    y = torch.rand(1, 1, 50, 40, generator=torch.Generator().manual_seed(2)) * 2 - 1
    given, _ = AS["lineart"](y, None, CANVAS)
    x = pictures(2)
    done = given.projection(x)
    torch.testing.assert_close(done.pixels, ((x + 1) * 127.5).round() / 127.5 - 1)
    assert done.correction_rms_255.max() < 0.5 and done.feasible.all()
    error = (LineArt(SIDE, (50, 40), None, Frame(50, 0, 5))(done.pixels) - y) * 127.5
    torch.testing.assert_close(
        done.residual_rms_255.float(), error.flatten(1).square().mean(1).sqrt()
    )
    assert given.evidence.noise.std.unique().item() == pytest.approx(LINES_STD)
    assert given.look.shape == (1, 1, 50, 50)
