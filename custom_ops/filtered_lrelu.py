"""Leaky ReLU at a higher sampling rate, between two low-pass filters."""

from collections.abc import Sequence
from math import sqrt
from typing import Any

import torch
from torch import Tensor

from custom_ops.arguments import (
    check_bias,
    check_clamp,
    check_filter,
    check_scale,
    check_signal,
    make_axis,
    parse_padding,
)
from custom_ops.bias_act import bias_act
from custom_ops.cpu_filtered_lrelu import filtered_lrelu_cpu
from custom_ops.cpu_kernels import describe_gap
from custom_ops.cuda_kernels import describe_filtered_lrelu_gap, filtered_lrelu_cuda
from custom_ops.dispatch import choose_path
from custom_ops.errors import OpsError
from custom_ops.modulate import modulate
from custom_ops.upfirdn2d import upfirdn2d


def filtered_lrelu(
    x: Tensor,
    fu: Tensor | None = None,
    fd: Tensor | None = None,
    b: Tensor | None = None,
    up: int = 1,
    down: int = 1,
    padding: int | Sequence[int] = 0,
    gain: float = sqrt(2),
    slope: float = 0.2,
    clamp: float | None = None,
    flip_filter: bool = False,
    impl: str = "auto",
    scale: Tensor | None = None,
) -> Tensor:
    """Return `D(clip(gain lrelu(U(x scale + b)), -clamp, clamp))`, U and D resampling filters.

    `U = upfirdn2d(., fu, up, padding, gain=up^2)`, `D = upfirdn2d(., fd, down)`: the filtered
    nonlinearity of Karras et al. 2021, section 3.2. Derivatives to `x`, `b` and `scale` of every
    order are exact on every path. Arithmetic of 16-bit signals is in float32. The filters of 'cpu'
    work in channels-last and those of 'cuda' in NCHW: they copy other layouts, answer in their own.

    Args:
        x: signal [N, C, H, W], floating.
        fu, fd: constant up- and downsampling filter, [taps] or [h, w]; None is the identity.
        b: bias [C], or None.
        up, down: factors >= 1.
        padding: samples at the upsampled rate, one number or [x0, x1, y0, y1]; negative crops.
        gain, slope: factor after the activation, factor on negative values.
        clamp: bound >= 0 on the absolute value after the gain, or None.
        flip_filter: True correlates instead of convolving.
        impl: 'auto', 'ref', 'cpu' or 'cuda'.
        scale: factors [N, C] (the demodulation of a modulated convolution), or None.

    Returns: [N, C, H_out, W_out], type of `x`. Raises: OpsError, wrong arguments or path.
    """
    check_signal("filtered_lrelu", x)
    check_scale("filtered_lrelu", x, scale)
    pad = _check(x, fu, fd, b, up, down, padding, clamp)
    args = (x, fu, fd, b, up, down, pad, gain, slope, clamp, flip_filter)
    filters = fu is not None or fd is not None or max(up, down) > 1  # else `ref` is as fast
    path = choose_path("filtered_lrelu", impl, _GAPS, args[:7], is_worth=filters)
    if path == "cpu":
        return _cpu(*args, scale)
    x = x if scale is None else modulate(x, scale, impl="ref")
    return (_ref if path == "ref" else filtered_lrelu_cuda)(x, *args[1:])


def _check(
    x: Tensor,
    fu: Tensor | None,
    fd: Tensor | None,
    b: Tensor | None,
    up: int,
    down: int,
    padding: int | Sequence[int],
    clamp: float | None,
) -> tuple[int, int, int, int]:
    """Return the padding as four numbers. Raises: OpsError."""
    op = "filtered_lrelu"
    check_filter(op, "fu", fu)
    check_filter(op, "fd", fd)
    check_bias(op, x, b)
    check_clamp(op, clamp)
    for name, factor in (("up", up), ("down", down)):
        if not isinstance(factor, int) or factor < 1:
            what = f"{name}={factor!r} is not a whole number >= 1"
            raise OpsError("E-OPS-ARG", f"{op}: {what}. Give for example {name}=2.")
    pad = parse_padding(padding)
    for size, dim, ends in ((x.shape[2], 0, pad[2:]), (x.shape[3], -1, pad[:2])):
        taps_up, taps_down = (1 if f is None else f.shape[dim] for f in (fu, fd))
        middle = make_axis(up, 1, ends, size, taps_up).size_out
        make_axis(1, down, (0, 0), middle, taps_down)
    return pad


def _describe_cpu_gap(
    x: Tensor, fu: Tensor | None, fd: Tensor | None, b: Tensor | None, up: int, down: int, _: Any
) -> str:
    return describe_gap((x,) if b is None else (x, b), (fu, fd), (up, down))


_GAPS = {"cpu": _describe_cpu_gap, "cuda": describe_filtered_lrelu_gap}


def _cpu(
    x: Tensor,
    fu: Tensor | None,
    fd: Tensor | None,
    b: Tensor | None,
    up: int,
    down: int,
    pad: tuple[int, int, int, int],
    gain: float,
    slope: float,
    clamp: float | None,
    flip_filter: bool,
    scale: Tensor | None,
) -> Tensor:
    identity = torch.ones(1)
    fu, fd = identity if fu is None else fu, identity if fd is None else fd
    bias, scale = (None if t is None else t.float() for t in (b, scale))
    grad = any(t is not None and t.requires_grad for t in (x, b, scale))
    bound = -1.0 if clamp is None else clamp
    save = grad and torch.is_grad_enabled()
    args = fu, fd, up, down, pad, gain, slope, bound, flip_filter, save, scale
    return filtered_lrelu_cpu(x, bias, *args)[0]


def _ref(
    x: Tensor,
    fu: Tensor | None,
    fd: Tensor | None,
    b: Tensor | None,
    up: int,
    down: int,
    pad: tuple[int, int, int, int],
    gain: float,
    slope: float,
    clamp: float | None,
    flip_filter: bool,
) -> Tensor:
    dtype = x.dtype
    if dtype in (torch.bfloat16, torch.float16):
        x = x.float()
    x = bias_act(x, b, impl="ref")
    x = upfirdn2d(x, fu, up, 1, pad, flip_filter, up**2, impl="ref")
    x = bias_act(x, None, act="lrelu", alpha=slope, gain=gain, clamp=clamp, impl="ref")
    return upfirdn2d(x, fd, 1, down, 0, flip_filter, impl="ref").to(dtype)
