"""Reading and checking the arguments that the operations share."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd import forward_ad

from custom_ops.errors import OpsError


class Axis(NamedTuple):
    """One axis of the map `y[j] = sum_i x[i] g[i up + before - j down]`, `g` of `taps` values."""

    up: int
    down: int
    before: int
    size_in: int
    size_out: int
    taps: int

    def adjoint(self) -> "Axis":
        """The transposed map: factors exchanged, filter reversed, `before` mirrored."""
        before = self.taps - 1 - self.before
        return Axis(self.down, self.up, before, self.size_out, self.size_in, self.taps)


def parse_factor(name: str, value: int | Sequence[int]) -> tuple[int, int]:
    """Read a factor given as one number or as `[x, y]`. Raises: OpsError."""
    pair = (value, value) if isinstance(value, int) else tuple(value)
    if len(pair) != 2 or any(not isinstance(v, int) or v < 1 for v in pair):
        what = f"{name}={value!r} is not a whole number >= 1 or two of them"
        raise OpsError("E-OPS-ARG", f"upfirdn2d: {what}. Give for example {name}=2.")
    return pair[0], pair[1]


def parse_padding(value: int | Sequence[int]) -> tuple[int, int, int, int]:
    """Read a padding given as one number or as `[x0, x1, y0, y1]`. Raises: OpsError."""
    four = (value,) * 4 if isinstance(value, int) else tuple(value)
    if len(four) != 4 or any(not isinstance(v, int) for v in four):
        what = f"padding={value!r} is neither a whole number nor [x0, x1, y0, y1]"
        raise OpsError("E-OPS-ARG", f"upfirdn2d: {what}. Give four whole numbers.")
    return four[0], four[1], four[2], four[3]


def check_signal(op: str, x: Tensor) -> None:
    """Raise OpsError unless `x` is a floating tensor [N, C, H, W]."""
    if x.ndim != 4 or not x.is_floating_point():
        what = f"x is {x.dtype} of shape {list(x.shape)}, not floating [N, C, H, W]"
        raise OpsError("E-OPS-ARG", f"{op}: {what}. Reshape or convert it.")


def check_filter(op: str, name: str, f: Tensor | None) -> None:
    """Raise OpsError unless `f` is None or a constant filter with one or two axes."""
    if f is None:
        return
    if f.ndim not in (1, 2) or f.numel() == 0 or not f.is_floating_point():
        what = f"{name} is {f.dtype} of shape {list(f.shape)}, not floating [taps] or [h, w]"
        raise OpsError("E-OPS-ARG", f"{op}: {what}. Pass a filter with one or two axes.")
    if f.requires_grad:
        what = f"{name} requires a gradient, but filters are constants here"
        raise OpsError("E-OPS-ARG", f"{op}: {what}. Pass {name}.detach().")


def make_axis(up: int, down: int, pad: tuple[int, int], size: int, taps: int) -> Axis:
    """One axis of an upfirdn2d; the output has `(size up + pads - taps) // down + 1` samples."""
    size_out = (size * up + sum(pad) - taps) // down + 1
    if size_out < 1:
        what = f"{size} samples, up {up}, padding {list(pad)} and {taps} taps leave no output"
        raise OpsError("E-OPS-ARG", f"upfirdn2d: {what}. Pad more or use a shorter filter.")
    return Axis(up, down, pad[0], size, size_out, taps)


def check_bias(op: str, x: Tensor, b: Tensor | None) -> None:
    """Raise OpsError unless `b` is None or holds one number per channel of `x`."""
    if b is not None and tuple(b.shape) != (x.shape[1],):
        what = f"b of shape {list(b.shape)} does not fit {x.shape[1]} channels"
        raise OpsError("E-OPS-ARG", f"{op}: {what}. Give one bias per channel.")


def check_scale(op: str, x: Tensor, scale: Tensor | None) -> None:
    """Raise OpsError unless `scale` is None or holds one number per sample and channel of `x`."""
    if scale is not None and scale.shape != x.shape[:2]:
        what = f"scale of shape {list(scale.shape)} does not fit x {list(x.shape)}"
        raise OpsError("E-OPS-ARG", f"{op}: {what}. Give one factor per sample and channel.")


def check_padding(op: str, padding: int) -> None:
    """Raise OpsError unless `padding` is a whole number >= 0."""
    if not isinstance(padding, int) or padding < 0:
        what = f"padding={padding!r}"
        raise OpsError("E-OPS-ARG", f"{op}: {what}. Give a whole number >= 0.")


def check_clamp(op: str, clamp: float | None) -> None:
    """Raise OpsError unless `clamp` is None or a bound >= 0."""
    if clamp is not None and not clamp >= 0:
        raise OpsError("E-OPS-ARG", f"{op}: clamp={clamp}. Give a bound >= 0 or None.")


def describe_transforms(signals: Sequence[Tensor]) -> str:
    """What compiled operators cannot be transformed by, if it is at work; else an empty string."""
    if torch._C._are_functorch_transforms_active():
        return "torch.func transforms"
    # Forward-mode tangents would be lost in a compiled operator without an error.
    dual = any(forward_ad.unpack_dual(t).tangent is not None for t in signals)
    return "forward-mode derivatives" if dual else ""
