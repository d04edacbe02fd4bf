"""Tables of pictures, compared with arrays put together by hand."""

import numpy as np
import pytest
from PIL import Image

from evaluation.report import candidate_sheet, enlarge, heat_map, tile


def pictures(num: int, height: int, width: int, channels: int = 3) -> np.ndarray:
    rng = np.random.default_rng(num)
    return rng.integers(0, 255, (num, height, width, channels), dtype=np.uint8)  # never white


@pytest.mark.parametrize(("num", "columns"), [(1, 1), (3, 5), (4, 2), (5, 2), (7, 3)])
@pytest.mark.parametrize("gap", [0, 2])
def test_tile_puts_pictures_row_by_row(num: int, columns: int, gap: int) -> None:
    given, rows = pictures(num, 4, 6), int(np.ceil(num / columns))
    sheet = tile(given, columns, gap)
    assert sheet.shape == (rows * (4 + gap) - gap, columns * (6 + gap) - gap, 3)
    covered = np.zeros(sheet.shape[:2], bool)
    for k, picture in enumerate(given):
        place = np.s_[
            (top := k // columns * (4 + gap)) : top + 4,
            (left := k % columns * (6 + gap)) : left + 6,
        ]
        assert np.array_equal(sheet[place], picture)
        covered[place] = True
    assert (sheet[~covered] == 255).all()


def test_tile_keeps_grey_pictures_grey() -> None:
    assert tile(pictures(2, 3, 3, 1), columns=2).shape == (3, 6, 1)


def test_heat_map_grows_brighter_up_to_its_end() -> None:
    found = heat_map(np.array([[-1.0, 0, 5, 10, 20, 40, 99]]), 40)
    assert (found.dtype, found.shape) == (np.uint8, (1, 7, 3))
    luma = found[0] @ np.array([0.299, 0.587, 0.114])
    assert (np.diff(luma) >= 0).all() and (np.diff(luma[1:6]) > 10).all()
    assert np.array_equal(found[0, 0], found[0, 1]) and np.array_equal(found[0, 5], found[0, 6])


def test_enlarge_without_smoothing_repeats_pixels() -> None:
    [grey] = pictures(1, 4, 4, 1)
    expected = np.repeat(np.repeat(np.repeat(grey, 3, 0), 3, 1), 3, 2)
    assert np.array_equal(enlarge(grey, 12, Image.Resampling.NEAREST), expected)
    [colour] = pictures(1, 4, 4)
    expected = np.repeat(np.repeat(colour, 3, 0), 3, 1)
    assert np.array_equal(enlarge(colour, 12, Image.Resampling.NEAREST), expected)


def test_sheet_is_input_smooth_input_then_candidates_in_order() -> None:
    [measurement], candidates = pictures(1, 5, 5, 1), pictures(4, 10, 10)
    sheet = candidate_sheet(measurement, candidates, cell=20)
    assert sheet.shape == (2 * 28 - 8, 5 * 28 - 8, 3)
    grey = Image.fromarray(measurement[:, :, 0])
    cells = [
        np.asarray(grey.resize((20, 20), resample).convert("RGB"))
        for resample in (Image.Resampling.NEAREST, Image.Resampling.BICUBIC)
    ]
    cells += [picture.repeat(2, 0).repeat(2, 1) for picture in candidates]
    for k, cell in enumerate(cells):
        top, left = k // 5 * 28, k % 5 * 28
        assert np.array_equal(sheet[top : top + 20, left : left + 20], cell), k
    assert (sheet[28:, 28:] == 255).all() and (sheet[20:28] == 255).all()


def test_sheet_does_not_shrink_large_candidates() -> None:
    [measurement], candidates = pictures(1, 8, 8, 1), pictures(1, 32, 32)
    sheet = candidate_sheet(measurement, candidates, cell=16)
    assert sheet.shape == (32, 5 * 40 - 8, 3)
    assert np.array_equal(sheet[:, 80:112], candidates[0])
