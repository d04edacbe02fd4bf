"""Upsample, filter, downsample: a linear map of pictures, and its exact derivatives."""

from collections.abc import Sequence
from math import gcd
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from custom_ops.arguments import (
    Axis,
    check_filter,
    check_signal,
    make_axis,
    parse_factor,
    parse_padding,
)
from custom_ops.cpu_kernels import describe_gap
from custom_ops.cpu_upfirdn2d import upfirdn2d_cpu
from custom_ops.cuda_upfirdn2d import describe_resample_gap, upfirdn2d_cuda
from custom_ops.dispatch import choose_path


def upfirdn2d(
    x: Tensor,
    f: Tensor | None,
    up: int | Sequence[int] = 1,
    down: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    flip_filter: bool = False,
    gain: float = 1,
    impl: str = "auto",
) -> Tensor:
    """Insert `up - 1` zeros after each sample, pad, convolve with `f`, keep every `down`-th sample.

    Per axis `y[j] = gain sum_k f[k] u[j down + taps - 1 - k]`, where `u` is the zero-filled, padded
    signal (fixtures README, "Operations"; the polyphase form of Crochiere and Rabiner 1983, so
    inserted zeros cost nothing). Linear in `x`; derivatives of every order are exact. Arithmetic
    is in float32 for 16-bit signals, otherwise in the type of `x`.

    Args:
        x: signal [N, C, H, W], floating.
        f: constant filter, [taps] (used on both axes), [h, w], or None for the identity.
        up: factor, one number or [x, y].
        down: factor, one number or [x, y].
        padding: samples at the upsampled rate, one number or [x0, x1, y0, y1]; negative crops.
        flip_filter: True correlates (`f[k] u[j down + k]`) instead of convolving.
        gain: factor on the result.
        impl: 'auto', 'ref', 'cpu' or 'cuda'.

    Returns:
        [N, C, (H up_y + y0 + y1 - h) // down_y + 1, the same for W], type and layout of `x`.

    Raises:
        OpsError: wrong arguments, or an implementation that does not exist.
    """
    check_signal("upfirdn2d", x)
    check_filter("upfirdn2d", "f", f)
    factors, pad = (parse_factor("up", up), parse_factor("down", down)), parse_padding(padding)
    axes = _axes(x, f, *factors, pad)
    path = choose_path("upfirdn2d", impl, _GAPS, (x, f, *axes), _is_worth_compiling(x, *axes))
    if path == "cpu":
        return _like(x, _cpu(x, f, *factors, pad, flip_filter, gain))
    if path == "cuda":
        return _like(x, upfirdn2d_cuda(x, f, *axes, flip_filter, gain))
    return _Resample.apply(x, _kernel(f, flip_filter, gain), *axes)


def _describe_cpu_gap(x: Tensor, f: Tensor | None, axis_y: Axis, axis_x: Axis) -> str:
    return describe_gap((x,), (f,), (axis_y.up, axis_y.down, axis_x.up, axis_x.down))


_GAPS = {"cpu": _describe_cpu_gap, "cuda": describe_resample_gap}


def _cpu(x: Tensor, f: Tensor | None, *args: Any) -> Tensor:
    *rest, flip_filter, gain = args
    f = torch.ones(1) if f is None else f
    return upfirdn2d_cpu(x, f, *rest, list(x.shape[2:]), flip_filter, gain, False)


def _like(x: Tensor, y: Tensor) -> Tensor:
    """`y` in the layout of `x`."""
    channels_last = x.is_contiguous(memory_format=torch.channels_last)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return y.contiguous(memory_format=layout)


def _is_worth_compiling(x: Tensor, axis_y: Axis, axis_x: Axis) -> bool:
    """Whether the compiled path is the faster one, by benchmarks/cpu_ops.py.

    oneDNN's depthwise convolution wins for short filters at an unchanged rate, and few channels
    leave most lanes empty.
    """
    if x.shape[1] < 16:  # one full register; between 3 and 64 channels nothing was measured
        return False
    if axis_y.taps * axis_x.taps > 16:
        return True
    resampled = max(axis_y.up, axis_y.down, axis_x.up, axis_x.down) > 1
    return resampled and x.is_contiguous(memory_format=torch.channels_last)


