"""The compiled filtered leaky ReLU as two torch operators that are each other's derivatives.

`filtered_lrelu_cpu(x, b) -> y, mask` and, for a stored mask, the linear map
`masked_filter_cpu(x, b, mask, transpose) -> y, sums` with `y = M (x + b)` or `M^T (x + b)` and
`sums` the sum of y per channel. M is what the forward pass does to a small change of its input.
Adding b to every pixel and summing over pixels are adjoint, so the derivative of the second
operator is the second operator transposed: derivatives of every order stay compiled and exact.
"""

import ctypes
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from custom_ops.build import load_library

LANES = 16
MARGIN = 8  # kMargin of the kernel: unused mask columns on either side of a row
MAX_FACTOR = 8  # a group of samples may reach this far over the edge, see MARGIN
FORWARD, FORWARD_SAVE, MASKED = range(3)


class AxisPlan(NamedTuple):
    """Sizes of one axis: `in -> mid` by `up`, then `mid -> out` by `down` (kernel: `Axis`)."""

    size_in: int
    mid: int
    out: int
    up: int
    down: int
    before_up: int
    before_down: int
    taps_up: int
    taps_down: int

    def transpose(self) -> "AxisPlan":
        """The plan of the adjoint map."""
        return AxisPlan(
            self.out,
            self.mid,
            self.size_in,
            self.down,
            self.up,
            self.taps_down - 1 - self.before_down,
            self.taps_up - 1 - self.before_up,
            self.taps_down,
            self.taps_up,
        )


class _Axis(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in AxisPlan._fields] + [
        ("f_up", ctypes.c_void_p),
        ("f_down", ctypes.c_void_p),
    ]


class _Call(ctypes.Structure):
    _fields_ = [
        ("y", _Axis),
        ("x", _Axis),
        *[(name, ctypes.c_int64) for name in ("batch", "channels", "bf16", "mode", "threads")],
        *[(name, ctypes.c_void_p) for name in ("input", "bias", "output", "mask", "sums")],
        ("bands", ctypes.c_int64),
        *[(name, ctypes.c_float) for name in ("gain", "slope", "clamp")],
    ]


def axis_plan(
    size: int, fu: Tensor, fd: Tensor, up: int, down: int, pad: Sequence[int]
) -> AxisPlan:
    """Plan one axis of a filtered_lrelu with `pad = [before, after]`."""
    mid = size * up + pad[0] + pad[1] - fu.numel() + 1
    out = (mid - fd.numel()) // down + 1
    mid = (out - 1) * down + fd.numel()  # samples beyond these reach no output
    return AxisPlan(size, mid, out, up, down, pad[0], 0, fu.numel(), fd.numel())


def _plans(
    x: Tensor, fu: Tensor, fd: Tensor, up: int, down: int, padding: Sequence[int]
) -> tuple[AxisPlan, AxisPlan]:
    height = axis_plan(x.shape[2], fu, fd, up, down, padding[2:])
    return height, axis_plan(x.shape[3], fu, fd, up, down, padding[:2])


def _empty(x: Tensor, height: int, width: int) -> Tensor:
    size = (x.shape[0], x.shape[1], height, width)
    return torch.empty(size, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)


