"""Pictures of results: tables of pictures in one picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from data.image_io import save_png, to_uint8

if TYPE_CHECKING:
    from torch import Tensor


def tile(pictures: np.ndarray, columns: int, gap: int = 0) -> np.ndarray:
    """Arrange equally sized pictures in rows.

    Args:
        pictures: `[N, H, W, C]`, 8 bits.
        columns: pictures per row; the last row is filled up with white.
        gap: white pixels between neighbours.

    Returns:
        `[rows * (H + gap) - gap, columns * (W + gap) - gap, C]`.
    """
    num, height, width, channels = pictures.shape
    rows = -(-num // columns)
    sheet = np.full((rows, height + gap, columns, width + gap, channels), 255, pictures.dtype)
    for index, picture in enumerate(pictures):
        sheet[index // columns, :height, index % columns, :width] = picture
    flat = sheet.reshape(rows * (height + gap), columns * (width + gap), channels)
    return flat[: rows * (height + gap) - gap, : columns * (width + gap) - gap]


def enlarge(picture: np.ndarray, side: int, resample: Image.Resampling) -> np.ndarray:
    """Enlarge a picture `[H, W, C]` or `[H, W, 1]`, 8 bits, to `[side, side, 3]`."""
    image = Image.fromarray(np.broadcast_to(picture, (*picture.shape[:2], 3)).copy())
    return np.asarray(image.resize((side, side), resample))


def candidate_sheet(measurement: np.ndarray, candidates: np.ndarray, cell: int = 256) -> np.ndarray:
    """Arrange the input, the input enlarged smoothly, and the candidates in given order.

    Args:
        measurement: the small input, `[h, w, 1]`, 8 bits.
        candidates: `[K, R, R, 3]`, 8 bits.
        cell: side of each cell in pixels; smaller pictures are enlarged to it without smoothing.

    Returns:
        A sheet of five columns, `[H, W, 3]`.
    """
    cell = max(cell, candidates.shape[1])
    nearest, smooth = Image.Resampling.NEAREST, Image.Resampling.BICUBIC
    cells = [enlarge(measurement, cell, nearest), enlarge(measurement, cell, smooth)]
    cells += [enlarge(picture, cell, nearest) for picture in candidates]
    return tile(np.stack(cells), columns=5, gap=8)


def heat_map(values: np.ndarray, largest: float) -> np.ndarray:
    """Colour numbers `[H, W]` from dark (0) to bright (`largest` and more): `[H, W, 3]`, 8 bits."""
    from matplotlib import colormaps

    return colormaps["inferno"](np.clip(values / largest, 0, 1), bytes=True)[..., :3]


def save_sheet(path: Path, pictures: Tensor, columns: int) -> None:
    """Write pictures `[N, 3, H, W]` in [-1, 1] as one PNG."""
    save_png(path, tile(to_uint8(pictures), columns))


def labelled_sheet(
    rows: list[list[np.ndarray]], names: list[str], titles: list[str], cell: int = 128
) -> np.ndarray:
    """Arrange pictures in rows with names on the left and titles above the columns.

    Args:
        rows: of pictures `[h, w, 1 or 3]`, 8 bits, enlarged or reduced to `cell`; rows may be
            shorter than the titles.
        names: of the rows; lines are separated by a line break.
        titles: of the columns.
        cell: side of each picture in pixels.

    Returns:
        A sheet, `[H, W, 3]`.
    """
    left, top, gap = 8 + 6 * max(len(line) for name in names for line in name.split("\n")), 18, 4
    size = (left + len(titles) * (cell + gap), top + len(rows) * (cell + gap))
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    for column, title in enumerate(titles):
        pen.text((left + column * (cell + gap), 3), title, fill="black")
    for index, (pictures, name) in enumerate(zip(rows, names, strict=True)):
        y = top + index * (cell + gap)
        pen.multiline_text((4, y + 4), name, fill="black")
        for column, picture in enumerate(pictures):
            is_smaller = len(picture) < cell
            how = Image.Resampling.NEAREST if is_smaller else Image.Resampling.BICUBIC
            place = (left + column * (cell + gap), y)
            sheet.paste(Image.fromarray(enlarge(picture, cell, how)), place)
    return np.asarray(sheet)
