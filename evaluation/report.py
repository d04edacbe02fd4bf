"""Pictures of results: tables of pictures in one picture."""

import numpy as np


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
