"""Sizes that the promise holds for, against Pillow's reduction in floating point."""

import numpy as np
import pytest
import torch
from PIL import Image

from inversion.measurement import cropped, fit_measurement, squared
from inversion.operators import Frame, MeasurementError
from tests.inversion.tiny import as_file, as_measurement, resize

R = 32


def grey(height: int, width: int) -> np.ndarray:
    """Return a lively grey picture with pure black and white in it."""
    v, u = np.mgrid[:height, :width]
    waves = 127.5 + 150 * np.sin(u / 2.3 + v / 7) * np.cos(v / 3.1 - u / 9)
    noise = np.random.default_rng(height * width).normal(0, 20, (height, width))
    return as_file(waves + noise)


def fitted(picture: np.ndarray, size: int | None = None) -> tuple[np.ndarray, list[str]]:
    y, _, notes = fit_measurement(as_measurement(picture), R, size)
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
def test_oblong_pictures_lie_in_the_middle_of_a_square(height: int, width: int) -> None:
    picture, side = grey(height, width), max(height, width)
    y, frame, notes = fit_measurement(as_measurement(picture), R)
    assert torch.equal(y, as_measurement(picture))
    assert (frame.side, frame.top, frame.left) == (side, (side - height) // 2, (side - width) // 2)
    assert len(notes) == 1 and notes[0].startswith(f"{width}x{height} is not square")


def test_squares_are_filled_up_by_repeating_the_border() -> None:
    picture = grey(9, 16)
    y, frame, _ = fit_measurement(as_measurement(picture), R)
    expected = np.pad(picture, ((3, 4), (0, 0)), mode="edge")
    assert torch.equal(squared(y, frame), as_measurement(expected))
    assert torch.equal(squared(y.mT, Frame(16, 0, 3)), as_measurement(expected.T))


def test_large_oblong_pictures_are_reduced_in_proportion() -> None:
    picture = grey(50, 80)
    y, frame, notes = fit_measurement(as_measurement(picture), R)
    by_pillow = Image.fromarray(picture.astype(np.float32)).resize((32, 20), Image.BICUBIC)
    assert (frame.side, frame.top, frame.left) == (32, 6, 0)
    difference = np.abs((y[0, 0].numpy() + 1) * 127.5 - as_file(np.asarray(by_pillow)))
    assert difference.max() < 1.01 and (difference < 0.01).mean() > 0.99
    assert notes[1] == "reduced from 80x50 to 32x20 (bicubic)"


def test_a_box_is_cut_out() -> None:
    picture = grey(20, 30)
    found = cropped(as_measurement(picture), (5, 2, 12, 9))
    assert torch.equal(found, as_measurement(picture[2:11, 5:17]))
    assert torch.equal(cropped(found, (0, 0, 12, 9)), found)


@pytest.mark.parametrize("box", [(0, 0, 31, 9), (0, 12, 9, 9), (-1, 0, 9, 9), (0, 0, 0, 9)])
def test_a_box_outside_is_refused(box: tuple) -> None:
    with pytest.raises(MeasurementError, match="not inside the picture's 30x20 pixels"):
        cropped(as_measurement(grey(20, 30)), box)


def test_sixteen_bit_values_survive_where_nothing_is_reduced() -> None:
    y = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert torch.equal(fit_measurement(y, R)[0], y)


def test_a_size_above_the_picture_is_refused() -> None:
    with pytest.raises(MeasurementError, match=r"--size is 25, the picture has 24") as caught:
        fitted(grey(24, 20), 25)
    assert caught.value.code == "E-INV-SHAPE"
