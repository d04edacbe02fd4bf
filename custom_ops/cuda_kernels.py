"""filtered_lrelu on CUDA as two torch operators, see `masked_pair.py`."""

from collections.abc import Iterable, Sequence
from math import inf
from typing import Any

import torch
from torch import Tensor

from custom_ops import cuda_build
from custom_ops.axis_plan import (
    FORWARD,
    FORWARD_SAVE,
    MASKED,
    AxisPlan,
    Plans,
    plan_axis,
    transpose,
)
from custom_ops.cuda_bias_act import bias_act_cuda
from custom_ops.cuda_plan import (
    Call,
    Filter,
    describe_gap,
    fits,
    lay_out,
    make_call,
    mask_start,
    mask_units,
)
from custom_ops.masked_pair import register_derivatives

SOURCE = "filters.cu"


def describe_filtered_lrelu_gap(
    x: Tensor,
    fu: Tensor | None,
    fd: Tensor | None,
    b: Tensor | None,
    up: int,
    down: int,
    padding: Sequence[int],
) -> str:
    """What keeps a call or its derivatives from the kernels, or an empty string."""
    plans = _plans(x.shape[2:], fu, fd, up, down, padding)
    per_plane = max(plans[0].out * plans[1].out, plans[0].mid * mask_units(plans[1]))
    largest = max(x.numel(), x.shape[0] * x.shape[1] * per_plane)
    flat = is_2d(fu), is_2d(fd)
    passes = [(mode, plans, flat) for mode in (FORWARD, FORWARD_SAVE, MASKED)]
    passes.append((MASKED, transpose(plans), flat[::-1]))
    return describe_gap((x,) if b is None else (x, b), largest) or describe_misfit(passes)


def describe_misfit(passes: Iterable[tuple[int, Plans, tuple[bool, bool]]]) -> str:
    """Say if one of a call's passes, (mode, plans, flat), needs more shared memory than there is"""
    if all(fits(mode, plans, *flat) for mode, plans, flat in passes):
        return ""
    return "filters too long for the shared memory of a block"


def filtered_lrelu_cuda(
    x: Tensor,
    fu: Tensor | None,
    fd: Tensor | None,
    b: Tensor | None,
    up: int,
    down: int,
    pad: Sequence[int],
    gain: float,
    slope: float,
    clamp: float | None,
    flip_filter: bool,
) -> Tensor:
    """`custom_ops.filtered_lrelu` of a call that the kernels cover; the result is NCHW.

    One kernel, in float32 arithmetic: the upsampled picture is never stored. If a derivative may
    follow, two bits of each of its samples are.
    """
    if fu is None and fd is None and up == down == 1 and not any(pad):
        return bias_act_cuda(x, b, 1, "lrelu", slope, gain, clamp)
    bias = None if b is None else b.float()
    fu, fd = to_device(fu, x), to_device(fd, x)
    save = torch.is_grad_enabled() and (x.requires_grad or (b is not None and b.requires_grad))
    bound = -1.0 if clamp is None else clamp
    args = up, down, pad, gain, slope, bound, flip_filter, save
    return filtered_lrelu_op(x, bias, fu, fd, *args)[0]


def to_device(f: Tensor | None, x: Tensor) -> Tensor | None:
    return None if f is None else f.detach().to(x.device, torch.float32).contiguous()


def _plans(
    size: Sequence[int],
    fu: Tensor | None,
    fd: Tensor | None,
    up: int,
    down: int,
    padding: Sequence[int],
) -> Plans:
    (up_y, up_x), (down_y, down_x) = count_taps(fu), count_taps(fd)
    y = plan_axis(size[0], up, down, padding[2:], up_y, down_y)
    return y, plan_axis(size[1], up, down, padding[:2], up_x, down_x)


def count_taps(f: Tensor | None) -> tuple[int, int]:
    return (1, 1) if f is None else (f.shape[0], f.shape[-1])


def make_filter(f: Tensor | None, flip: bool, scale_y: float = 1, scale_x: float = 1) -> Filter:
    return Filter(None if f is None else f.data_ptr(), flip, scale_y, scale_x)


def is_2d(f: Tensor | None) -> bool:
    return f is not None and f.ndim == 2


def _empty(x: Tensor, plans: Plans) -> Tensor:
    return x.new_empty(x.shape[0], x.shape[1], plans[0].out, plans[1].out)


