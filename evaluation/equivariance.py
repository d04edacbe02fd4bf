"""EQ-T, EQ-T_frac and EQ-R: how exactly a picture follows when its input is moved or turned.

Karras et al., "Alias-free generative adversarial networks", 2021, section 2 and appendix E: the
peak signal-to-noise ratio, in dB, of the generator's picture of the moved input against its moved
picture of the input, over the pixels that both show and all colours. The filters are our choice:
windowed sincs of 4 lobes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from engine.seeding import derive_generator
from evaluation.resampling import LOBES, filtered, shift_taps, smoothed, turned, upsampled

Render = Callable[[Sequence[int], Tensor], Tensor]
LARGEST_SHIFT = 1 / 8  # of the picture's side, each way
PEAK = 2.0  # the range of values in [-1, 1]
NAMES = ("eq_t", "eq_t_frac", "eq_r")


def equivariance(
    render: Render,
    num: int,
    seed: int = 0,
    batch: int = 8,
    on_batch: Callable[[int], object] = lambda num: None,
) -> dict[str, float]:
    """Return the three measures in dB, over `num` pictures.

    Args:
        render: called with numbers and transforms `[N, 3, 3]`, gives pictures `[N, C, R, R]` in
            [-1, 1]; a transform is the inverse of what is done to the picture, in its widths.
        num: pictures, each with a movement of its own.
        seed: of the movements.
        batch: pictures at a time.
        on_batch: called with the number of pictures done.
    """
    totals = {name: torch.zeros(2, dtype=torch.float64) for name in NAMES}
    for first in range(0, num, batch):
        numbers = range(first, min(first + batch, num))
        still = render(numbers, torch.eye(3).expand(len(numbers), -1, -1)).cpu().double()
        shifts, angles = movements(numbers, seed)
        whole = (shifts * still.shape[-1]).round() / still.shape[-1]
        for name, each in (("eq_t", whole), ("eq_t_frac", shifts)):
            moved = render(numbers, inverse_shift(each)).cpu().double()
            totals[name] += sum(map(shift_error, still, moved, each))
        spun = render(numbers, inverse_turn(angles)).cpu().double()
        totals["eq_r"] += sum(map(turn_error, still, spun, angles))
        on_batch(len(numbers))
    return {name: decibels(*total.tolist()) for name, total in totals.items()}


def decibels(squares: float, count: float) -> float:
    """Return 10 log10(4 / mean square): inf of no error, nan of no pixel or of one not finite."""
    if not count or not math.isfinite(squares):
        return math.nan
    return 10 * math.log10(PEAK**2 * count / squares) if squares else math.inf


def movements(numbers: Sequence[int], seed: int) -> tuple[Tensor, Tensor]:
    """Return shifts `[N, 2]` (x, y) in widths and angles `[N]` in [0, 2 pi), each by its number."""
    drawn = [torch.rand(3, generator=derive_generator(seed, "movement", k)) for k in numbers]
    uniform = torch.stack(drawn).double()
    return (uniform[:, :2] * 2 - 1) * LARGEST_SHIFT, uniform[:, 2] * 2 * math.pi


def inverse_shift(shifts: Tensor) -> Tensor:
    """Return the transforms `[N, 3, 3]` of pictures moved by `shifts [N, 2]` (x, y) widths."""
    transforms = torch.eye(3).repeat(len(shifts), 1, 1)
    transforms[:, :2, 2] = -shifts.float()
    return transforms


def inverse_turn(angles: Tensor) -> Tensor:
    """Return the transforms `[N, 3, 3]` of pictures turned by `angles [N]` from x towards y."""
    transforms = torch.eye(3).repeat(len(angles), 1, 1)
    transforms[:, :2, :2] = torch.stack([rotation(-angle) for angle in angles]).float()
    return transforms


def rotation(angle: Tensor) -> Tensor:
    """Return the matrix `[2, 2]` that turns points (x, y) from x towards y."""
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([torch.stack([cos, -sin]), torch.stack([sin, cos])])


def shift_error(still: Tensor, moved: Tensor, shift: Tensor) -> Tensor:
    """Return (sum of squared errors, how many) of a picture `[C, R, R]` moved by (x, y) widths.

    Where resampling would see beyond the picture's edge, nothing is compared.
    """
    side = still.shape[-1]
    (columns, right), (rows, down) = (shift_taps(amount * side) for amount in shift.tolist())
    expected = filtered(still, rows, columns)
    (of_still_y, of_moved_y), (of_still_x, of_moved_x) = (
        _shown(side, len(taps) // 2, offset) for taps, offset in ((rows, down), (columns, right))
    )
    error = expected[:, of_still_y, of_still_x] - moved[:, of_moved_y, of_moved_x]
    return torch.tensor([error.square().sum(), error.numel()], dtype=torch.float64)


def _shown(side: int, reach: int, offset: int) -> tuple[slice, slice]:
    """Return which of the `side - 2 reach` filtered samples, and of the moved, are compared."""
    first, last = max(reach + offset, 0), min(side - reach + offset, side)
    return slice(first - offset - reach, last - offset - reach), slice(first, last)


def turn_error(still: Tensor, spun: Tensor, angle: Tensor) -> Tensor:
    """Return (sum of squared errors, how many) of a picture `[C, R, R]` turned by an angle.

    A turned square of frequencies does not fit the square that pixels hold: both pictures are
    reduced to what lies in both, in the frame of the one and of the other.
    """
    there = rotation(angle)
    expected = smoothed(turned(upsampled(still), there))
    found = turned(smoothed(turned(upsampled(spun), there.mT)), there)
    error = (expected - found)[:, ::2, ::2][:, _seen_by_both(still.shape[-1], there)]
    return torch.tensor([error.square().sum(), error.numel()], dtype=torch.float64)


def _seen_by_both(side: int, there: Tensor) -> Tensor:
    """Return which pixels `[R, R]` the filters make of nothing beyond an edge of either picture."""
    axis = torch.arange(side, dtype=torch.float64) - (side - 1) / 2
    points = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1)
    farthest = torch.maximum(points.abs().amax(-1), (points @ there).abs().amax(-1))
    return farthest <= (side - 1) / 2 - 3 * LOBES
