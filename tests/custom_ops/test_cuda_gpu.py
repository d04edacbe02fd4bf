"""The numbers of the CUDA path on a GPU: `python -m pytest -m gpu`."""

from collections.abc import Callable
from functools import partial
from typing import Any

import gpu_case
import pytest
import torch
from gpu_case import (
    TOLERANCE,
    check_filtered_lrelu,
    derivatives,
    error,
    layer,
    on_device,
    random,
)
from ops_oracle import random_case
from torch import Tensor

from custom_ops import bias_act, cuda_build, cuda_plan, filtered_lrelu, upfirdn2d
from custom_ops.axis_plan import FORWARD_SAVE, LINEAR, AxisPlan, plan_axis
from custom_ops.cuda_bias_act import ACTS

pytestmark = gpu_case.ON_GPU
every_type = pytest.mark.parametrize("dtype", TOLERANCE, ids=str)


def test_the_kernels_load():
    assert cuda_build.is_available(torch.device(gpu_case.DEVICE), True)


# operation, shape of x, and the rest of a call that has few threads and takes another instance
TINY: list[tuple[Callable[..., Tensor], tuple[int, ...], Callable[[], dict[str, Any]]]] = [
    (filtered_lrelu, (2, 1, 5, 9), lambda: layer(2, channels=1)),
    (filtered_lrelu, (1, 2, 6, 7), lambda: layer(4, channels=2)),
    (filtered_lrelu, (1, 1, 8, 5), lambda: layer(2, True, channels=1)),
    (filtered_lrelu, (1, 1, 5, 5), lambda: {**layer(2, channels=1), "fu": None, "down": 3}),
    (upfirdn2d, (1, 2, 9, 5), lambda: {"f": random((4,)), "down": 2, "padding": 2}),
    (upfirdn2d, (1, 2, 5, 7), lambda: {"f": random((4,)), "up": 2, "padding": [2, 1, 2, 1]}),
    (upfirdn2d, (2, 1, 5, 7), lambda: {"f": random((5, 3)), "up": [1, 3], "padding": 4}),
    (bias_act, (3, 5, 7), lambda: {"b": random((5,)), "act": "swish", "clamp": 1.0}),
    (bias_act, (3, 5, 7), lambda: {"b": random((7,)), "dim": 2, "act": "lrelu"}),
]


@every_type
@pytest.mark.parametrize("index", range(len(TINY)))
def test_tiny_calls_for_the_sanitizer(index, dtype):
    operation, shape, make = TINY[index]
    x = random(shape, dtype=dtype).requires_grad_()
    kwargs = {**make(), "x": x, "impl": "cuda"}
    if "b" in kwargs:
        kwargs["b"] = kwargs["b"].float().requires_grad_()
    y = operation(**kwargs)
    assert error(y, operation(**{**kwargs, "impl": "ref", "x": x.double()})) <= TOLERANCE[dtype]
    (dx,) = torch.autograd.grad(y.float().square().mean(), x, create_graph=True)
    (second,) = torch.autograd.grad(dx.float().square().mean(), x)
    assert second.isfinite().all()


@pytest.mark.parametrize("impl", ["cuda", "auto"])
@every_type
@pytest.mark.parametrize("seed", range(40))
def test_random_calls_agree_with_ref_in_float64(seed, dtype, impl):
    check_filtered_lrelu(random_case(seed), dtype, impl)


def test_auto_takes_the_kernels(monkeypatch):
    names: list[str] = []
    launch = cuda_build.launch
    monkeypatch.setattr(
        cuda_build, "launch", lambda source, *args: (names.append(source), launch(source, *args))
    )
    x, f = random((1, 3, 20, 20)), random((4,))
    for call in (
        lambda impl: filtered_lrelu(x, f, f, up=2, down=2, padding=4, impl=impl),
        lambda impl: upfirdn2d(x, f, impl=impl),
        lambda impl: bias_act(x, random((3,)), act="lrelu", impl=impl),
    ):
        assert torch.equal(call("auto"), call("cuda"))
    assert names == ["filters.cu"] * 4 + ["bias_act.cu"] * 2
    wide = x.double()
    assert torch.equal(upfirdn2d(wide, f), upfirdn2d(wide, f, impl="ref")) and len(names) == 6


@every_type
def test_ref_is_as_exact_as_the_kernels(dtype):
    """It is what they fall back to: no TensorFloat-32 in it."""
    x, f = random((2, 64, 33, 31), dtype=dtype), random((4,), 1)
    for view in (x, x.contiguous(memory_format=torch.channels_last)):
        y = upfirdn2d(view, f, down=2, padding=1, impl="ref")
        assert error(y, upfirdn2d(x.double(), f, down=2, padding=1, impl="ref")) <= TOLERANCE[dtype]


def _edges(tile: int) -> list[int]:
    return sorted({15, 16, 17, 31, 32, 33} | {k * tile + d for k in (1, 2) for d in (-1, 0, 1)})


