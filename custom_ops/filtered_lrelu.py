"""Leaky ReLU at a higher sampling rate, between two low-pass filters."""

from collections.abc import Sequence
from math import sqrt

import torch
from torch import Tensor
from torch.autograd import forward_ad

from custom_ops.bias_act import bias_act
from custom_ops.build import is_available
from custom_ops.cpu_kernels import MAX_FACTOR, filtered_lrelu_cpu
from custom_ops.dispatch import resolve_impl
from custom_ops.errors import OpsError
from custom_ops.upfirdn2d import check_filter, check_signal, make_axis, parse_padding, upfirdn2d


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
    _check_rest(x, b, up, down, clamp)
    args = (x, fu, fd, b, up, down, padding, gain, slope, clamp, flip_filter)
    if _use_cpu(resolve_impl("filtered_lrelu", impl, ("ref", "cpu")), impl, *args[:6]):
        return _filtered_lrelu_cpu(*args)
    return _filtered_lrelu_ref(*args)


def _check_rest(x: Tensor, b: Tensor | None, up: int, down: int, clamp: float | None) -> None:
    if b is not None and tuple(b.shape) != (x.shape[1],):
        what = f"b of shape {list(b.shape)} does not fit {x.shape[1]} channels"
        raise OpsError("E-OPS-ARG", f"filtered_lrelu: {what}. Give one bias per channel.")
    for name, factor in (("up", up), ("down", down)):
        if not isinstance(factor, int) or factor < 1:
            what = f"{name}={factor!r} is not a whole number >= 1"
            raise OpsError("E-OPS-ARG", f"filtered_lrelu: {what}. Give for example {name}=2.")
    if clamp is not None and not clamp >= 0:
        raise OpsError("E-OPS-ARG", f"filtered_lrelu: clamp={clamp}. Give a bound >= 0 or None.")


def _use_cpu(
    wish: str,
    impl: str,
    x: Tensor,
    fu: Tensor | None,
    fd: Tensor | None,
    b: Tensor | None,
    up: int,
    down: int,
) -> bool:
    filters = fu is not None or fd is not None or max(up, down) > 1
    if wish == "ref" or (wish == "auto" and not filters):  # nothing to filter: `ref` is as fast
        return False
    gap = _not_covered(x, fu, fd, up, down) or _transformed(x, b)
    if gap and impl == "cpu":
        what = f"impl='cpu' does not cover {gap}"
        raise OpsError("E-OPS-IMPL", f"filtered_lrelu: {what}. Use impl='auto'.")
    if gap:
        return False
    return is_available(wish == "cpu")


def _not_covered(x: Tensor, fu: Tensor | None, fd: Tensor | None, up: int, down: int) -> str:
    """What keeps this call from the compiled path, or an empty string."""
    if x.device.type != "cpu":
        return f"device {x.device}"
    if x.dtype not in (torch.float32, torch.bfloat16):
        return f"{x.dtype}"
    if x.numel() == 0:
        return "empty signals"
    if any(f is not None and (f.ndim != 1 or f.device.type != "cpu") for f in (fu, fd)):
        return "two-dimensional filters"
    return f"factors above {MAX_FACTOR}" if max(up, down) > MAX_FACTOR else ""


def _transformed(x: Tensor, b: Tensor | None) -> str:
    """Forward-mode tangents would be lost in the compiled operator without an error."""
    if torch._C._are_functorch_transforms_active():
        return "torch.func transforms"
    signals = (x,) if b is None else (x, b)
    dual = any(forward_ad.unpack_dual(t).tangent is not None for t in signals)
    return "forward-mode derivatives" if dual else ""


def _filtered_lrelu_cpu(
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
    identity = torch.ones(1)
    fu, fd = identity if fu is None else fu, identity if fd is None else fd
    pad = parse_padding(padding)
    for size, before, after in ((x.shape[3], *pad[:2]), (x.shape[2], *pad[2:])):
        middle = make_axis(up, 1, (before, after), size, fu.numel()).size_out
        make_axis(1, down, (0, 0), middle, fd.numel())
    bias = None if b is None else b.float()
    grad = x.requires_grad or (b is not None and b.requires_grad)
    bound = -1.0 if clamp is None else clamp
    save = grad and torch.is_grad_enabled()
    y, _ = filtered_lrelu_cpu(x, bias, fu, fd, up, down, pad, gain, slope, bound, flip_filter, save)
    return y


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
