"""modulate compiled for the CPU as two torch operators: value and derivative.

The value is linear in `x` and in `scale`, so derivatives of its derivative are a few plain torch
operations.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from custom_ops.cpu_pointwise import Activation, empty_sums, run_pointwise, view_pictures


@torch.library.custom_op("irodori::modulate_cpu", mutates_args=(), device_types="cpu")
def modulate_cpu(x: Tensor, scale: Tensor, padding: int) -> Tensor:
    """`x[n, c] scale[n, c]`, padded; channels-last; `scale` is float32."""
    y = _empty(x, padding)
    scale = scale.contiguous()
    run_pointwise(view_pictures(x, padding), _channels_last(x), y, Activation(), scale=scale)
    return y


@torch.library.custom_op("irodori::modulate_grad_cpu", mutates_args=(), device_types="cpu")
def modulate_grad_cpu(dy: Tensor, x: Tensor, scale: Tensor, padding: int) -> tuple[Tensor, Tensor]:
    """The derivatives of `modulate_cpu` to `x` and `scale`, applied to `dy`."""
    dx, view = _empty(x, 0), view_pictures(x, padding)
    sums = empty_sums(view)
    run_pointwise(
        view,
        _channels_last(x),
        dx,
        Activation(),
        scale=scale.contiguous(),
        dy=_channels_last(dy),
        sums=(sums, None),
    )
    return dx, sums.sum(1).float()


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def _empty(x: Tensor, padding: int) -> Tensor:
    size = (*x.shape[:2], x.shape[2] + 2 * padding, x.shape[3] + 2 * padding)
    return torch.empty(size, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)


@modulate_cpu.register_fake
def _(x: Tensor, scale: Tensor, padding: int) -> Tensor:
    return _empty(x, padding)


@modulate_grad_cpu.register_fake
def _(dy: Tensor, x: Tensor, scale: Tensor, padding: int) -> tuple[Tensor, Tensor]:
    return _empty(x, 0), torch.empty_like(scale)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    *tensors, ctx.padding = inputs
    ctx.save_for_backward(*tensors)


def _backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    dx, dscale = modulate_grad_cpu(dy, *ctx.saved_tensors, ctx.padding)
    return dx, dscale, None


def _backward_grad(ctx: Any, ddx: Tensor, ddscale: Tensor) -> tuple[Tensor | None, ...]:
    dy, x, scale = ctx.saved_tensors
    p = ctx.padding
    dy = F.pad(dy, [-p] * 4) if p else dy
    ddy = ddx * _broadcast(scale, x) + x * _broadcast(ddscale, x)
    dscale = (dy * ddx).sum((2, 3), dtype=scale.dtype)
    return F.pad(ddy, [p] * 4) if p else ddy, dy * _broadcast(ddscale, x), dscale, None


def _broadcast(scale: Tensor, x: Tensor) -> Tensor:
    return scale.to(x.dtype)[:, :, None, None]


modulate_cpu.register_autograd(_backward, setup_context=_save)
modulate_grad_cpu.register_autograd(_backward_grad, setup_context=_save)
