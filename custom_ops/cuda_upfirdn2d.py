"""upfirdn2d on CUDA: an instance of the filter kernel, an operator that is its own derivative."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from custom_ops.arguments import make_axis, parse_factor, parse_padding
from custom_ops.axis_plan import LINEAR, AxisPlan
from custom_ops.cuda_kernels import (
    count_taps,
    define,
    is_2d,
    make_filter,
    run_filters,
    to_device,
)
from custom_ops.cuda_plan import check_covered


def upfirdn2d_cuda(
    x: Tensor,
    f: Tensor | None,
    up: int | Sequence[int] = 1,
    down: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    flip_filter: bool = False,
    gain: float = 1,
) -> Tensor:
    """`custom_ops.upfirdn2d` on CUDA tensors; arguments and result as there, layout NCHW.

    Raises:
        OpsError: a call that the kernels do not cover, or wrong arguments.
    """
    check_covered("upfirdn2d", x)
    taps_x, taps_y = (1, 1) if f is None else (f.shape[-1], f.shape[0])
    (up_x, up_y), (down_x, down_y) = parse_factor("up", up), parse_factor("down", down)
    pad = parse_padding(padding)
    axis_x = make_axis(up_x, down_x, pad[:2], x.shape[3], taps_x)
    axis_y = make_axis(up_y, down_y, pad[2:], x.shape[2], taps_y)
    pairs = [
        [getattr(a, n) for a in (axis_y, axis_x)] for n in ("up", "down", "before", "size_out")
    ]
    return resample_op(x, to_device(f, x), *pairs, flip_filter, gain)


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
    axes = list(zip(x.shape[2:], size, up, down, before, count_taps(f), strict=True))
    if max(up) == 1:
        plans = [AxisPlan(i, i, o, 1, d, 0, b, 1, taps) for i, o, _, d, b, taps in axes]
        filters, flat = (make_filter(None, False), make_filter(f, flip, gain)), (False, is_2d(f))
    else:
        plans = [
            AxisPlan(i, (o - 1) * d + 1, o, u, d, b, 0, taps, 1) for i, o, u, d, b, taps in axes
        ]
        filters, flat = (make_filter(f, flip, gain), make_filter(None, False)), (is_2d(f), False)
    return run_filters(x, LINEAR, (plans[0], plans[1]), filters, flat)[0]


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
