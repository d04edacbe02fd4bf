"""The CUDA path within torch on a GPU: graphs, streams, torch.compile, memory, large tensors."""

import gpu_case
import pytest
import torch
from gpu_case import DEVICE, error, layer, random
from torch import Tensor

from custom_ops import OpsError, bias_act, filtered_lrelu, upfirdn2d

pytestmark = gpu_case.ON_GPU


def _network(x: Tensor, b: Tensor) -> Tensor:
    """All three operations; `b` has 16 numbers. What is constant is made at the first call."""
    if not _constants:
        case = layer(channels=16)
        _constants.update({k: v for k, v in case.items() if k not in ("x", "b")})
    y = filtered_lrelu(x, b=b, **_constants)
    y = upfirdn2d(y, _constants["fd"], down=2, padding=5)
    return bias_act(y, b, act="lrelu", clamp=0.5)


_constants: dict = {}


def _step(x: Tensor, b: Tensor) -> list[Tensor]:
    y = _network(x, b)
    return [y, *torch.autograd.grad(y, [x, b], torch.ones_like(y))]


def _inputs(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    x = random((2, 16, 38, 37), dtype=dtype)
    return x.requires_grad_(), random((16,), 1).requires_grad_()


def test_a_graph_can_be_captured_and_replayed():
    x, b = _inputs(torch.float16)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # compiles and loads, which must not happen while capturing
        _step(x, b)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = _step(x, b)
    for seed in range(3):
        with torch.no_grad():
            x.copy_(random(x.shape, seed))
        graph.replay()
        replayed = [t.detach().clone() for t in captured]
        assert all(torch.equal(a, e) for a, e in zip(replayed, _step(x, b), strict=True))


@pytest.mark.parametrize("channels_last", [False, True])
def test_work_goes_to_the_current_stream(channels_last):
    layout = torch.channels_last if channels_last else torch.contiguous_format
    x, b = (t.detach() for t in _inputs(torch.float16))
    x = x.contiguous(memory_format=layout)
    expected = _network(x, b)
    torch.cuda.synchronize()
    late = torch.full_like(x, torch.nan)
    torch.cuda.synchronize()
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(50_000_000)
        late.copy_(x)  # a kernel on another stream would not wait for this
        y = _network(late, b)
    assert not stream.query()
    stream.synchronize()
    assert torch.equal(y, expected)


def test_the_backward_pass_goes_to_the_stream_of_the_forward_pass():
    x, b = _inputs(torch.float32)
    expected = _step(x, b)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        torch.cuda._sleep(50_000_000)
        actual = _step(x, b)
    stream.synchronize()
    assert all(torch.equal(a, e) for a, e in zip(actual, expected, strict=True))


@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_compiles_into_one_graph(backend):
    if backend == "inductor":
        pytest.importorskip("triton", reason="torch.compile needs triton on a GPU")
    x, b = _inputs(torch.float32)
    _network(x, b)
    compiled = torch.compile(_network, fullgraph=True, backend=backend)
    y = compiled(x, b)
    actual = [y, *torch.autograd.grad(y, [x, b], torch.ones_like(y))]
    for a, e in zip(actual, _step(x, b), strict=True):
        assert error(a, e.double()) <= 1e-6


def test_autocast_signals_of_any_type_and_float32_biases():
    x, b = _inputs(torch.float32)
    with torch.autocast("cuda", torch.float16):
        y = _network(torch.nn.functional.conv2d(x, random((16, 16, 1, 1))), b)
    assert y.dtype == torch.float16
    assert all(g.dtype == torch.float32 for g in torch.autograd.grad(y.float().sum(), [x, b]))


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two devices")
def test_a_device_that_is_not_the_current_one():
    x, b = (t.detach() for t in _inputs(torch.float32))
    for y in (filtered_lrelu(x.to("cuda:1"), b=b.to("cuda:1"), impl="cuda"),):
        assert torch.equal(y.to(DEVICE), filtered_lrelu(x, b=b, impl="cuda"))
    with pytest.raises(OpsError, match="several devices"):
        filtered_lrelu(x, b=b.to("cuda:1"), impl="cuda")


def test_a_bias_on_the_cpu_is_not_read_by_a_kernel():
    with pytest.raises(OpsError, match="several devices"):
        bias_act(random((2, 3)), torch.ones(3), impl="cuda")


def test_memory_stays_small():
    """The upsampled picture, 16 times the input, must never exist."""
    case = layer(4, size=(128, 128), channels=64)
    case.update(x=case["x"].half(), b=case["b"].float(), impl="cuda")
    filtered_lrelu(**case)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    y = filtered_lrelu(**case)
    assert torch.cuda.max_memory_allocated() - before <= y.numel() * y.element_size() + 2**20


def test_tensors_of_two_to_the_31_elements_have_a_code_and_smaller_ones_work():
    if torch.cuda.get_device_properties(DEVICE).total_memory < 24 * 2**30:
        pytest.skip("needs 24 GB of memory")
    f = random((4,))
    many = torch.zeros(1, device=DEVICE, dtype=torch.float16).expand(2**31).view(2**15, 1, 256, 256)
    for call in (
        lambda: upfirdn2d(many, f, padding=2, impl="cuda"),
        lambda: filtered_lrelu(many, f, f, padding=3, impl="cuda"),
        lambda: bias_act(many, impl="cuda"),
        lambda: upfirdn2d(many[: 2**14], f, up=2, padding=2, impl="cuda"),
    ):
        with pytest.raises(OpsError, match=r"2\^31") as caught:
            call()
        assert caught.value.code == "E-OPS-IMPL"
    x = torch.zeros(2**15 - 1024, 1, 256, 256, device=DEVICE, dtype=torch.float16)
    x[-1] = random((256, 256))
    y = upfirdn2d(x, f, padding=[2, 1, 2, 1], impl="cuda")
    assert torch.equal(y[-1:], upfirdn2d(x[-1:], f, padding=[2, 1, 2, 1], impl="cuda"))
    assert not y[:-1].any()
    del y
    y = bias_act(x, random((1,)), act="lrelu", impl="cuda")
    assert torch.equal(y[-1:], bias_act(x[-1:], random((1,)), act="lrelu", impl="cuda"))
