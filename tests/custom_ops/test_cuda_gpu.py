"""The CUDA path on a GPU: `python -m pytest -m gpu`."""

from typing import Any

import pytest
import torch
from ops_oracle import random_case
from torch import Tensor

from custom_ops import OpsError, bias_act, filtered_lrelu, upfirdn2d
from custom_ops.cuda_bias_act import ACTS, bias_act_cuda
from custom_ops.cuda_build import is_available
from custom_ops.cuda_kernels import filtered_lrelu_cuda
from custom_ops.cuda_upfirdn2d import upfirdn2d_cuda

DEVICE = "cuda"
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device"),
]
# float32 sums in another order than float64: at most 24 + 12 taps per axis
TOLERANCE = {torch.float32: 2e-6, torch.float16: 2e-3, torch.bfloat16: 1e-2}


def _error(actual: Tensor, expected: Tensor) -> float:
    assert actual.shape == expected.shape
    error = (actual.detach().double() - expected.detach()).abs().max()
    return float(error / expected.detach().abs().max().clamp_min(1e-30))


def _to_device(case: dict[str, Any]) -> dict[str, Any]:
    return {k: v.to(DEVICE) if isinstance(v, Tensor) else v for k, v in case.items()}


def _derivatives(function: Any, x: Tensor, b: Tensor, **kwargs: Any) -> list[Tensor]:
    x, b = x.detach().clone().requires_grad_(), b.detach().clone().requires_grad_()
    y = function(x, b=b, **kwargs)
    probe = torch.randn(y.shape, generator=torch.Generator().manual_seed(1)).to(DEVICE, y.dtype)
    return [y.detach(), *torch.autograd.grad(y, [x, b], probe)]


def _agrees(case: dict[str, Any], dtype: torch.dtype) -> None:
    case = _to_device(case)
    x, b = case.pop("x").to(dtype), case.pop("b").float()
    expected = _derivatives(filtered_lrelu, x.double(), b.double(), impl="ref", **case)
    actual = _derivatives(filtered_lrelu_cuda, x, b, **case)
    assert actual[0].dtype == actual[1].dtype == dtype
    assert _error(actual[0], expected[0]) <= TOLERANCE[dtype]
    assert _error(actual[1], expected[1]) <= TOLERANCE[dtype]
    # a sum can cancel: its error counts against the sum of its terms
    terms = expected[1].abs().sum((0, 2, 3)).max()
    assert (actual[2] - expected[2]).abs().max() <= TOLERANCE[dtype] * terms


def _layer(
    up: int = 2, radial: bool = False, size: tuple[int, int] = (38, 37), channels: int = 3
) -> dict[str, Any]:
    """Asymmetric filters of StyleGAN3's lengths, uneven padding, an active clamp."""
    generator = torch.Generator().manual_seed(up + size[0] + 100 * size[1])
    fd = torch.randn((12, 12) if radial else 12, generator=generator) / (20 if radial else 6)
    return _to_device(
        {
            "x": torch.randn(2, channels, *size, generator=generator, dtype=torch.float64),
            "b": torch.randn(channels, generator=generator, dtype=torch.float64),
            "fu": torch.randn(6 * up, generator=generator) / 6,
            "fd": fd,
            "up": up,
            "down": 2,
            "padding": [9, 8, 10, 7],
            "clamp": 0.9,
        }
    )


def test_the_kernels_load():
    assert is_available(torch.device(DEVICE), strict=True)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("seed", range(60))
def test_random_calls_agree_with_ref_in_float64(seed, dtype):
    _agrees(random_case(seed), dtype)


