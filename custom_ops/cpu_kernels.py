"""Call the compiled row filters: sizes of the two axes, the C structures, one function to run them.

The kernel computes `D(act(U(x s + b)))` on channels-last pictures, U and D resampling filters; the
operators of `cpu_filtered_lrelu.py` and `cpu_upfirdn2d.py` are made of it.
"""

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from custom_ops.arguments import describe_transforms
from custom_ops.axis_plan import AxisPlan, Plans, plan_axis
from custom_ops.build import load_library

LANES = 16
MARGIN = 8  # kMargin of the kernel: unused mask columns on either side of a row
MAX_FACTOR = 8  # a group of samples may reach this far over the edge, see MARGIN


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
        *[(name, ctypes.c_void_p) for name in ("input", "bias", "scale", "output", "mask", "sums")],
        *[(name, ctypes.c_int64) for name in ("bands", "up_is_matrix", "down_is_matrix")],
        *[(name, ctypes.c_float) for name in ("gain", "slope", "clamp")],
    ]


def plan_axes(
    size: Sequence[int],
    fu: Tensor,
    fd: Tensor,
    up: Sequence[int],
    down: Sequence[int],
    padding: Sequence[int],
) -> Plans:
    """Plan a map of pictures of `size` [H, W]; `up` and `down` are [x, y], `padding` four."""
    height = plan_axis(size[0], up[1], down[1], padding[2:], fu.shape[0], fd.shape[0])
    width = plan_axis(size[1], up[0], down[0], padding[:2], fu.shape[-1], fd.shape[-1])
    return height, width


def correlation(f: Tensor, flip: bool, scale: float = 1) -> Tensor:
    """The correlation kernel of a filter, whose axes are each scaled by `scale`."""
    f = f.detach().float()
    return (f if flip else f.flip(list(range(f.ndim)))).mul(scale**f.ndim).contiguous()


def empty_output(x: Tensor, plans: Plans) -> Tensor:
    """An output of the type of `x`."""
    size = (x.shape[0], x.shape[1], plans[0].out, plans[1].out)
    return torch.empty(size, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)


def empty_mask(x: Tensor, plans: Plans, save: bool) -> Tensor:
    """Room for the sign and clamp bits at the high rate, or an empty tensor."""
    blocks = -(-x.shape[1] // LANES)
    size = (x.shape[0], blocks, plans[0].mid, plans[1].mid + 2 * MARGIN) if save else (0,)
    gaps = any(plan.down > plan.taps_down for plan in plans)  # rows that the kernel may skip
    return (torch.zeros if gaps else torch.empty)(size, dtype=torch.int32, device=x.device)


def run_filters(
    x: Tensor,
    b: Tensor | None,
    plans: Plans,
    filters: tuple[Tensor, Tensor],
    mode: int,
    mask: Tensor | None = None,
    want_sums: bool = False,
    scalars: tuple[float, float, float] = (1.0, 1.0, -1.0),
    scale: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return the output and, if wanted, its sum per channel (else an empty tensor).

    `filters` are the up and the down filter as correlation kernels, [taps] or [h, w]; `scalars` are
    gain, slope and clamp (negative: none), `scale` a factor [N, C] on x before the bias.
    """
    x = x.contiguous(memory_format=torch.channels_last)
    b, scale = (None if t is None else t.float().contiguous() for t in (b, scale))
    mask = None if mask is None else mask.contiguous()
    y = empty_output(x, plans)
    batch, channels = x.shape[:2]
    blocks, threads = -(-channels // LANES), torch.get_num_threads()
    bands = max(1, min(-(-2 * threads // (batch * blocks)), plans[0].out // 8))
    sums = torch.zeros((batch, blocks, bands, LANES) if want_sums else (0,), dtype=torch.float64)
    pointers = [f.data_ptr() for f in filters]
    optional = [None if t is None else t.data_ptr() or None for t in (b, scale, mask)]
    call = _Call(
        *[_Axis(*plan, *pointers) for plan in plans],
        *(batch, channels, int(x.dtype == torch.bfloat16), mode, threads),
        *(x.data_ptr(), *optional[:2], y.data_ptr(), optional[2], sums.data_ptr() or None),
        *(bands, *[int(f.ndim == 2) for f in filters], *scalars),
    )
    if load_library().irodori_filtered_lrelu(ctypes.byref(call)) != 0:
        raise MemoryError("custom_ops: no memory for the row buffers")
    return y, _channel_sums(sums, channels) if want_sums else sums.float()


def _channel_sums(sums: Tensor, channels: int) -> Tensor:
    """Join the blocks; the last one ends at the last channel and may overlap the one before."""
    per_block = sums.sum((0, 2))
    lanes = min(channels, LANES)
    head = per_block[:-1].reshape(-1)[: channels - lanes]
    return torch.cat([head, per_block[-1, :lanes]]).float()


def describe_gap(
    signals: Sequence[Tensor], filters: Sequence[Tensor | None], factors: Sequence[int]
) -> str:
    """What keeps a call from the compiled path, or an empty string; `signals` begins with x."""
    x = signals[0]
    if any(t.device.type != "cpu" for t in (*signals, *filters) if t is not None):
        return f"device {x.device}"
    if x.dtype not in (torch.float32, torch.bfloat16):
        return f"{x.dtype}"
    if x.numel() == 0:
        return "empty signals"
    if max(factors, default=1) > MAX_FACTOR:
        return f"factors above {MAX_FACTOR}"
    return describe_transforms(signals)
