"""Which instance of the filter kernel does a call, how it is cut into tiles, and its arguments."""

import ctypes
from collections.abc import Sequence
from math import gcd, inf, lcm
from typing import NamedTuple

import torch
from torch import Tensor

from custom_ops.arguments import describe_transforms
from custom_ops.axis_plan import FORWARD_SAVE, LINEAR, AxisPlan, Plans

TYPES = {torch.float32: "float", torch.float16: "half", torch.bfloat16: "bfloat16"}
RUN = 8  # kRun of the kernel: upsampled samples per thread and step, and per unit of the mask
MID = 88  # upsampled samples of a tile and axis: about 50 KB per block, four blocks on an H100
SHARED_LIMIT = 64 * 1024  # bytes per block; every GPU from compute capability 7.5 has them

# (factor, taps) that get code of their own: StyleGAN3's filters (6 taps per unit of the factor),
# and the discriminator's [1, 3, 3, 1].
FAST = {(1, 1), (1, 4), (2, 4), (2, 12), (4, 24)}

DEVICE = "cuda"
MOST_ELEMENTS = 2**31 - 1  # positions within a tensor are 32-bit


def describe_gap(signals: Sequence[Tensor], largest: int) -> str:
    """What keeps a call from the CUDA kernels, or an empty string.

    `signals` begins with x; `largest` is the number of elements of the call's largest tensor.
    """
    x = signals[0]
    if x.device.type != DEVICE:
        return f"device {x.device}"
    if any(t.device != x.device for t in signals):
        return "signals on several devices"
    if x.dtype not in TYPES:
        return f"{x.dtype}"
    if largest > MOST_ELEMENTS:
        return f"{largest} elements, 2^31 or more"
    return describe_transforms(signals)