@pytest.mark.parametrize("radial", [False, True])
@pytest.mark.parametrize("up", [2, 4])
def test_odd_sizes_round_every_tile_edge(up, radial):
    step = 4 // up
    sizes = [step * tile + d for tile in (8, 14, 16, 18, 36) for d in (-1, 0, 1)]
    for height, width in zip(sizes, sizes[3:] + sizes[:3], strict=True):
        _agrees(_layer(up, radial, (height, width)), torch.float32)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_a_layer_of_many_planes(dtype):
    _agrees(_layer(2, False, (86, 86), channels=65), dtype)
    _agrees(_layer(4, False, (54, 54), channels=65), dtype)


def test_strided_and_channels_last_inputs_are_read_right():
    case = _layer()
    x, b = case.pop("x").float(), case.pop("b").float()
    expected = filtered_lrelu_cuda(x, b=b, **case)
    wide = torch.zeros(2, 6, 76, 37, device=DEVICE)
    wide[:, ::2, ::2] = x
    for view in (
        wide[:, ::2, ::2],
        x.contiguous(memory_format=torch.channels_last),
        x.mT.contiguous().mT,
    ):
        leaf = view.detach().requires_grad_()
        y = filtered_lrelu_cuda(leaf, b=b, **case)
        assert torch.equal(y, expected)
        (dx,) = torch.autograd.grad(y.sum(), leaf)  # the gradient of a sum has strides 0
        double = x.double().requires_grad_()
        filtered_lrelu(double, b=b.double(), impl="ref", **case).sum().backward()
        assert _error(dx, double.grad) <= 2e-6


@pytest.mark.parametrize("seed", range(200, 220))
def test_second_and_third_derivatives_equal_those_of_ref(seed):
    case = _to_device(random_case(seed, channels=(3, 17)))
    x, b = case.pop("x"), case.pop("b")

    def penalty(function: Any, x: Tensor, b: Tensor, **kwargs: Any) -> list[Tensor]:
        x, b = x.clone().requires_grad_(), b.clone().requires_grad_()
        y = function(x * x, b=b, **kwargs, **case)
        first = torch.autograd.grad(y.square().sum(), [x, b], create_graph=True)
        loss = first[0].square().sum() + first[1].pow(3).sum()
        second = torch.autograd.grad(loss, [x, b], create_graph=True)
        third = torch.autograd.grad(second[0].square().mean(), [x, b])
        return [*second, *third]

    expected = penalty(filtered_lrelu, x, b, impl="ref")
    actual = penalty(filtered_lrelu_cuda, x.float(), b.float())
    assert all(_error(a, e) <= 2e-5 for a, e in zip(actual, expected, strict=True))


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("up, down", [(1, 1), (2, 1), (1, 2), ((2, 1), (1, 3)), (3, 2)])
@pytest.mark.parametrize("shape", [(4,), (12,), (3, 4)])
def test_upfirdn2d_agrees_with_ref_in_float64(shape, up, down, dtype):
    generator = torch.Generator().manual_seed(3)
    f = torch.randn(shape, generator=generator).to(DEVICE)
    for height, width in ((1, 12), (83, 84), (85, 86), (43, 171)):
        x = torch.randn(2, 3, height, width, generator=generator).to(DEVICE, dtype)
        results = []
        for function, v in ((upfirdn2d, x.double()), (upfirdn2d_cuda, x)):
            v = v.requires_grad_()
            y = function(v, f, up, down, [11, 3, 12, -1], False, 1.5)
            (dx,) = torch.autograd.grad(y, v, torch.cos(y.detach()), create_graph=True)
            results.append((y, dx))
        for expected, actual in zip(*results, strict=True):
            # the probe is the cosine of a rounded value, so its error counts as well
            assert _error(actual, expected) <= 10 * TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("act", ACTS)
def test_bias_act_agrees_with_ref_in_float64(act, dtype):
    generator = torch.Generator().manual_seed(4)
    for shape in ((3, 5, 17, 19), (8, 33), (2, 64, 32, 32)):
        x = torch.randn(shape, generator=generator).to(DEVICE, dtype)
        b = torch.randn(shape[1], generator=generator).to(DEVICE)
        for view in (x, x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x):
            expected = _derivatives(bias_act, x.double(), b.double(), act=act, clamp=1.1)
            actual = _derivatives(bias_act_cuda, view, b, act=act, clamp=1.1)
            assert _error(actual[0], expected[0]) <= TOLERANCE[dtype]
            assert _error(actual[1], expected[1]) <= TOLERANCE[dtype]