def _axes(
    x: Tensor,
    f: Tensor | None,
    up: tuple[int, int],
    down: tuple[int, int],
    pad: tuple[int, int, int, int],
) -> tuple[Axis, Axis]:
    taps_x, taps_y = (1, 1) if f is None else (f.shape[-1], f.shape[0])
    axis_x = make_axis(up[0], down[0], pad[:2], x.shape[3], taps_x)
    return make_axis(up[1], down[1], pad[2:], x.shape[2], taps_y), axis_x


Kernel = tuple[list[float], list[float]] | list[list[float]]
"""Correlation kernel: a tuple (rows, columns) if separable, else a matrix."""


def _kernel(f: Tensor | None, flip_filter: bool, gain: float) -> Kernel:
    if f is None:
        return [gain], [1.0]
    if not flip_filter:
        f = f.flip(list(range(f.ndim)))
    values: Any = f.tolist()
    if f.ndim == 1:
        return [v * gain for v in values], values
    return _separate([[v * gain for v in row] for row in values])


def _separate(matrix: list[list[float]]) -> Kernel:
    """Split an outer product into its factors; anything else stays as it is.

    Only a matrix of rank one to double precision is split, so the answer never depends on it.
    """
    peak = max((v for row in matrix for v in row), key=abs)
    row_at = next(row for row in matrix if peak in row)
    column = row_at.index(peak)
    if peak == 0:
        return matrix
    rows = [row[column] / peak for row in matrix]
    for weight, row in zip(rows, matrix, strict=True):
        if any(abs(weight * a - v) > 1e-14 * abs(peak) for a, v in zip(row_at, row, strict=True)):
            return matrix
    return rows, row_at


def _adjoint_kernel(kernel: Kernel) -> Kernel:
    if isinstance(kernel, tuple):
        return kernel[0][::-1], kernel[1][::-1]
    return [row[::-1] for row in kernel[::-1]]


class _Resample(torch.autograd.Function):
    """The linear map with a fixed kernel; its derivative is the adjoint map, again a `_Resample`.

    autograd through the slices below would give the same numbers, at several times the cost.
    """

    @staticmethod
    def forward(x: Tensor, kernel: Kernel, axis_y: Axis, axis_x: Axis) -> Tensor:
        if _suits_depthwise(x, axis_y, axis_x):
            weight = torch.tensor(_matrix(kernel), device=x.device)
            exact = bool((weight.to(x.dtype) == weight).all())
            return _depthwise(x if exact else x.float(), weight, axis_y, axis_x).to(x.dtype)
        wide = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
        if isinstance(kernel, tuple):
            wide = _along(wide, kernel[0], axis_y, 2)
            wide = _along(wide, kernel[1], axis_x, 3)
        else:
            wide = _both(wide, kernel, axis_y, axis_x)
        return wide.to(x.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.args = inputs[1:]

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        kernel, axis_y, axis_x = ctx.args
        back = _adjoint_kernel(kernel), axis_y.adjoint(), axis_x.adjoint()
        return _Resample.apply(dy, *back), None, None, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], x: Tensor, *constants: Any) -> tuple[Tensor, int]:
        x = x.movedim(in_dims[0], 0)
        y = _Resample.apply(x.flatten(0, 1), *constants)
        return y.unflatten(0, x.shape[:2]), 0

    @staticmethod
    def jvp(ctx: Any, dx: Tensor, *constants: None) -> Tensor:
        return _Resample.apply(dx, *ctx.args)


def _suits_depthwise(x: Tensor, axis_y: Axis, axis_x: Axis) -> bool:
    """Whether one depthwise convolution beats slices: few taps, few inserted zeros, a fast type.

    Not on CUDA, where it may be cuDNN's in TensorFloat-32.
    """
    few = 2 <= axis_y.taps * axis_x.taps <= 16 and axis_y.up * axis_x.up <= 4
    # F.pad refuses to crop more than there is
    rest = min(a.size_in * a.up + min(a.before, 0) + min(_after(a), 0) for a in (axis_y, axis_x))
    fast = x.device.type == "cpu" and x.dtype in (torch.float32, torch.bfloat16, torch.float16)
    return few and fast and x.numel() > 0 and rest > 0


