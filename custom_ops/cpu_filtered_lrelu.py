"""The compiled filtered leaky ReLU as two torch operators that are each other's derivatives.

`filtered_lrelu_cpu(x, b) -> y, mask` and, for a stored mask, the linear map
`masked_filter_cpu(x, b, mask, adjoint) -> y, sums` with `y = M (x + b)` or `M^T (x + b)` and
`sums` the sum of y per channel. M is what the forward pass does to a small change of its input.
Adding b to every pixel and summing over pixels are adjoint, so the derivative of the second
operator is the second operator transposed: derivatives of every order stay compiled and exact.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from custom_ops.cpu_kernels import (
    FORWARD,
    FORWARD_SAVE,
    MASKED,
    Plans,
    correlation,
    empty_mask,
    empty_output,
    plan_axes,
    run_filters,
    transpose,
)


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
    plans = _plans(x.shape[2:], fu, fd, up, down, padding)
    mask = empty_mask(x, plans, save)
    filters = correlation(fu, flip, up), correlation(fd, flip)
    mode = FORWARD_SAVE if save else FORWARD
    y, _ = run_filters(x, b, plans, filters, mode, mask, False, (gain, slope, clamp))
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
    adjoint: bool,
) -> tuple[Tensor, Tensor]:
    """The linear map M (or its transpose) of a forward pass from pictures of `size` [H, W]."""
    plans = _plans(size, fu, fd, up, down, padding, adjoint)
    filters = correlation(fu, flip != adjoint, up), correlation(fd, flip != adjoint)
    filters = filters[::-1] if adjoint else filters
    return run_filters(x, b, plans, filters, MASKED, mask, True, (gain, slope, -1.0))


def _plans(
    size: Sequence[int],
    fu: Tensor,
    fd: Tensor,
    up: int,
    down: int,
    padding: Sequence[int],
    adjoint: bool = False,
) -> Plans:
    plans = plan_axes(size, fu, fd, (up, up), (down, down), padding)
    return transpose(plans) if adjoint else plans


@filtered_lrelu_cpu.register_fake
def _(
    x: Tensor, b: Any, fu: Tensor, fd: Tensor, up: int, down: int, padding: Any, *rest: Any
) -> Any:
    plans = _plans(x.shape[2:], fu, fd, up, down, padding)
    return empty_output(x, plans), empty_mask(x, plans, rest[-1])


@masked_filter_cpu.register_fake
def _(
    x: Tensor, b: Any, mask: Tensor, fu: Tensor, fd: Tensor, up: int, down: int, *rest: Any
) -> Any:
    padding, size, *_, adjoint = rest
    plans = _plans(size, fu, fd, up, down, padding, adjoint)
    sums = torch.empty(x.shape[1], dtype=torch.float32, device=x.device)
    return empty_output(x, plans), sums


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
    _, b, mask, fu, fd, *args, adjoint = inputs
    ctx.save_for_backward(mask, fu, fd)
    ctx.has_bias, ctx.args, ctx.adjoint = b is not None, args, adjoint


def _masked_backward(ctx: Any, dy: Tensor, dsums: Tensor) -> tuple[Tensor | None, ...]:
    dx, db = masked_filter_cpu(dy, dsums, *ctx.saved_tensors, *ctx.args, not ctx.adjoint)
    return dx, db if ctx.has_bias else None, *[None] * 11


filtered_lrelu_cpu.register_autograd(_forward_backward, setup_context=_save_forward)
masked_filter_cpu.register_autograd(_masked_backward, setup_context=_save_masked)
