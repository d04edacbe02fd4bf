"""Sizes that the promise holds for, against Pillow's reduction in floating point."""

import numpy as np
import pytest
import torch

from inversion.measurement import fit_measurement
from inversion.operators import MeasurementError
from tests.inversion.tiny import as_file, as_measurement, resize

R = 32


def grey(height: int, width: int) -> np.ndarray:
    """Return a lively grey picture with pure black and white in it."""
    v, u = np.mgrid[:height, :width]
    waves = 127.5 + 150 * np.sin(u / 2.3 + v / 7) * np.cos(v / 3.1 - u / 9)
    noise = np.random.default_rng(height * width).normal(0, 20, (height, width))
    return as_file(waves + noise)


def fitted(picture: np.ndarray, size: int | None = None) -> tuple[np.ndarray, list[str]]:
    y, notes = fit_measurement(as_measurement(picture), R, size)
    assert y.dtype == torch.float32 and y.shape[:2] == (1, 1)
    levels = (y[0, 0].double().numpy() + 1) * 127.5
    assert np.abs(levels - levels.round()).max() < 1e-4
    return levels.round(), notes


def assert_is_reduction(found: np.ndarray, picture: np.ndarray, side: int) -> None:
    by_pillow = as_file(resize(picture, side)).astype(int)
    difference = np.abs(found - by_pillow)
    assert difference.max() <= 1 and (difference == 0).mean() > 0.99  # a tie may go either way


@pytest.mark.parametrize("side", [8, 16, 27, 28, 32])
def test_sizes_that_agree_are_left_alone(side: int) -> None:
    picture = grey(side, side)
    found, notes = fitted(picture)
    assert np.array_equal(found, picture) and notes == []


@pytest.mark.parametrize(
    ("side", "size", "target"),
    [
        (29, None, 28),
        (31, None, 28),
        (33, None, 32),
        (64, None, 32),
        (100, None, 32),
        (64, 16, 16),
        (64, 28, 28),
        (64, 30, 28),
        (64, 32, 32),
        (64, 40, 32),
        (24, 8, 8),
        (30, 30, 28),
        (32, 31, 28),
    ],
)
def test_other_sizes_are_reduced_like_pillow(side: int, size: int | None, target: int) -> None:
    picture = grey(side, side)
    found, notes = fitted(picture, size)
    assert found.shape == (target, target)
    assert_is_reduction(found, picture, target)
    assert notes == [f"reduced from {side}x{side} to {target}x{target} (bicubic)"]


def test_own_size_asked_for_is_no_change() -> None:
    picture = grey(24, 24)
    found, notes = fitted(picture, 24)
    assert np.array_equal(found, picture) and notes == []


@pytest.mark.parametrize(("height", "width"), [(16, 24), (24, 16), (16, 25), (21, 16)])
def test_oblong_pictures_are_cropped_to_the_middle(height: int, width: int) -> None:
    picture, side = grey(height, width), min(height, width)
    found, notes = fitted(picture)
    top, left = (height - side) // 2, (width - side) // 2
    assert np.array_equal(found, picture[top : top + side, left : left + side])
    assert notes == [f"cropped from {width}x{height} to its central square {side}x{side}"]


def test_large_oblong_pictures_are_cropped_then_reduced() -> None:
    picture = grey(50, 80)
    found, notes = fitted(picture)
    assert_is_reduction(found, picture[:, 15:65], 32)
    assert [note.split()[0] for note in notes] == ["cropped", "reduced"]


def test_sixteen_bit_values_survive_where_nothing_is_reduced() -> None:
    y = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert torch.equal(fit_measurement(y, R)[0], y)


def test_a_size_above_the_picture_is_refused() -> None:
    with pytest.raises(MeasurementError, match=r"--size is 25, the picture has 24") as caught:
        fitted(grey(24, 40), 25)
    assert caught.value.code == "E-INV-SHAPE"
