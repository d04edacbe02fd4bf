"""upfirdn2d on CUDA: an instance of the filter kernel, an operator that is its own derivative."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from custom_ops.arguments import Axis
from custom_ops.axis_plan import LINEAR, AxisPlan, Plans
from custom_ops.cuda_kernels import (
    count_taps,
    define,
    describe_misfit,
    is_2d,
    make_filter,
    run_filters,
    to_device,
)
from custom_ops.cuda_plan import describe_gap


def describe_resample_gap(x: Tensor, f: Tensor | None, axis_y: Axis, axis_x: Axis) -> str:
    """What keeps a call or its derivatives from the kernel, or an empty string."""
    both = (axis_y, axis_x), (axis_y.adjoint(), axis_x.adjoint())
    passes = [(LINEAR, *_plan(axes, f)) for axes in both]
    largest = max(x.numel(), x.shape[0] * x.shape[1] * axis_y.size_out * axis_x.size_out)
    return describe_gap((x,), largest) or describe_misfit(passes)


def upfirdn2d_cuda(
    x: Tensor, f: Tensor | None, axis_y: Axis, axis_x: Axis, flip_filter: bool, gain: float
) -> Tensor:
    """`custom_ops.upfirdn2d` of a call that the kernel covers; the result is NCHW."""
    names = ("up", "down", "before", "size_out")
    pairs = [[getattr(axis, name) for axis in (axis_y, axis_x)] for name in names]
    return resample_op(x, to_device(f, x), *pairs, flip_filter, gain)


def _plan(axes: Sequence[Axis], f: Tensor | None) -> tuple[Plans, tuple[bool, bool]]:
    """Give the filter to the half of the kernel that has work; also, which half has a matrix."""
    raises = max(axis.up for axis in axes) > 1
    y, x = (_plan_axis(axis, raises) for axis in axes)
    return (y, x), (is_2d(f) and raises, is_2d(f) and not raises)


def _plan_axis(a: Axis, raises: bool) -> AxisPlan:
    if raises:
        mid = (a.size_out - 1) * a.down + 1
        return AxisPlan(a.size_in, mid, a.size_out, a.up, a.down, a.before, 0, a.taps, 1)
    return AxisPlan(a.size_in, a.size_in, a.size_out, 1, a.down, 0, a.before, 1, a.taps)


def run_resample(
    x: Tensor,
    f: Tensor | None,
    up: Sequence[int],
    down: Sequence[int],
    before: Sequence[int],
    size: Sequence[int],
    flip: bool,
    gain: float,
) -> Tensor:
    """`y[j] = sum_i x[i] g[i up + before - j down]` along both axes; pairs are [y, x]."""
    numbers = zip(up, down, before, x.shape[2:], size, count_taps(f), strict=True)
    axes = [Axis(*of) for of in numbers]
    plans, flat = _plan(axes, f)
    filters = make_filter(None, False), make_filter(f, flip, gain)
    filters = filters[::-1] if max(up) > 1 else filters
    return run_filters(x, LINEAR, plans, filters, flat)[0]


resample_op = define("resample_cuda", run_resample)


@resample_op.register_fake
def _(x: Tensor, f: Any, up: Any, down: Any, before: Any, size: Any, *rest: Any) -> Tensor:
    return x.new_empty(*x.shape[:2], *size)


def _save_resample(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, f, up, down, before, _, flip, gain = inputs
    ctx.save_for_backward(f)
    back = [taps - 1 - b for taps, b in zip(count_taps(f), before, strict=True)]
    ctx.args = down, up, back, list(x.shape[2:]), not flip, gain


def _resample_backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    return resample_op(dy, *ctx.saved_tensors, *ctx.args), *[None] * 7


resample_op.register_autograd(_resample_backward, setup_context=_save_resample)
