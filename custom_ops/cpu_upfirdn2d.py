"""The compiled upfirdn2d as one torch operator, which is its own derivative.

`upfirdn2d_cpu(x, ..., adjoint)` is a linear map or its transpose, so the derivative of each is the
other one: derivatives of every order stay compiled and exact.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from custom_ops.axis_plan import LINEAR, Plans, transpose
from custom_ops.cpu_kernels import correlation, empty_output, plan_axes, run_filters


@torch.library.custom_op("irodori::upfirdn2d_cpu", mutates_args=(), device_types="cpu")
def upfirdn2d_cpu(
    x: Tensor,
    f: Tensor,
    up: Sequence[int],
    down: Sequence[int],
    padding: Sequence[int],
    size: Sequence[int],
    flip: bool,
    gain: float,
    adjoint: bool,
) -> Tensor:
    """The linear map of pictures of `size` [H, W], or its transpose; `up`, `down` are [x, y]."""
    plans, filters = _split(f, up, down, padding, size)
    kernels = [correlation(g, flip != adjoint) for g in filters]
    if adjoint:
        plans, kernels = transpose(plans), kernels[::-1]
    y, _ = run_filters(x, None, plans, (kernels[0], kernels[1]), LINEAR, scalars=(gain, 1, -1))
    return y


def _split(
    f: Tensor, up: Sequence[int], down: Sequence[int], padding: Sequence[int], size: Sequence[int]
) -> tuple[Plans, tuple[Tensor, Tensor]]:
    """Give the filter to the half of the kernel that has work: U if there is an up, else D."""
    one = f.new_ones(1)
    filters = (f, one) if max(up) > 1 else (one, f)
    return plan_axes(size, *filters, up, down, padding), filters


@upfirdn2d_cpu.register_fake
def _(x: Tensor, f: Tensor, up: Any, down: Any, padding: Any, size: Any, *rest: Any) -> Tensor:
    plans, _ = _split(f, up, down, padding, size)
    return empty_output(x, transpose(plans) if rest[-1] else plans)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _, f, *args, adjoint = inputs
    ctx.save_for_backward(f)
    ctx.args, ctx.adjoint = args, adjoint


def _backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    return upfirdn2d_cpu(dy, *ctx.saved_tensors, *ctx.args, not ctx.adjoint), *[None] * 8


upfirdn2d_cpu.register_autograd(_backward, setup_context=_save)