def mask_start(plan: AxisPlan) -> int:
    """The first sample of the first tile of a forward pass, where its mask begins."""
    return plan.before_up + plan.up * (-(plan.before_up // plan.up) - 1) + 1


def mask_units(plan: AxisPlan) -> int:
    """Units of 8 samples in a row of the mask."""
    return -(-(plan.mid - mask_start(plan)) // RUN)


class Filter(ctypes.Structure):
    """A correlation kernel: address of its taps (0: one tap of 1), their order, factors."""

    _fields_ = [
        ("taps", ctypes.c_void_p),
        ("flip", ctypes.c_int),
        ("scale_y", ctypes.c_float),
        ("scale_x", ctypes.c_float),
    ]


class Axis(ctypes.Structure):
    """`Axis` of filters.cu."""

    _fields_ = [
        (name, ctypes.c_int) for name in (*AxisPlan._fields, "tile", "tiles", "tile_mid", "tile_in")
    ]


class Call(ctypes.Structure):
    """`Call` of filters.cu."""

    _fields_ = [
        ("y", Axis),
        ("x", Axis),
        ("up", Filter),
        ("down", Filter),
        *[(name, ctypes.c_void_p) for name in ("input", "bias", "output", "mask", "sums")],
        *[(name, ctypes.c_int) for name in ("channels", "mask_start", "mask_pitch")],
        *[(name, ctypes.c_int) for name in ("pitch_mid", "pitch_side", "size_mid", "size_side")],
        *[(name, ctypes.c_float) for name in ("gain", "slope", "clamp")],
    ]


class Tiling(NamedTuple):
    """How one axis is cut: outputs per tile, tiles, samples of a tile before and after `up`."""

    tile: int
    tiles: int
    mid: int
    size_in: int


def _tile_mid(plan: AxisPlan, tile: int) -> int:
    needed = (tile - 1) * plan.down + plan.taps_down + plan.up - 1
    return -(-needed // RUN) * RUN


def _tiling(plan: AxisPlan, step: int, largest: int) -> Tiling:
    """The multiple of `step` that computes the fewest samples twice."""
    choices = [t for t in range(step, largest + 1, step) if _tile_mid(plan, t) <= MID] or [step]
    tile = min(choices, key=lambda t: (-(-plan.out // t) * _tile_mid(plan, t), -t))
    mid = _tile_mid(plan, tile)
    groups = (mid - 1) // plan.up + 1
    return Tiling(tile, -(-plan.out // tile), mid, groups + _taps_per_phase(plan) - 1)


def _taps_per_phase(plan: AxisPlan) -> int:
    return -(-plan.taps_up // plan.up)


def _step(plan: AxisPlan, mode: int, outputs: int) -> int:
    """Tiles are whole steps of a thread; saved ones begin at a whole unit of the mask."""
    if mode != FORWARD_SAVE:
        return outputs
    unit = lcm(RUN, plan.up)
    return lcm(outputs, unit // gcd(unit, plan.down))


class Layout(NamedTuple):
    """An instance of the kernel and what it needs."""

    template: tuple[str | int, ...]  # arguments of the kernel's template
    y: Tiling
    x: Tiling
    pitch_mid: int
    pitch_side: int
    size_mid: int  # floats
    size_side: int
    shared_bytes: int

    @property
    def name(self) -> str:
        """The name expression, for NVRTC or C++."""
        return f"filter_tile<{', '.join(map(str, self.template))}>"


def lay_out(
    dtype: torch.dtype, mode: int, y: AxisPlan, x: AxisPlan, up_2d: bool, down_2d: bool
) -> Layout:
    """Choose instance and tiles; what `fits` denies gets more shared memory than there is."""
    layout = _lay_out(dtype, mode, y, x, up_2d, down_2d, MID)
    if layout.shared_bytes <= SHARED_LIMIT:
        return layout
    return _lay_out(dtype, mode, y, x, up_2d, down_2d, 0)


def fits(mode: int, plans: Plans, up_2d: bool, down_2d: bool) -> bool:
    """Whether the smallest tiles fit a block; asks for factors and taps only, not for sizes."""
    layout = _lay_out(torch.float32, mode, *plans, up_2d, down_2d, 0)
    return layout.shared_bytes <= SHARED_LIMIT


def _lay_out(
    dtype: torch.dtype,
    mode: int,
    y: AxisPlan,
    x: AxisPlan,
    up_2d: bool,
    down_2d: bool,
    largest: int,
) -> Layout:
    outputs = 8 if down_2d else 4
    steps = _step(y, mode, outputs), _step(x, mode, outputs)
    fast = _fast_pitches(mode, y, x, steps, up_2d, down_2d)
    tiles = _tiling(y, steps[0], largest), _tiling(x, steps[1], largest)
    return _measure(dtype, mode, y, x, tiles, fast, up_2d, down_2d)


def _fast_pitches(
    mode: int, y: AxisPlan, x: AxisPlan, steps: tuple[int, int], up_2d: bool, down_2d: bool
) -> tuple[int, int] | None:
    """Pitches of the instance made for these filters; None if there is none."""
    ways = {(p.up, p.taps_up, p.down, p.taps_down) for p in (y, x)}
    up, taps_up, down, taps_down = ways.pop()
    most = (MID - taps_down - up + 1) // down + 1
    if ways or not {(up, taps_up), (down, taps_down)} <= FAST or most < max(steps):
        return None
    keep = mode == LINEAR and up == taps_up == 1
    inputs = 0 if keep else MID // up + _taps_per_phase(x) - 1
    return MID | 1, max(inputs, most) | 1


def _measure(
    dtype: torch.dtype,
    mode: int,
    y: AxisPlan,
    x: AxisPlan,
    tiles: tuple[Tiling, Tiling],
    fast: tuple[int, int] | None,
    up_2d: bool,
    down_2d: bool,
) -> Layout:
    at_y, at_x = tiles
    pitch_mid, pitch_side = fast or (at_x.mid | 1, max(at_x.size_in, at_x.tile) | 1)
    size_side = max(at_y.mid, at_y.size_in if up_2d else 0) * pitch_side
    size_mid = max(at_y.mid * pitch_mid, 0 if up_2d else at_y.size_in * pitch_side)
    partial_sums = at_y.tile * at_x.tile // 4 + 32
    size_side, size_mid = max(size_side, partial_sums), max(size_mid, partial_sums)
    ups = [_taps_per_phase(p) * p.up for p in (y, x)]
    filters = ups[0] * ups[1] if up_2d else sum(ups)
    filters += y.taps_down * x.taps_down if down_2d else y.taps_down + x.taps_down
    numbers = (x.up, _taps_per_phase(x), x.down, x.taps_down) if fast else (0, 0, 0, 0)
    flags = [str(flag).lower() for flag in (up_2d, down_2d)]
    template: tuple[str | int, ...] = (TYPES[dtype], mode, *numbers, *flags, *(fast or (0, 0)))
    shared_bytes = 4 * (size_side + size_mid + filters)
    return Layout(template, at_y, at_x, pitch_mid, pitch_side, size_mid, size_side, shared_bytes)


def make_call(layout: Layout, y: AxisPlan, x: AxisPlan, up: Filter, down: Filter) -> Call:
    """Fill in everything but the tensors and the activation."""
    axes = [Axis(*plan, *tiling) for plan, tiling in ((y, layout.y), (x, layout.x))]
    pitches = layout.pitch_mid, layout.pitch_side, layout.size_mid, layout.size_side
    return Call(*axes, up, down, *[None] * 5, 1, 0, 0, *pitches, 1.0, 1.0, inf)
