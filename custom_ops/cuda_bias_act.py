"""bias_act on CUDA: one operator that is closed under differentiation.

`bias_act_op(a, x, b, ..., order) = a f^(order)(x + b)`, where f is the activation with its gain
and clamp, and `a` is 1 in the forward pass (order 0). Its derivative to x is the operator of the
next order, its derivative to a the same operator.
"""

import ctypes
from math import inf
from typing import Any

import torch
from torch import Tensor

from custom_ops import cuda_build
from custom_ops.activations import ACTIVATIONS, PIECEWISE_LINEAR
from custom_ops.cuda_plan import TYPES, describe_gap
from custom_ops.errors import OpsError

SOURCE = "bias_act.cu"
ACTS = tuple(ACTIVATIONS)  # `Act` of the kernel
MOST_DERIVATIVES = 3


class Call(ctypes.Structure):
    """`Call` of bias_act.cu."""

    _fields_ = [
        *[(name, ctypes.c_void_p) for name in ("a", "x", "b", "y")],
        *[(name, ctypes.c_uint) for name in ("count", "inner", "channels")],
        ("aligned", ctypes.c_int),
        *[(name, ctypes.c_float) for name in ("alpha", "gain", "clamp")],
    ]


def describe_bias_act_gap(x: Tensor, b: Tensor | None) -> str:
    """What keeps a call from the kernel, or an empty string."""
    return describe_gap((x,) if b is None else (x, b), x.numel())


def bias_act_cuda(
    x: Tensor,
    b: Tensor | None,
    dim: int,
    act: str,
    alpha: float,
    gain: float,
    clamp: float | None,
) -> Tensor:
    """`custom_ops.bias_act` of a call that the kernel covers, in float32 arithmetic.

    Derivatives up to the third of smooth activations, of every order of the others.
    """
    bias = None if b is None else b.float()
    bound = -1.0 if clamp is None else clamp
    return bias_act_op(None, x, bias, dim % x.ndim if x.ndim else 0, act, alpha, gain, bound, 0)


def run_bias_act(
    a: Tensor | None,
    x: Tensor,
    b: Tensor | None,
    dim: int,
    act: str,
    alpha: float,
    gain: float,
    clamp: float,
    order: int,
) -> Tensor:
    """The operator's body; `a` is None if and only if `order` is 0; `clamp < 0` is none."""
    x = _dense(x, dim)
    y = torch.empty_like(x)
    if a is not None:
        a = torch.empty_like(x).copy_(a) if a.stride() != x.stride() else a
    b = None if b is None else b.contiguous()
    addresses = [0 if t is None else t.data_ptr() for t in (a, x, b, y)]
    aligned = all(address % 16 == 0 for address in addresses)
    channels = 1 if b is None else b.numel()
    inner = max(1, x.stride(dim)) if b is not None else 1
    bound = clamp if clamp >= 0 else inf
    call = Call(*addresses, x.numel(), inner, channels, aligned, alpha, gain, bound)
    name = f"bias_act<{TYPES[x.dtype]}, {ACTS.index(act)}, {order}>"
    per_block = cuda_build.THREADS * 16 // x.element_size()
    if x.numel():
        cuda_build.launch(SOURCE, name, call, -(-x.numel() // per_block), 0, x.device)
    return y


def _dense(x: Tensor, dim: int) -> Tensor:
    """`x` in a layout that has element i of memory in channel `i / stride(dim) % channels`."""
    dense = x.is_contiguous() or (
        x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last)
    )
    if dense and (dim == 1 or x.is_contiguous()):
        return x
    return x.contiguous()


bias_act_op = torch.library.custom_op(
    "irodori::bias_act_cuda", run_bias_act, mutates_args=(), device_types="cuda"
)


@bias_act_op.register_fake
def _(a: Any, x: Tensor, b: Any, dim: int, *rest: Any) -> Tensor:
    return torch.empty_like(_dense(x, dim))


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    a, x, b, *args, order = inputs
    ctx.save_for_backward(a, x, b)
    ctx.args, ctx.order = args, order


def _backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    a, x, b = ctx.saved_tensors
    dim, act, *_ = ctx.args
    da = dx = db = None
    if ctx.needs_input_grad[0]:
        da = bias_act_op(dy, x, b, *ctx.args, ctx.order)
    if any(ctx.needs_input_grad[1:3]):
        if ctx.order > 0 and act in PIECEWISE_LINEAR:
            dx = x.new_zeros(()).expand(x.shape)
        elif ctx.order == MOST_DERIVATIVES:
            what = f"no derivative of order {ctx.order + 1} of {act!r} on CUDA"
            raise OpsError("E-OPS-IMPL", f"bias_act: {what}. Use impl='ref'.")
        else:
            dx = bias_act_op(dy if a is None else dy * a, x, b, *ctx.args, ctx.order + 1)
    if dx is not None and ctx.needs_input_grad[2]:
        others = [d for d in range(x.ndim) if d != dim]
        db = dx.float().sum(others) if others else dx.float()
    return da, dx, db, *[None] * 6


bias_act_op.register_autograd(_backward, setup_context=_save)
