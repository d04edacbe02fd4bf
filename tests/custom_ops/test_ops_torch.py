"""The operations as torch sees them: registration, torch.compile, autocast."""

from math import nan
from typing import Any

import pytest
import torch
from ops_oracle import random_activation, random_case, random_resampling, with_matrices
from torch import Tensor

from custom_ops import bias_act, filtered_lrelu, modulate, upfirdn2d
from custom_ops.activations import ACTIVATIONS
from custom_ops.cpu_bias_act import bias_act_cpu, bias_act_grad_cpu
from custom_ops.cpu_filtered_lrelu import filtered_lrelu_cpu, masked_filter_cpu
from custom_ops.cpu_modulate import modulate_cpu, modulate_grad_cpu
from custom_ops.cpu_upfirdn2d import upfirdn2d_cpu

QUICK = ("test_schema", "test_autograd_registration", "test_faketensor")
ALL = (*QUICK, "test_aot_dispatch_dynamic")
Sample = tuple[Any, ...]


def _filtered_lrelu(seed: int) -> Sample:
    case = random_case(seed, channels=(1, 3, 17))
    case = with_matrices(case, seed) if seed % 2 else case
    layout = torch.channels_last if seed % 3 else torch.contiguous_format
    x = case["x"].float().contiguous(memory_format=layout).requires_grad_()
    b = None if seed % 5 == 0 else case["b"].float().requires_grad_()
    fu, clamp = case["fu"], case["clamp"]
    filters = torch.ones(1) if fu is None else fu, case["fd"]
    rest = [case[n] for n in ("up", "down", "padding", "gain", "slope")]
    scale = torch.rand(x.shape[:2]).requires_grad_() if seed % 3 == 1 else None
    clamp = -1.0 if clamp is None else clamp
    return x, b, *filters, *rest, clamp, case["flip_filter"], True, scale


def _masked_filter(seed: int) -> Sample:
    x, b, fu, fd, up, down, padding, gain, slope, _, flip, *_ = sample = _filtered_lrelu(seed)
    y, mask = filtered_lrelu_cpu(*sample)
    adjoint = seed % 4 < 2
    first, b = (y.detach().requires_grad_(), None) if adjoint else (x, b)
    size = list(x.shape[2:])
    return first, b, mask, fu, fd, up, down, padding, size, gain, slope, flip, adjoint


def _upfirdn2d(seed: int) -> Sample:
    case = random_resampling(seed, channels=(1, 3, 17))
    x, adjoint = case["x"].float(), seed % 4 < 2
    rest = case["f"], case["up"], case["down"], case["padding"], list(x.shape[2:])
    rest = *rest, case["flip_filter"], case["gain"]
    x = upfirdn2d_cpu(x, *rest, False) if adjoint else x
    return x.requires_grad_(), *rest, adjoint


def _bias_act(seed: int) -> Sample:
    case = random_activation(seed)
    x, dim, clamp = case["x"].float().requires_grad_(), case["dim"], case["clamp"]
    b = None if seed % 5 == 0 else case["b"].float().requires_grad_()
    chosen = ACTIVATIONS[case["act"]]
    scalars = chosen.alpha, chosen.gain, nan if clamp is None else clamp
    return x, b, dim % x.ndim, case["act"], *scalars


def _bias_act_grad(seed: int) -> Sample:
    x, *rest = _bias_act(seed)
    return torch.randn_like(x).requires_grad_(), x, *rest


def _modulate(seed: int) -> Sample:
    x = random_case(seed, channels=(1, 3, 17))["x"].float().requires_grad_()
    return x, torch.rand(x.shape[:2]).requires_grad_(), seed % 3


def _modulate_grad(seed: int) -> Sample:
    sample = _modulate(seed)
    return torch.randn_like(modulate(*sample)).detach().requires_grad_(), *sample


@pytest.mark.parametrize(
    "operator, sample",
    [
        (filtered_lrelu_cpu, _filtered_lrelu),
        (masked_filter_cpu, _masked_filter),
        (upfirdn2d_cpu, _upfirdn2d),
        (bias_act_cpu, _bias_act),
        (bias_act_grad_cpu, _bias_act_grad),
        (modulate_cpu, _modulate),
        (modulate_grad_cpu, _modulate_grad),
    ],
)
@pytest.mark.parametrize(
    "seeds, utilities",
    [
        (range(12), QUICK),
        (range(1), ALL),
        pytest.param(range(50), ALL, marks=pytest.mark.slow),
    ],
)
def test_torch_library_accepts_the_operators(operator, sample, seeds, utilities):
    for seed in seeds:
        torch.library.opcheck(operator, sample(seed), test_utils=utilities)


CALLS = {
    "filtered_lrelu": (filtered_lrelu, lambda seed: random_case(seed, channels=(3, 17))),
    "upfirdn2d": (upfirdn2d, lambda seed: random_resampling(seed, channels=(3, 17))),
    "bias_act": (bias_act, random_activation),
}
IMPLS = [(name, impl) for name in CALLS for impl in ("cpu", "ref")]


def _call(name: str, impl: str, seed: int) -> tuple[Any, Tensor]:
    """The function of x alone, and x."""
    op, make = CALLS[name]
    case = {k: v.float() if isinstance(v, Tensor) else v for k, v in make(seed).items()}
    x = case.pop("x").requires_grad_()
    return lambda x: op(x, impl=impl, **case), x


@pytest.mark.parametrize("name, impl", IMPLS)
@pytest.mark.parametrize("seed", [3, *(pytest.param(s, marks=pytest.mark.slow) for s in range(10))])
def test_torch_compile_changes_nothing(name, impl, seed):
    torch._dynamo.reset()  # it gives up on a function after eight versions
    function, x = _call(name, impl, seed)
    one_graph = impl == "cpu" or name == "bias_act"  # the other refs look at the filter's values
    compiled = torch.compile(function, backend="aot_eager", fullgraph=one_graph)
    y, z = function(x), compiled(x)
    assert torch.equal(y, z)
    assert torch.equal(*(torch.autograd.grad(v.square().sum(), x)[0] for v in (y, z)))


@pytest.mark.parametrize("name, impl", IMPLS)
@pytest.mark.parametrize("seed", range(4))
def test_autocast_changes_nothing(name, impl, seed):
    function, x = _call(name, impl, seed)
    y = function(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        z = function(x)
    assert torch.equal(y, z)
    assert torch.equal(*(torch.autograd.grad(v.square().sum(), x)[0] for v in (y, z)))