def test_a_graph_can_be_captured_and_replayed():
    case = _layer(channels=16)
    x, b = case.pop("x").half().requires_grad_(), case.pop("b").float().requires_grad_()

    def step() -> list[Tensor]:
        y = filtered_lrelu_cuda(x, b=b, **case)
        return [y, *torch.autograd.grad(y, [x, b], torch.ones_like(y))]

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # compiles and loads, which must not happen while capturing
        step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = step()
    for seed in range(3):
        with torch.no_grad():
            x.copy_(torch.randn(x.shape, generator=torch.Generator().manual_seed(seed)))
        graph.replay()
        replayed = [t.detach().clone() for t in captured]
        assert all(torch.equal(a, e) for a, e in zip(replayed, step(), strict=True))


def test_work_goes_to_the_current_stream():
    case = _layer(channels=16)
    x, b = case.pop("x").half(), case.pop("b").float()
    expected = filtered_lrelu_cuda(x, b=b, **case)
    torch.cuda.synchronize()
    late = torch.empty_like(x)
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(50_000_000)
        late.copy_(x)  # a kernel on another stream would not wait for this
        y = filtered_lrelu_cuda(late, b=b, **case)
    assert not stream.query()
    stream.synchronize()
    assert torch.equal(y, expected)


def test_compiles_into_one_graph():
    case = _layer()
    x, b = case.pop("x").float().requires_grad_(), case.pop("b").float()

    def function(x: Tensor) -> Tensor:
        y = filtered_lrelu_cuda(x, b=b, **case)
        y = upfirdn2d_cuda(y, case["fd"], down=2, padding=5)
        return bias_act_cuda(y, b, act="lrelu", clamp=0.5).square().sum()

    compiled = torch.compile(function, fullgraph=True)
    (expected,) = torch.autograd.grad(function(x), x)
    (actual,) = torch.autograd.grad(compiled(x), x)
    assert _error(actual, expected.double()) <= 1e-6


def test_memory_stays_small():
    """The upsampled picture, 16 times the input, must never exist."""
    case = _layer(4, size=(128, 128), channels=64)
    x, b = case.pop("x").half(), case.pop("b").float()
    filtered_lrelu_cuda(x, b=b, **case)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    with torch.no_grad():
        y = filtered_lrelu_cuda(x, b=b, **case)
    assert torch.cuda.max_memory_allocated() - before <= y.numel() * y.element_size() + 2**20


def test_tensors_of_two_to_the_31_elements_have_a_code_and_smaller_ones_work():
    if torch.cuda.get_device_properties(DEVICE).total_memory < 24 * 2**30:
        pytest.skip("needs 24 GB of memory")
    f = torch.tensor([0.1, 0.4, 0.3, 0.2], device=DEVICE)
    many = torch.zeros(1, device=DEVICE, dtype=torch.float16).expand(2**31).view(2**15, 1, 256, 256)
    with pytest.raises(OpsError, match=r"2\^31") as caught:
        upfirdn2d_cuda(many, f, padding=2)
    assert caught.value.code == "E-OPS-IMPL"
    x = torch.zeros(2**15 - 1024, 1, 256, 256, device=DEVICE, dtype=torch.float16)
    x[-1] = torch.randn(256, 256, device=DEVICE)
    y = upfirdn2d_cuda(x, f, padding=[2, 1, 2, 1])
    assert torch.equal(y[-1:], upfirdn2d_cuda(x[-1:], f, padding=[2, 1, 2, 1]))
    assert not y[:-1].any()
