"""Bias, activation, gain, clamp."""

from math import nan
from typing import Any

import torch
from torch import Tensor

from custom_ops.activations import ACTIVATIONS, activate
from custom_ops.cpu_bias_act import bias_act_cpu
from custom_ops.cpu_kernels import describe_gap
from custom_ops.cuda_bias_act import bias_act_cuda, describe_bias_act_gap
from custom_ops.dispatch import choose_path
from custom_ops.errors import OpsError

# elements; below, calling takes longer than computing (benchmarks/cpu_ops.py)
WORTH_COMPILING = 2**17


def bias_act(
    x: Tensor,
    b: Tensor | None = None,
    dim: int = 1,
    act: str = "linear",
    alpha: float | None = None,
    gain: float | None = None,
    clamp: float | None = None,
    impl: str = "auto",
) -> Tensor:
    """Return `clip(gain act(x + b), -clamp, clamp)`; differentiable to any order.

    On 'cuda', smooth activations are to the third. Arithmetic of 16-bit signals is in float32.

    Args:
        x: signal of any shape, floating.
        b: bias [x.shape[dim]], or None.
        dim: the axis of `x` that the bias runs along.
        act: 'linear', 'relu', 'lrelu', 'tanh', 'sigmoid', 'softplus' or 'swish'.
        alpha: slope of 'lrelu' for negative values; None is 0.2.
        gain: None is sqrt(2) for 'relu', 'lrelu' and 'swish', and 1 for the others.
        clamp: bound >= 0 on the absolute result, or None for no bound.
        impl: 'auto', 'ref', 'cpu' or 'cuda'.

    Returns:
        Tensor like `x`.

    Raises:
        OpsError: wrong arguments, or an implementation that does not exist.
    """
    _check(x, b, dim, act, clamp)
    chosen = ACTIVATIONS[act]
    alpha = chosen.alpha if alpha is None else alpha
    gain = chosen.gain if gain is None else gain
    path = choose_path("bias_act", impl, _GAPS, (x, b), x.numel() >= WORTH_COMPILING)
    function = {"ref": _ref, "cpu": _cpu, "cuda": bias_act_cuda}[path]
    return function(x, b, dim, act, alpha, gain, clamp)


def _check(x: Tensor, b: Tensor | None, dim: int, act: str, clamp: float | None) -> None:
    if act not in ACTIVATIONS:
        what = f"unknown act={act!r}"
        raise OpsError("E-OPS-ARG", f"bias_act: {what}. Use one of {tuple(ACTIVATIONS)}.")
    if not x.is_floating_point():
        raise OpsError("E-OPS-ARG", f"bias_act: x is {x.dtype}. Convert it to a floating type.")
    if b is not None and not (-x.ndim <= dim < x.ndim and tuple(b.shape) == (x.shape[dim],)):
        what = f"b of shape {list(b.shape)} does not fit axis {dim} of x {list(x.shape)}"
        raise OpsError("E-OPS-ARG", f"bias_act: {what}. Give one bias per element of that axis.")
    if clamp is not None and clamp < 0:
        raise OpsError("E-OPS-ARG", f"bias_act: clamp={clamp} is negative. Give a bound >= 0.")


def _describe_cpu_gap(x: Tensor, b: Tensor | None) -> str:
    return describe_gap((x,) if b is None else (x, b), (), ())


_GAPS = {"cpu": _describe_cpu_gap, "cuda": describe_bias_act_gap}


def _ref(
    x: Tensor,
    b: Tensor | None,
    dim: int,
    act: str,
    alpha: float,
    gain: float,
    clamp: float | None,
) -> Tensor:
    dtype = x.dtype
    if dtype in (torch.bfloat16, torch.float16):
        x = x.float()
    if b is not None:
        shape = [1] * x.ndim
        shape[dim] = -1
        x = x + b.reshape(shape).to(x.dtype)
    return activate(x, act, alpha, gain, clamp).to(dtype)


def _cpu(x: Tensor, b: Tensor | None, dim: int, *args: Any) -> Tensor:
    *rest, clamp = args
    return bias_act_cpu(x, b, dim % max(x.ndim, 1), *rest, nan if clamp is None else clamp)
