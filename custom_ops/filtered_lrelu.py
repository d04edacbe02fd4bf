"""Leaky ReLU at a higher sampling rate, between two low-pass filters."""

from collections.abc import Sequence
from math import sqrt

import torch
from torch import Tensor

from custom_ops.bias_act import bias_act
from custom_ops.dispatch import resolve_impl
from custom_ops.errors import OpsError
from custom_ops.upfirdn2d import check_filter, check_signal, upfirdn2d


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
) -> Tensor:
    """Return `D(clip(gain lrelu(U(x + b)), -clamp, clamp))`, U and D resampling filters.

    `U = upfirdn2d(., fu, up, padding, gain=up^2)`, `D = upfirdn2d(., fd, down)`: the filtered
    nonlinearity of Karras et al. 2021, section 3.2. Derivatives to `x` and `b` of every order are
    exact on every path. Arithmetic of 16-bit signals is in float32.

    Args:
        x: signal [N, C, H, W], floating.
        fu: constant upsampling filter, [taps] or [h, w]; None is the identity.
        fd: constant downsampling filter, likewise.
        b: bias [C], or None.
        up: upsampling factor >= 1.
        down: downsampling factor >= 1.
        padding: samples at the upsampled rate, one number or [x0, x1, y0, y1]; negative crops.
        gain: factor after the activation.
        slope: factor on negative values.
        clamp: bound >= 0 on the absolute value after the gain, or None.
        flip_filter: True correlates instead of convolving.
        impl: 'auto', 'ref' or 'cpu'.

    Returns:
        [N, C, H_out, W_out], type of `x`.

    Raises:
        OpsError: wrong arguments, or an implementation that cannot do this call.
    """
    check_signal("filtered_lrelu", x)
    check_filter("filtered_lrelu", "fu", fu)
    check_filter("filtered_lrelu", "fd", fd)
    if b is not None and tuple(b.shape) != (x.shape[1],):
        what = f"b of shape {list(b.shape)} does not fit {x.shape[1]} channels"
        raise OpsError("E-OPS-ARG", f"filtered_lrelu: {what}. Give one bias per channel.")
    resolve_impl("filtered_lrelu", impl, ("ref",))
    return _filtered_lrelu_ref(x, fu, fd, b, up, down, padding, gain, slope, clamp, flip_filter)


def _filtered_lrelu_ref(
    x: Tensor,
    fu: Tensor | None,
    fd: Tensor | None,
    b: Tensor | None,
    up: int,
    down: int,
    padding: int | Sequence[int],
    gain: float,
    slope: float,
    clamp: float | None,
    flip_filter: bool,
) -> Tensor:
    dtype = x.dtype
    if dtype in (torch.bfloat16, torch.float16):
        x = x.float()
    x = bias_act(x, b, impl="ref")
    x = upfirdn2d(x, fu, up, 1, padding, flip_filter, up**2, impl="ref")
    x = bias_act(x, None, act="lrelu", alpha=slope, gain=gain, clamp=clamp, impl="ref")
    return upfirdn2d(x, fd, 1, down, 0, flip_filter, impl="ref").to(dtype)
