"""The compiled filtered leaky ReLU as two torch operators, see `masked_pair.py`."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from custom_ops.axis_plan import FORWARD, FORWARD_SAVE, MASKED, Plans, transpose
from custom_ops.cpu_kernels import correlation, empty_mask, empty_output, plan_axes, run_filters
from custom_ops.cpu_modulate import modulate_grad_cpu
from custom_ops.masked_pair import register_derivatives


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
    scale: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Forward pass; `clamp < 0` is none; `save` keeps the mask that a derivative needs."""
    plans = _plans(x.shape[2:], fu, fd, up, down, padding)
    mask = empty_mask(x, plans, save)
    filters = correlation(fu, flip, up), correlation(fd, flip)
    mode = FORWARD_SAVE if save else FORWARD
    y, _ = run_filters(x, b, plans, filters, mode, mask, False, (gain, slope, clamp), scale)
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
    return empty_output(x, plans), empty_mask(x, plans, rest[-2])


@masked_filter_cpu.register_fake
def _(
    x: Tensor, b: Any, mask: Tensor, fu: Tensor, fd: Tensor, up: int, down: int, *rest: Any
) -> Any:
    padding, size, *_, adjoint = rest
    plans = _plans(size, fu, fd, up, down, padding, adjoint)
    sums = torch.empty(x.shape[1], dtype=torch.float32, device=x.device)
    return empty_output(x, plans), sums


register_derivatives(filtered_lrelu_cpu, masked_filter_cpu, modulate_grad_cpu)
