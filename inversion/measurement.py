"""Bring a grey picture to a size that the promise of agreement holds for."""

import torch
from torch import Tensor

from inversion.operators import MAX_REDUCED_SIDE, MeasurementError, bicubic_matrix


def _reduce(y: Tensor, side: int) -> Tensor:
    """Reduce `y [1, 1, h, h]` to `side` (antialiased bicubic), rounded to 8 bits like a file."""
    matrix = bicubic_matrix(side, y.shape[-1])
    levels = ((matrix @ y.double() @ matrix.T + 1) * 127.5).round().clamp(0, 255)
    return (levels / 127.5 - 1).to(y.dtype)


def _crop_to_square(y: Tensor) -> Tensor:
    height, width = y.shape[-2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return y[..., top : top + side, left : left + side]


def fit_measurement(
    y: Tensor, img_resolution: int, size: int | None = None
) -> tuple[Tensor, list[str]]:
    """Crop and reduce a measurement until a picture of side `img_resolution` can agree with it.

    The reduction of a picture of side R determines it well up to 7/8 R, and its own size does;
    sizes in between are reduced to 7/8 R, larger ones to R.

    Args:
        y: `[1, 1, h, w]` in [-1, 1].
        img_resolution: R, the side of the picture.
        size: a smaller side to reduce to, or None.

    Returns:
        `y [1, 1, s, s]` and a note for each thing that was changed.

    Raises:
        MeasurementError: `size` is larger than the picture.
    """
    notes = []
    height, width = y.shape[-2:]
    if height != width:
        y = _crop_to_square(y)
        notes.append(
            f"cropped from {width}x{height} to its central square {y.shape[-1]}x{y.shape[-1]}"
        )
    side = y.shape[-1]
    if size is not None and size > side:
        raise MeasurementError(f"--size is {size}, the picture has {side}. Give at most {side}.")
    largest = int(MAX_REDUCED_SIDE * img_resolution)
    target = size or side
    if target > img_resolution:
        target = img_resolution
    elif largest < target < img_resolution:
        target = largest
    if target != side:
        y = _reduce(y, target)
        notes.append(f"reduced from {side}x{side} to {target}x{target} (bicubic)")
    return y.to(torch.float32), notes