def _empty_mask(x: Tensor, plans: tuple[AxisPlan, AxisPlan], save: bool) -> Tensor:
    blocks = -(-x.shape[1] // LANES)
    size = (x.shape[0], blocks, plans[0].mid, plans[1].mid + 2 * MARGIN) if save else (0,)
    gaps = any(plan.down > plan.taps_down for plan in plans)  # rows that the kernel may skip
    return (torch.zeros if gaps else torch.empty)(size, dtype=torch.int32, device=x.device)


def _run(
    x: Tensor,
    b: Tensor | None,
    plans: tuple[AxisPlan, AxisPlan],
    filters: tuple[Tensor, Tensor],
    mode: int,
    mask: Tensor,
    want_sums: bool,
    scalars: tuple[float, float, float],
) -> tuple[Tensor, Tensor]:
    x = x.contiguous(memory_format=torch.channels_last)
    b = None if b is None else b.float().contiguous()
    mask = mask.contiguous()
    y = _empty(x, plans[0].out, plans[1].out)
    batch, channels = x.shape[:2]
    blocks, threads = -(-channels // LANES), torch.get_num_threads()
    bands = max(1, min(-(-2 * threads // (batch * blocks)), plans[0].out // 8))
    sums = torch.zeros((batch, blocks, bands, LANES) if want_sums else (0,), dtype=torch.float64)
    pointers = [f.data_ptr() for f in filters]
    call = _Call(
        *[_Axis(*plan, *pointers) for plan in plans],
        *(batch, channels, int(x.dtype == torch.bfloat16), mode, threads),
        *(x.data_ptr(), None if b is None else b.data_ptr(), y.data_ptr()),
        *(mask.data_ptr() or None, sums.data_ptr() or None, bands, *scalars),
    )
    if load_library().irodori_filtered_lrelu(ctypes.byref(call)) != 0:
        raise MemoryError("filtered_lrelu: no memory for the row buffers")
    return y, _channel_sums(sums, channels) if want_sums else sums.float()


def _channel_sums(sums: Tensor, channels: int) -> Tensor:
    """Join the blocks; the last one ends at the last channel and may overlap the one before."""
    per_block = sums.sum((0, 2))
    lanes = min(channels, LANES)
    head = per_block[:-1].reshape(-1)[: channels - lanes]
    return torch.cat([head, per_block[-1, :lanes]]).float()


def _correlation(f: Tensor, flip: bool, scale: float) -> Tensor:
    f = f.detach().float()
    return (f if flip else f.flip(0)).mul(scale).contiguous()


@torch.library.custom_op("irodori::filtered_lrelu_cpu", mutates_args=(), device_types="cpu")
def filtered_lrelu_cpu(
    x: Tensor,
    b: Tensor | None,
    fu: Tensor,
    fd: Tensor,
    up: int,
    down: int,
    padding: Sequence[int],
    gain: float,
    slope: float,
    clamp: float,
    flip: bool,
    save: bool,
) -> tuple[Tensor, Tensor]:
    """Forward pass; `clamp < 0` is none; `save` keeps the mask that a derivative needs."""
    plans = _plans(x, fu, fd, up, down, padding)
    mask = _empty_mask(x, plans, save)
    filters = _correlation(fu, flip, up), _correlation(fd, flip, 1)
    mode = FORWARD_SAVE if save else FORWARD
    y, _ = _run(x, b, plans, filters, mode, mask, False, (gain, slope, clamp))
    return y, mask


@torch.library.custom_op("irodori::masked_filter_cpu", mutates_args=(), device_types="cpu")
def masked_filter_cpu(
    x: Tensor,
    b: Tensor | None,
    mask: Tensor,
    fu: Tensor,
    fd: Tensor,
    up: int,
    down: int,
    padding: Sequence[int],
    size: Sequence[int],
    gain: float,
    slope: float,
    flip: bool,
    transpose: bool,
) -> tuple[Tensor, Tensor]:
    """The linear map M (or its transpose) of a forward pass from pictures of `size` [H, W]."""
    plans = _masked_plans(fu, fd, up, down, padding, size, transpose)
    if transpose:
        filters = _correlation(fd, not flip, 1), _correlation(fu, not flip, up)
    else:
        filters = _correlation(fu, flip, up), _correlation(fd, flip, 1)
    return _run(x, b, plans, filters, MASKED, mask, True, (gain, slope, -1.0))


def _masked_plans(
    fu: Tensor,
    fd: Tensor,
    up: int,
    down: int,
    padding: Sequence[int],
    size: Sequence[int],
    transpose: bool,
) -> tuple[AxisPlan, AxisPlan]:
    height = axis_plan(size[0], fu, fd, up, down, padding[2:])
    width = axis_plan(size[1], fu, fd, up, down, padding[:2])
    return (height.transpose(), width.transpose()) if transpose else (height, width)


@filtered_lrelu_cpu.register_fake
def _(
    x: Tensor, b: Any, fu: Tensor, fd: Tensor, up: int, down: int, padding: Any, *rest: Any
) -> Any:
    plans = _plans(x, fu, fd, up, down, padding)
    return _empty(x, plans[0].out, plans[1].out), _empty_mask(x, plans, rest[-1])


@masked_filter_cpu.register_fake
def _(
    x: Tensor, b: Any, mask: Tensor, fu: Tensor, fd: Tensor, up: int, down: int, *rest: Any
) -> Any:
    padding, size, *_, transpose = rest
    plans = _masked_plans(fu, fd, up, down, padding, size, transpose)
    sums = torch.empty(x.shape[1], dtype=torch.float32, device=x.device)
    return _empty(x, plans[0].out, plans[1].out), sums


def _save_forward(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, b, fu, fd, up, down, padding, gain, slope, _, flip, save = inputs
    ctx.save_for_backward(output[1], fu, fd)
    ctx.mark_non_differentiable(output[1])
    ctx.has_bias, ctx.saved = b is not None, save
    ctx.args = up, down, padding, list(x.shape[2:]), gain, slope, flip


def _forward_backward(ctx: Any, dy: Tensor, _: Any) -> tuple[Tensor | None, ...]:
    if not ctx.saved:
        raise RuntimeError("irodori::filtered_lrelu_cpu: save=False keeps nothing to differentiate")
    dx, db = masked_filter_cpu(dy, None, *ctx.saved_tensors, *ctx.args, True)
    return dx, db if ctx.has_bias else None, *[None] * 10


def _save_masked(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    _, b, mask, fu, fd, *args, transpose = inputs
    ctx.save_for_backward(mask, fu, fd)
    ctx.has_bias, ctx.args, ctx.transpose = b is not None, args, transpose


def _masked_backward(ctx: Any, dy: Tensor, dsums: Tensor) -> tuple[Tensor | None, ...]:
    dx, db = masked_filter_cpu(dy, dsums, *ctx.saved_tensors, *ctx.args, not ctx.transpose)
    return dx, db if ctx.has_bias else None, *[None] * 11


filtered_lrelu_cpu.register_autograd(_forward_backward, setup_context=_save_forward)
masked_filter_cpu.register_autograd(_masked_backward, setup_context=_save_masked)