@pytest.mark.parametrize("radial", [False, True])
@pytest.mark.parametrize("up", [2, 4])
def test_sizes_round_every_tile_edge(up, radial):
    plan = plan_axis(200, up, 2, [9, 8], 6 * up, 12)
    tile = cuda_plan.lay_out(torch.float32, FORWARD_SAVE, plan, plan, False, radial).y.tile
    # an input of `size` has (size up - 6 up + 18 - 12) // 2 + 1 outputs per axis
    sizes = [*_edges(tile), *(-(-(2 * out - 8 + 6 * up) // up) for out in _edges(tile))]
    for height, width in zip(sizes, sizes[3:] + sizes[:3], strict=True):
        check_filtered_lrelu(layer(up, radial, (height, width)), torch.float32)


@every_type
def test_a_layer_of_many_planes(dtype):
    check_filtered_lrelu(layer(2, False, (86, 86), channels=65), dtype)
    check_filtered_lrelu(layer(4, False, (54, 54), channels=65), dtype)


def test_strided_and_channels_last_inputs_are_read_right():
    case = on_device(layer())
    x, b = case.pop("x").float(), case.pop("b").float()
    function = partial(filtered_lrelu, b=b, impl="cuda", **case)
    expected = function(x)
    wide = torch.zeros(2, 6, 76, 37, device=x.device)
    wide[:, ::2, ::2] = x
    for view in (
        wide[:, ::2, ::2],
        x.contiguous(memory_format=torch.channels_last),
        x.mT.contiguous().mT,
        torch.cat([x.view(-1)[:1], x.view(-1)])[1:].view(x.shape),  # off a multiple of 16 bytes
        x[:1].expand(2, -1, -1, -1),
    ):
        leaf = view.detach().requires_grad_()
        y = function(leaf)
        assert torch.equal(y, function(view.contiguous())) and y.is_contiguous()
        assert torch.equal(y[0], expected[0])
        (dx,) = torch.autograd.grad(y.sum(), leaf)  # the gradient of a sum has strides 0
        double = view.double().detach().requires_grad_()
        filtered_lrelu(double, b=b.double(), impl="ref", **case).sum().backward()
        assert error(dx, double.grad) <= TOLERANCE[torch.float32]


def test_upfirdn2d_and_bias_act_keep_the_layout():
    x, f = random((2, 5, 17, 18)), random((4,))
    last = x.contiguous(memory_format=torch.channels_last)
    for function in (
        lambda x: upfirdn2d(x, f, 1, 2, 2, impl="cuda"),
        lambda x: bias_act(x, random((5,)), act="lrelu", impl="cuda"),
    ):
        assert torch.equal(function(last), function(x)) and function(x).is_contiguous()
        assert function(last).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("seed", range(200, 220))
def test_second_and_third_derivatives_equal_those_of_ref(seed):
    case = on_device(random_case(seed, channels=(3, 17)))
    x, b = case.pop("x"), case.pop("b")

    def penalty(x: Tensor, b: Tensor, impl: str) -> list[Tensor]:
        x, b = x.clone().requires_grad_(), b.clone().requires_grad_()
        y = filtered_lrelu(x * x, b=b, impl=impl, **case)
        first = torch.autograd.grad(y.square().sum(), [x, b], create_graph=True)
        loss = first[0].square().sum() + first[1].pow(3).sum()
        second = torch.autograd.grad(loss, [x, b], create_graph=True)
        third = torch.autograd.grad(second[0].square().mean(), [x, b])
        return [*second, *third]

    expected, actual = penalty(x, b, "ref"), penalty(x.float(), b.float(), "cuda")
    assert all(error(a, e) <= 2e-5 for a, e in zip(actual, expected, strict=True))


@every_type
@pytest.mark.parametrize("up, down", [(1, 1), (2, 1), (1, 2), ((2, 1), (1, 3)), (3, 2)])
@pytest.mark.parametrize("shape", [(4,), (12,), (3, 4)])
def test_upfirdn2d_agrees_with_ref_in_float64(shape, up, down, dtype):
    f = random(shape, 3)
    plan = AxisPlan(200, 200, 100, 1, 2, 0, 1, 1, 4)
    tile = cuda_plan.lay_out(dtype, LINEAR, plan, plan, False, False).x.tile
    for height, width in ((1, 12), (2 * tile - 1, 2 * tile), (2 * tile + 1, 33), (17, 4 * tile)):
        x = random((2, 3, height, width), 4, dtype)
        results = []
        for v, impl in ((x.double(), "ref"), (x, "cuda")):
            v = v.requires_grad_()
            y = upfirdn2d(v, f, up, down, [11, 3, 12, -1], False, 1.5, impl)
            (dx,) = torch.autograd.grad(y, v, torch.cos(y.detach()), create_graph=True)
            results.append((y, dx))
        for expected, actual in zip(*results, strict=True):
            # the probe is the cosine of a rounded value, so its error counts as well
            assert error(actual, expected) <= 10 * TOLERANCE[dtype]


@every_type
@pytest.mark.parametrize("act", ACTS)
def test_bias_act_agrees_with_ref_in_float64(act, dtype):
    for shape in ((3, 5, 17, 19), (8, 33), (2, 64, 32, 32)):
        x, b = random(shape, 4, dtype), random(shape[1:2], 5)
        for view in (x, x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x):
            options = {"act": act, "clamp": 1.1}
            expected = derivatives(bias_act, x.double(), b.double(), impl="ref", **options)
            actual = derivatives(bias_act, view, b, impl="cuda", **options)
            assert error(actual[0], expected[0]) <= TOLERANCE[dtype]
            assert error(actual[1], expected[1]) <= TOLERANCE[dtype]


@pytest.mark.parametrize("act", ["lrelu", "tanh"])
def test_derivatives_agree_with_differences(act):
    x = random((2, 3, 2))
    x, b = (x + 0.3 * x.sign()).requires_grad_(), random((3,), 1).mul(0.05).requires_grad_()
    function = partial(bias_act, act=act, clamp=50.0, impl="cuda")
    for check in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        assert check(function, (x, b), eps=1e-2, atol=5e-3, rtol=5e-3)  # in float32
