"""The CUDA kernel of bias_act, run on the CPU, against numpy and `ref` in float64."""

import warnings
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from cuda_shim import built_shim, shim  # noqa: F401
from torch import Tensor

from custom_ops import OpsError, bias_act, cuda_bias_act

bias_act_cuda = partial(bias_act, impl="cuda")

DEFINITIONS = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "lrelu": lambda x: np.where(x > 0, x, 0.2 * x),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softplus": lambda x: np.log1p(np.exp(x)),
    "swish": lambda x: x / (1 + np.exp(-x)),
}
QUICK = ("lrelu", "tanh")
ACTS = [
    *QUICK,
    *(pytest.param(a, marks=pytest.mark.slow) for a in DEFINITIONS if a not in QUICK),
]
SHAPES = [((3, 5, 4, 7), 1), ((6, 37), 1), ((1001,), 0), ((4, 3, 2), -1), ((2, 9, 3, 3), 0)]


def _signal(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def _error(actual: Tensor, expected: Tensor) -> float:
    assert actual.shape == expected.shape
    return float(
        (actual.detach() - expected).abs().max() / expected.detach().abs().max().clamp_min(1e-30)
    )


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("shape, dim", SHAPES)
def test_agrees_with_numpy(shim, act, shape, dim):  # noqa: F811
    x, b = _signal(shape).float(), _signal((shape[dim],), 1).float()
    spread = [1] * len(shape)
    spread[dim] = -1
    wide = DEFINITIONS[act](x.double().numpy() + b.double().numpy().reshape(spread))
    expected = torch.from_numpy(np.clip(1.7 * wide, -0.9, 0.9))
    assert _error(bias_act_cuda(x, b, dim, act, gain=1.7, clamp=0.9), expected) <= 1e-6
    plain = torch.from_numpy(DEFINITIONS[act](x.double().numpy()))
    assert _error(bias_act_cuda(x, act=act, gain=1), plain) <= 1e-6


@pytest.mark.parametrize("act", ACTS)
def test_derivatives_up_to_the_third_equal_those_of_ref(shim, act):  # noqa: F811
    def derivatives(function: Any, dtype: torch.dtype) -> list[Tensor]:
        x = _signal((2, 3, 4, 5)).to(dtype).requires_grad_()
        b = _signal((3,), 1).to(dtype).requires_grad_()
        y = function(x.pow(3), b, 1, act, None, None, 0.6)
        first = torch.autograd.grad(y.square().sum(), [x, b], create_graph=True)
        loss = first[0].square().sum() + first[1].pow(3).sum()
        second = torch.autograd.grad(loss, [x, b], create_graph=True)
        third = torch.autograd.grad(second[0].square().mean(), [x, b])
        return [y.detach(), *first, *second, *third]

    expected = derivatives(bias_act, torch.float64)
    actual = derivatives(bias_act_cuda, torch.float32)
    assert all(_error(a, e) <= 2e-5 for a, e in zip(actual, expected, strict=True))


@pytest.mark.parametrize(
    "dtype, tolerance",
    [(torch.bfloat16, 8e-3), pytest.param(torch.float16, 1e-3, marks=pytest.mark.slow)],
)
def test_sixteen_bit_signals_are_rounded_once(shim, dtype, tolerance):  # noqa: F811
    x, b = _signal((3, 5, 4, 7)).to(dtype).requires_grad_(), _signal((5,), 1).float()
    y = bias_act_cuda(x, b, act="lrelu", clamp=0.8)
    wide = x.detach().double().requires_grad_()
    expected = bias_act(wide, b.double(), act="lrelu", clamp=0.8)
    assert torch.equal(y, expected.float().to(dtype))
    probe = _signal(y.shape, 2).to(dtype)
    (dx,) = torch.autograd.grad(y, x, probe)
    assert _error(dx, torch.autograd.grad(expected, wide, probe.double())[0]) <= tolerance


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("clamp", [0.9, 0.0, None])
def test_float16_agrees_with_ref_in_float16(shim, act, clamp):  # noqa: F811
    x, b = _signal((3, 5, 4, 7)).half(), _signal((5,), 1).half()
    results = []
    for impl in ("ref", "cuda"):
        leaf = x.clone().requires_grad_()
        y = bias_act(leaf, b, act=act, clamp=clamp, impl=impl)
        results.append((y.detach(), torch.autograd.grad(y.float().sum(), leaf)[0]))
    (expected, slope), (actual, ours) = results
    assert actual.dtype == ours.dtype == torch.float16
    assert (actual.double() - expected).abs().max() <= 3e-3 * expected.abs().max()
    # `ref` rounds more often, so near the bound the two may disagree about which side it is
    inside = torch.ones_like(x, dtype=torch.bool)
    if clamp:
        free = bias_act(x.double(), b.double(), act=act, impl="ref").abs()
        inside = (free - clamp).abs() > 5e-3
        assert actual.abs().max() <= torch.tensor(clamp).half()
    assert (ours.double() - slope)[inside].abs().max() <= 3e-3 * slope.abs().max()


@pytest.mark.parametrize("act", ["linear", "relu", "lrelu"])
def test_second_derivatives_that_are_zero_are_zeros(shim, act):  # noqa: F811
    x, b = _signal((2, 3, 4)).float().requires_grad_(), _signal((3,), 1).float().requires_grad_()
    dy = _signal((2, 3, 4), 2).float().requires_grad_()
    y = bias_act_cuda(x, b, act=act)
    dx, db = torch.autograd.grad(y, [x, b], dy, create_graph=True)
    seconds = torch.autograd.grad(dx.sum() + db.sum(), [x, b, dy])
    assert [s.count_nonzero().item() for s in seconds[:2]] == [0, 0]
    assert [s.shape for s in seconds] == [x.shape, b.shape, dy.shape] and seconds[2].any()


@pytest.mark.parametrize("act", ACTS)
def test_derivatives_agree_with_differences(shim, act):  # noqa: F811
    away = _signal((2, 3, 2)).float()
    x = (away + 0.3 * away.sign()).requires_grad_()  # of the kink
    b = torch.tensor([0.1, -0.05, 0.02], requires_grad=True)
    steps = {"eps": 1e-2, "atol": 5e-3, "rtol": 5e-3}  # in float32
    function = partial(bias_act_cuda, act=act, clamp=50.0)
    for check in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the inputs are not float64
            assert check(function, (x, b), **steps)


def test_every_layout_is_read_right(shim):  # noqa: F811
    x, b = _signal((2, 5, 6, 7)).float(), _signal((5,), 1).float()
    expected = bias_act_cuda(x, b, act="lrelu")
    views = [x.contiguous(memory_format=torch.channels_last), x.mT.contiguous().mT]
    wide = torch.zeros(2, 5, 12, 7)
    wide[:, :, ::2] = x
    for view in (*views, wide[:, :, ::2], torch.cat([x[:1, :1, 0, 0].view(-1), x.view(-1)])[1:]):
        view = view.view(x.shape) if view.ndim == 1 else view  # starts off a multiple of 16 bytes
        leaf = view.detach().requires_grad_()
        y = bias_act_cuda(leaf, b, act="lrelu")
        assert torch.equal(y, expected)
        probe = torch.linspace(-1, 1, y.numel()).view(x.shape)
        (dx,) = torch.autograd.grad(y, leaf, probe)
        slope = torch.where(x + b[:, None, None] > 0, 1, 0.2) * 2**0.5
        assert _error(dx, (probe * slope).double()) <= 1e-6
    assert bias_act_cuda(views[0], b).is_contiguous(memory_format=torch.channels_last)
    last = bias_act_cuda(views[0], torch.arange(7.0), dim=3)
    assert torch.equal(last, x + torch.arange(7.0))


def test_nan_survives_and_nothing_is_fine(shim):  # noqa: F811
    x = torch.tensor([[torch.nan, 1.0]])
    assert bias_act_cuda(x, act="lrelu", clamp=0.5).isnan().tolist() == [[True, False]]
    assert bias_act_cuda(x[:0], torch.ones(2), act="lrelu").shape == (0, 2)


@pytest.mark.slow
def test_a_derivative_that_does_not_exist_has_a_code(shim):  # noqa: F811
    y = x = torch.ones(3, requires_grad=True)
    y = bias_act_cuda(x, dim=0, act="tanh")
    with pytest.raises(OpsError, match="order 4") as caught:
        for _ in range(4):
            (y,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    assert caught.value.code == "E-OPS-IMPL"


@pytest.mark.parametrize("slow", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_torch_library_accepts_the_operator(shim, slow):  # noqa: F811
    x, b = torch.randn(2, 5, 3, 3, requires_grad=True), torch.randn(5, requires_grad=True)
    utils = ["test_schema", "test_autograd_registration", "test_faketensor"]
    utils += ["test_aot_dispatch_dynamic"] if slow else []
    for a, order in ((None, 0), (torch.randn(2, 5, 3, 3), 1)):
        args = (a, x, b, 1, "lrelu", 0.2, 1.4, 0.9, order)
        torch.library.opcheck(cuda_bias_act.bias_act_op, args, test_utils=utils)