def run_filters(
    x: Tensor,
    mode: int,
    plans: Plans,
    filters: tuple[Filter, Filter],
    flat: tuple[bool, bool],
    *,
    b: Tensor | None = None,
    mask: Tensor | None = None,
    mask_plan: AxisPlan | None = None,
    activation: tuple[float, float, float] = (1, 1, inf),
) -> tuple[Tensor, Tensor]:
    """Launch; `flat` tells which filters are two-dimensional. The sums are those of MASKED."""
    x, y = x.contiguous(), _empty(x, plans)
    b = None if b is None else b.float().contiguous()
    layout = lay_out(x.dtype, mode, *plans, *flat)
    tiles, planes = layout.y.tiles * layout.x.tiles, x.shape[0] * x.shape[1]
    size = (*x.shape[:2], tiles) if mode == MASKED else (0,)
    sums = torch.empty(size, dtype=torch.float32, device=x.device)
    call: Call = make_call(layout, *plans, *filters)
    call.channels = x.shape[1]
    call.gain, call.slope, call.clamp = activation
    if mask is not None and mask_plan is not None:
        call.mask_start, call.mask_pitch = mask_start(mask_plan), mask_units(mask_plan)
    for name, tensor in (("input", x), ("bias", b), ("output", y), ("mask", mask), ("sums", sums)):
        setattr(call, name, None if tensor is None else tensor.data_ptr())
    if planes:
        cuda_build.launch(SOURCE, layout.name, call, planes * tiles, layout.shared_bytes, x.device)
    return y, sums.sum((0, 2)) if mode == MASKED else sums


def _empty_mask(x: Tensor, plans: Plans, save: bool) -> Tensor:
    """[N, C, mid_y, units]; a unit is 2 bits of each of 8 samples."""
    size = (*x.shape[:2], plans[0].mid, mask_units(plans[1])) if save else (0,)
    gaps = any(plan.down > plan.taps_down for plan in plans)  # samples that no tile may compute
    return (torch.zeros if gaps else torch.empty)(size, dtype=torch.int16, device=x.device)


def run_filtered_lrelu(
    x: Tensor,
    b: Tensor | None,
    fu: Tensor | None,
    fd: Tensor | None,
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
    mask = _empty_mask(x, plans, save)
    y, _ = run_filters(
        x,
        FORWARD_SAVE if save else FORWARD,
        plans,
        (make_filter(fu, flip, up, up), make_filter(fd, flip)),
        (is_2d(fu), is_2d(fd)),
        b=b,
        mask=mask,
        mask_plan=plans[1],
        activation=(gain, slope, clamp if clamp >= 0 else inf),
    )
    return y, mask


def run_masked_filter(
    x: Tensor,
    b: Tensor | None,
    mask: Tensor,
    fu: Tensor | None,
    fd: Tensor | None,
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
    plans = forward = _plans(size, fu, fd, up, down, padding)
    filters = make_filter(fu, flip, up, up), make_filter(fd, flip)
    flat = is_2d(fu), is_2d(fd)
    if adjoint:
        plans = transpose(forward)
        filters, flat = (make_filter(fd, not flip), make_filter(fu, not flip, up, up)), flat[::-1]
    scalars = gain, slope, inf
    mask = mask.contiguous()
    return run_filters(
        x, MASKED, plans, filters, flat, b=b, mask=mask, mask_plan=forward[1], activation=scalars
    )


def define(name: str, body: Any) -> Any:
    return torch.library.custom_op(f"irodori::{name}", body, mutates_args=(), device_types="cuda")


filtered_lrelu_op = define("filtered_lrelu_cuda", run_filtered_lrelu)
masked_filter_op = define("masked_filter_cuda", run_masked_filter)


@filtered_lrelu_op.register_fake
def _(x: Tensor, b: Any, fu: Any, fd: Any, up: int, down: int, padding: Any, *rest: Any) -> Any:
    plans = _plans(x.shape[2:], fu, fd, up, down, padding)
    return _empty(x, plans), _empty_mask(x, plans, rest[-1])


@masked_filter_op.register_fake
def _(x: Tensor, b: Any, mask: Any, fu: Any, fd: Any, up: int, down: int, *rest: Any) -> Any:
    padding, size, *_, adjoint = rest
    plans = _plans(size, fu, fd, up, down, padding)
    outputs = [plan.size_in if adjoint else plan.out for plan in plans]
    y = x.new_empty(*x.shape[:2], *outputs)
    return y, x.new_empty(x.shape[1], dtype=torch.float32)


register_derivatives(filtered_lrelu_op, masked_filter_op)