def _after(axis: Axis) -> int:
    """Samples that the last output needs behind the zero-filled signal; negative: crops."""
    return (axis.size_out - 1) * axis.down + axis.taps - axis.before - axis.size_in * axis.up


def _matrix(kernel: Kernel) -> list[list[float]]:
    if isinstance(kernel, tuple):
        return [[row * column for column in kernel[1]] for row in kernel[0]]
    return kernel


def _depthwise(x: Tensor, weight: Tensor, axis_y: Axis, axis_x: Axis) -> Tensor:
    """The definition as written: insert zeros, pad, correlate, keep every `down`-th sample."""
    padding = [axis_x.before, _after(axis_x), axis_y.before, _after(axis_y)]
    if axis_y.up * axis_x.up > 1:
        wide = _zeros(x, axis_y.size_in * axis_y.up, axis_x.size_in * axis_x.up)
        wide[:, :, :: axis_y.up, :: axis_x.up] = x
        x = wide
    common = [max(min(padding[:2]), 0), max(min(padding[2:]), 0)]
    rest = [p - common[i // 2] for i, p in enumerate(padding)]
    x = F.pad(x, rest) if any(rest) else x
    kernel = weight.to(x.dtype).expand(x.shape[1], 1, -1, -1)
    stride = (axis_y.down, axis_x.down)
    with torch.autocast(x.device.type, enabled=False):  # the type of x stands
        return F.conv2d(x, kernel, stride=stride, padding=common[::-1], groups=x.shape[1])


class _Term(NamedTuple):
    """`y[out] += g[tap] x[source]` for one tap and one phase, both strided slices."""

    tap: int
    out: slice
    source: slice


def _terms(axis: Axis) -> list[_Term]:
    """Every tap of every polyphase branch, clipped to samples that exist (zeros elsewhere)."""
    step = gcd(axis.up, axis.down)
    phases, stride = axis.up // step, axis.down // step
    terms = []
    for phase in range(phases):
        count = -(-(axis.size_out - phase) // phases)
        for tap in range(axis.taps):
            first, rest = divmod(phase * axis.down + tap - axis.before, axis.up)
            low = max(0, -(first // stride))
            high = min(count, (axis.size_in - 1 - first) // stride + 1)
            if rest == 0 and low < high:
                out = slice(phase + low * phases, phase + (high - 1) * phases + 1, phases)
                start = first + low * stride
                source = slice(start, start + (high - low - 1) * stride + 1, stride)
                terms.append(_Term(tap, out, source))
    return terms


def _is_identity(axis: Axis) -> bool:
    return axis.up == axis.down == axis.taps == 1 and axis.before == 0


def _zeros(x: Tensor, height: int, width: int) -> Tensor:
    channels_last = x.is_contiguous(memory_format=torch.channels_last)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    size = (x.shape[0], x.shape[1], height, width)
    return torch.empty(size, dtype=x.dtype, device=x.device, memory_format=layout).zero_()


def _along(x: Tensor, g: list[float], axis: Axis, dim: int) -> Tensor:
    if _is_identity(axis) and axis.size_in == axis.size_out:
        return x * g[0] if g[0] != 1 else x
    sizes = [x.shape[2], x.shape[3]]
    sizes[dim - 2] = axis.size_out
    y = _zeros(x, *sizes)
    lead = (slice(None),) * dim
    for tap, out, source in _terms(axis):
        y[(*lead, out)].add_(x[(*lead, source)], alpha=g[tap])
    return y


def _both(x: Tensor, g: list[list[float]], axis_y: Axis, axis_x: Axis) -> Tensor:
    y = _zeros(x, axis_y.size_out, axis_x.size_out)
    for row, out_y, source_y in _terms(axis_y):
        for column, out_x, source_x in _terms(axis_x):
            target, source = y[:, :, out_y, out_x], x[:, :, source_y, source_x]
            target.add_(source, alpha=g[row][column])
    return y
