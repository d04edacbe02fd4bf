"""Call the compiled `clip(gain act(x s + b))`, its derivative, and what is made of the two."""

import ctypes
from collections.abc import Sequence
from math import nan
from typing import NamedTuple

import torch
from torch import Tensor

from custom_ops.activations import ACTIVATIONS
from custom_ops.build import load_library

ACTS = tuple(ACTIVATIONS)  # `Act` of the kernel


class View(NamedTuple):
    """How the kernel sees a tensor; `Call` of pointwise.cpp."""

    batch: int
    rows: int
    width: int
    channels: int
    padding: int
    bands: int
    is_planar: bool


class Activation(NamedTuple):
    """What follows factor and bias; `clamp` NaN is none."""

    act: str = "linear"
    alpha: float = 0.0
    gain: float = 1.0
    clamp: float = nan


class _Call(ctypes.Structure):
    _fields_ = [
        *[(name, ctypes.c_int64) for name in View._fields],
        *[(name, ctypes.c_int64) for name in ("is_bfloat16", "act", "threads")],
        *[(name, ctypes.c_void_p) for name in ("scale", "bias", "x", "y", "dy", "dx")],
        *[(name, ctypes.c_void_p) for name in ("sums_scale", "sums_bias")],
        *[(name, ctypes.c_float) for name in ("alpha", "gain", "clamp")],
    ]


def make_view(batch: int, rows: int, width: int, channels: int, padding: int, planar: bool) -> View:
    """Add the number of tasks per sample: enough for two per thread."""
    units = channels if planar else rows
    bands = -(-2 * torch.get_num_threads() // max(batch, 1))
    return View(batch, rows, width, channels, padding, max(1, min(bands, units)), planar)


def view_pictures(x: Tensor, padding: int = 0) -> View:
    """Of a channels-last `x [N, C, H, W]`."""
    batch, channels, height, width = x.shape
    return make_view(batch, height, width, channels, padding, False)


def view_axis(shape: Sequence[int], dim: int) -> View:
    """Of a contiguous tensor whose bias runs along `dim`."""
    before = torch.Size(shape[:dim]).numel()
    after = torch.Size(shape[dim + 1 :]).numel()
    if after == 1:
        return make_view(1, before, 1, shape[dim], 0, False)
    return make_view(before, 1, after, shape[dim], 0, True)


def run_pointwise(
    view: View,
    x: Tensor,
    y: Tensor,
    activation: Activation,
    *,
    scale: Tensor | None = None,
    bias: Tensor | None = None,
    dy: Tensor | None = None,
    sums: tuple[Tensor | None, Tensor | None] = (None, None),
) -> None:
    """Write `y`, or with `dy` the derivative to `x` into it and add to `sums` of factor and bias.

    Tensors lie in memory as `view` says; `scale` and `bias` are float32.
    """
    act, *scalars = activation
    results = (y, None, None) if dy is None else (None, dy, y)
    pointers = [None if t is None else t.data_ptr() for t in (scale, bias, x, *results, *sums)]
    head = *view, x.dtype == torch.bfloat16, ACTS.index(act), torch.get_num_threads()
    call = _Call(*map(int, head), *pointers, *scalars)
    if load_library().irodori_pointwise(ctypes.byref(call)) != 0:
        raise AssertionError(f"the kernel does not know {act!r}")


def empty_sums(view: View) -> Tensor:
    """Zeros `[batch, bands, channels]` to be summed into."""
    return torch.zeros(view.batch, view.bands, view.channels, dtype=torch.float64)
