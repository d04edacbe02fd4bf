"""bias_act compiled for the CPU as two torch operators: value and derivative.

The derivative is linear in `dy`, and is its own derivative to it. Its derivative to `x + b`, zero
for the piecewise linear activations, is composed of plain torch operations.
"""

from typing import Any

import torch
from torch import Tensor

from custom_ops.activations import PIECEWISE_LINEAR, activate
from custom_ops.cpu_pointwise import (
    Activation,
    View,
    empty_sums,
    run_pointwise,
    view_axis,
    view_pictures,
)


@torch.library.custom_op("irodori::bias_act_cpu", mutates_args=(), device_types="cpu")
def bias_act_cpu(
    x: Tensor, b: Tensor | None, dim: int, act: str, alpha: float, gain: float, clamp: float
) -> Tensor:
    """`clip(gain act(x + b))`; `clamp` NaN is none."""
    x, view = _lay_out(x, dim)
    y = torch.empty_like(x)
    run_pointwise(view, x, y, Activation(act, alpha, gain, clamp), bias=_prepare(b))
    return y


@torch.library.custom_op("irodori::bias_act_grad_cpu", mutates_args=(), device_types="cpu")
def bias_act_grad_cpu(
    dy: Tensor,
    x: Tensor,
    b: Tensor | None,
    dim: int,
    act: str,
    alpha: float,
    gain: float,
    clamp: float,
) -> tuple[Tensor, Tensor]:
    """The derivatives of `bias_act_cpu` to `x` and `b`, applied to `dy`."""
    x, view = _lay_out(x, dim)
    dx = torch.empty_like(x)
    dy = dy if dy.stride() == x.stride() else torch.empty_like(x).copy_(dy)
    sums, activation = empty_sums(view), Activation(act, alpha, gain, clamp)
    run_pointwise(view, x, dx, activation, bias=_prepare(b), dy=dy, sums=(None, sums))
    return dx, sums.sum((0, 1)).float()


def _prepare(b: Tensor | None) -> Tensor | None:
    return None if b is None else b.float().contiguous()


def _lay_out(x: Tensor, dim: int) -> tuple[Tensor, View]:
    """`x`, copied if it must be, in a layout that the kernel reads."""
    if dim == 1 and x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last):
        return x, view_pictures(x)
    return x.contiguous(), view_axis(x.shape, dim)


@bias_act_cpu.register_fake
def _(x: Tensor, b: Any, dim: int, *rest: Any) -> Tensor:
    return torch.empty_like(_lay_out(x, dim)[0])


@bias_act_grad_cpu.register_fake
def _(dy: Tensor, x: Tensor, b: Any, dim: int, *rest: Any) -> tuple[Tensor, Tensor]:
    sums = torch.empty(x.shape[dim], dtype=torch.float32, device=x.device)
    return torch.empty_like(_lay_out(x, dim)[0]), sums


def _save(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    x, b, *ctx.args = inputs
    ctx.save_for_backward(x, b)


def _backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    x, b = ctx.saved_tensors
    dx, db = bias_act_grad_cpu(dy, x, b, *ctx.args)
    return dx, None if b is None else db.to(b.dtype), *[None] * 5


def _save_grad(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    dy, x, b, *ctx.args = inputs
    ctx.save_for_backward(dy, x, b)


def _backward_grad(ctx: Any, ddx: Tensor, ddb: Tensor) -> tuple[Tensor | None, ...]:
    dy, x, b = ctx.saved_tensors
    dim, act, alpha, gain, clamp = ctx.args
    t = ddx + _along(ddb, dim, x).to(ddx.dtype)
    ddy, _ = bias_act_grad_cpu(t, x, b, *ctx.args)
    if act in PIECEWISE_LINEAR:
        return ddy, None, None, *[None] * 5
    u = x if b is None else x + _along(b, dim, x).to(x.dtype)
    dx = t * dy * _curvature(u, act, alpha, gain, clamp)
    others = [axis for axis in range(x.ndim) if axis != dim]
    db = dx.sum(others) if others else dx
    return ddy, dx, None if b is None else db.to(b.dtype), *[None] * 5


def _along(b: Tensor, dim: int, x: Tensor) -> Tensor:
    return b.view([-1 if axis == dim else 1 for axis in range(x.ndim)])


def _curvature(u: Tensor, act: str, alpha: float, gain: float, clamp: float) -> Tensor:
    """The second derivative of the activation, itself differentiable."""
    with torch.enable_grad():
        u = u if u.requires_grad else u.detach().requires_grad_()
        bound = None if clamp != clamp else clamp
        y = activate(u, act, alpha, gain, bound)
        (slope,) = torch.autograd.grad(y.sum(), u, create_graph=True)
        (curvature,) = torch.autograd.grad(slope.sum(), u, create_graph=True)
    return curvature


bias_act_cpu.register_autograd(_backward, setup_context=_save)
bias_act_grad_cpu.register_autograd(_backward_grad, setup_context=_save_grad)
