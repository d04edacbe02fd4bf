"""Bring a picture to a size that the promise of agreement holds for."""

import torch.nn.functional as F
from torch import Tensor

from inversion.operators import MAX_REDUCED_SIDE, Frame, MeasurementError, bicubic_matrix

Box = tuple[int, int, int, int]  # x, y of the upper left corner, width, height; in pixels


def cropped(y: Tensor, box: Box) -> Tensor:
    """Cut a box out of `y [1, C, h, w]`.

    Raises:
        MeasurementError: the box does not lie inside.
    """
    left, top, width, height = box
    inside = left >= 0 and top >= 0 and width > 0 and height > 0
    if not inside or left + width > y.shape[3] or top + height > y.shape[2]:
        size = f"{y.shape[3]}x{y.shape[2]}"
        raise MeasurementError(
            f"--crop {left},{top},{width},{height} is not inside the picture's {size} pixels."
            " Give x,y,width,height of a box that is."
        )
    return y[..., top : top + height, left : left + width]


def reduced(y: Tensor, side: int) -> Tensor:
    """Reduce `y [1, C, h, w]` until its longer side is `side`, rounded to 8 bits like a file.

    Antialiased bicubic; the shorter side is rounded to whole pixels.
    """
    share = side / max(y.shape[-2:])
    d_v, d_h = (bicubic_matrix(max(1, round(share * n)), n) for n in y.shape[-2:])
    levels = ((d_v @ y.double() @ d_h.T + 1) * 127.5).round().clamp(0, 255)
    return (levels / 127.5 - 1).to(y.dtype)


def squared(y: Tensor, frame: Frame) -> Tensor:
    """Fill `y [1, C, h, w]` up to its frame's square by repeating what is at its border."""
    if y.shape[-2:] == (frame.side, frame.side):
        return y
    below = frame.side - frame.top - y.shape[2]
    right = frame.side - frame.left - y.shape[3]
    return F.pad(y, (frame.left, right, frame.top, below), mode="replicate")


def fitting_side(side: int, largest: int) -> int:
    """Return the side to reduce to so that a picture of side `largest` can agree.

    The reduction of a picture of side P determines it well up to 7/8 P, and its own size does;
    sizes in between are reduced to 7/8 P, larger ones to P.
    """
    well = int(MAX_REDUCED_SIDE * largest)
    return min(side, largest) if side <= well or side >= largest else well


def fit_measurement(
    y: Tensor, largest: int, size: int | None = None
) -> tuple[Tensor, Frame, list[str]]:
    """Reduce a measurement until a picture of side `largest` can agree with it.

    Args:
        y: `[1, C, h, w]` in [-1, 1]; what is not square lies in the middle of a square.
        largest: P, the side of the picture.
        size: a smaller side to reduce to, or None.

    Returns:
        `y`, its longer side fitting, where it lies in the picture, and a note for each thing that
        was changed.

    Raises:
        MeasurementError: `size` is larger than the picture.
    """
    notes, (height, width) = [], y.shape[-2:]
    side = max(height, width)
    if height != width:
        notes.append(
            f"{width}x{height} is not square: it was put in the middle of a square, whose rest is"
            " made up"
        )
    if size is not None and size > side:
        raise MeasurementError(f"--size is {size}, the picture has {side}. Give at most {side}.")
    target = fitting_side(size or side, largest)
    if target != side:
        y = reduced(y, target)
        notes.append(f"reduced from {width}x{height} to {y.shape[3]}x{y.shape[2]} (bicubic)")
    return y.float(), Frame.around(*y.shape[-2:]), notes
