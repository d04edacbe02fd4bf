"""Which calls go to the CUDA kernels, and what happens to the others."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from cuda_shim import Shim, built_shim, shim  # noqa: F401
from ops_oracle import random_case
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from custom_ops import OpsError, bias_act, cuda_build, cuda_plan, filtered_lrelu, upfirdn2d
from custom_ops.axis_plan import FORWARD_SAVE, plan_axis
from custom_ops.cuda_plan import SHARED_LIMIT, fits, lay_out
from stylegan import Discriminator, Generator
from tests.tiny_models import D_CONFIG, G_CONFIG

IS_AVAILABLE = cuda_build.is_available
X = torch.randn(1, 2, 9, 8, generator=torch.Generator().manual_seed(0))
F = torch.tensor([0.1, 0.5, 0.3, 0.2])
LONG = torch.ones(400) / 400
CALLS = {
    "filtered_lrelu": lambda x, f=F, **kwargs: filtered_lrelu(
        x, f, f, x.new_ones(x.shape[1]), 2, 2, [len(f)] * 4, **kwargs
    ),
    "upfirdn2d": lambda x, f=F, **kwargs: upfirdn2d(x, f, 2, 1, [len(f)] * 4, **kwargs),
    "bias_act": lambda x, f=F, **kwargs: bias_act(x, x.new_ones(x.shape[1]), **kwargs),
}
every_operation = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@every_operation
@pytest.mark.parametrize("wish, impl", [("", "auto"), ("", "cuda"), ("cuda", "auto")])
def test_the_kernels_answer(shim, monkeypatch, call, wish, impl):  # noqa: F811
    monkeypatch.setenv("IRODORI_OPS", wish)
    y = call(X, impl=impl)
    assert len(shim.used) == 1
    assert torch.allclose(y, call(X, impl="ref"), atol=1e-6)


@every_operation
def test_ref_answers_if_it_is_wished_for(shim, monkeypatch, call):  # noqa: F811
    monkeypatch.setenv("IRODORI_OPS", "ref")
    assert torch.equal(call(X), call(X, impl="ref"))
    assert shim.used == []


def _raises(call: Callable[[], Any], match: str, code: str = "E-OPS-IMPL") -> None:
    with pytest.raises(OpsError, match=match) as caught:
        call()
    assert caught.value.code == code and "\n" not in str(caught.value)


@every_operation
def test_signals_on_the_cpu_are_not_for_the_kernels(monkeypatch, call):
    _raises(lambda: call(X, impl="cuda"), "does not cover device cpu")
    expected = call(X)
    monkeypatch.setenv("IRODORI_OPS", "cuda")
    monkeypatch.setattr(cuda_build, "is_available", lambda *args: pytest.fail("asked for"))
    assert torch.equal(call(X), expected)


@every_operation
@pytest.mark.parametrize("wish", ["", "cuda"])
def test_types_and_transforms_that_are_not_covered_go_to_ref(shim, monkeypatch, call, wish):  # noqa: F811
    monkeypatch.setenv("IRODORI_OPS", wish)
    calls = {
        "float64": lambda **kwargs: call(X.double(), **kwargs),
        "torch.func": lambda **kwargs: torch.func.vmap(lambda x: call(x, **kwargs))(X[None]),
    }
    for gap, doit in calls.items():
        assert torch.equal(doit(), doit(impl="ref"))
        _raises(lambda doit=doit: doit(impl="cuda"), f"does not cover .*{gap}")
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(X, X.cos())
        tangents = [
            torch.autograd.forward_ad.unpack_dual(call(dual, **k))[1] for k in ({}, {"impl": "ref"})
        ]
        assert torch.equal(*tangents)
        _raises(lambda: call(dual, impl="cuda"), "forward-mode")
    assert shim.used == []


@pytest.mark.parametrize("op", ["filtered_lrelu", "upfirdn2d"])
@pytest.mark.parametrize("f", [LONG, LONG[:160, None] * LONG[:160]], ids=["line", "matrix"])
def test_filters_too_long_for_a_block_go_to_ref(shim, op, f):  # noqa: F811
    leaf = X.clone().requires_grad_()
    y = CALLS[op](leaf, f)
    assert torch.equal(y, CALLS[op](X, f, impl="ref"))
    torch.autograd.grad(y.sum(), leaf)
    _raises(lambda: CALLS[op](X, f, impl="cuda"), "filters too long for the shared memory")
    assert shim.used == []


@every_operation
def test_tensors_of_two_to_the_31_elements_are_not_covered(monkeypatch, call):
    monkeypatch.setattr(cuda_plan, "DEVICE", "meta")
    many = torch.empty(2**25, 1, 8, 8, device="meta", dtype=torch.float16)
    _raises(lambda: call(many, impl="cuda"), "elements, 2\\^31 or more")


def test_outputs_and_masks_of_two_to_the_31_elements_are_not_covered(monkeypatch):
    monkeypatch.setattr(cuda_plan, "DEVICE", "meta")
    x = torch.empty(2**25, 1, 4, 4, device="meta", dtype=torch.float16)
    _raises(lambda: upfirdn2d(x, None, 2, impl="cuda"), "2147483648 elements")
    _raises(lambda: filtered_lrelu(x, up=2, impl="cuda"), "2147483648 elements")
    _raises(lambda: filtered_lrelu(x[:, :, :1, :1], up=64, down=32, impl="cuda"), "elements")


def test_signals_on_several_devices_are_not_covered(monkeypatch):
    monkeypatch.setattr(cuda_plan, "DEVICE", "meta")
    _raises(lambda: bias_act(X.to("meta"), torch.ones(2), impl="cuda"), "several devices")


def test_whether_filters_fit_does_not_depend_on_sizes():
    for seed in range(60):
        case = random_case(seed)
        taps = [1 if f is None else f.shape[0] for f in (case["fu"], case["fd"])]
        for longer in (1, 3, 9, 17):
            plan = plan_axis(4000, case["up"], case["down"], [0, 0], longer * taps[0], taps[1])
            layout = lay_out(torch.float32, FORWARD_SAVE, plan, plan, False, False)
            assert (layout.shared_bytes <= SHARED_LIMIT) == fits(
                FORWARD_SAVE, (plan, plan), False, False
            )


@every_operation
def test_without_the_kernels_ref_answers_after_one_warning(monkeypatch, caplog, call):
    monkeypatch.setattr(cuda_plan, "DEVICE", "cpu")
    monkeypatch.setattr(cuda_build, "_outcomes", {})
    monkeypatch.setattr(cuda_build, "_warned", set())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    _raises(lambda: call(X, impl="cuda"), "torch sees no CUDA device", "E-OPS-BUILD")
    assert not caplog.records  # who was told by an error has not been warned
    assert torch.equal(call(X), call(X, impl="ref")) and torch.equal(call(X), call(X, impl="ref"))
    (record,) = caplog.records
    assert "torch sees no CUDA device" in record.message and "\n" not in record.message
    monkeypatch.setenv("IRODORI_OPS", "cuda")
    _raises(lambda: call(X), "torch sees no CUDA device", "E-OPS-BUILD")


@pytest.mark.parametrize("wish", ["", pytest.param("cuda", marks=pytest.mark.slow)])
def test_whether_the_kernels_are_there_is_a_constant_for_torch_compile(shim, monkeypatch, wish):  # noqa: F811
    monkeypatch.setenv("IRODORI_OPS", wish)
    monkeypatch.setattr(cuda_build, "is_available", IS_AVAILABLE)  # not the shim's
    monkeypatch.setattr(cuda_build, "_outcomes", {})
    monkeypatch.setattr(cuda_build, "_probe", lambda index: None)
    torch._dynamo.reset()
    compiled = torch.compile(lambda x: upfirdn2d(x, F), fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(X), upfirdn2d(X, F, impl="cuda")) and len(shim.used) == 2


@pytest.mark.parametrize(
    "call",
    [
        CALLS["filtered_lrelu"],
        pytest.param(CALLS["upfirdn2d"], marks=pytest.mark.slow),
        pytest.param(CALLS["bias_act"], marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("dynamic", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_compiles_into_one_graph(shim, call, dynamic):  # noqa: F811
    def function(x: Tensor) -> Tensor:
        return call(x * 2).square().sum()

    torch._dynamo.reset()
    compiled = torch.compile(function, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for x in (X, X[..., :5]):
        leaf = x.clone().requires_grad_()
        (expected,) = torch.autograd.grad(function(leaf), leaf)
        shim.used.clear()
        (actual,) = torch.autograd.grad(compiled(leaf), leaf)
        assert torch.equal(actual, expected) and shim.used


class _Operators(TorchDispatchMode):
    """Notes the operators of this package that run, and whether x is channels-last."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.channels_last: list[bool] = []

    def __torch_dispatch__(self, f: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if f.namespace == "irodori":
            x = next(a for a in args if isinstance(a, Tensor))
            self.names.append(f._opname)
            self.channels_last.append(x.is_contiguous(memory_format=torch.channels_last))
        return f(*args, **(kwargs or {}))


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_the_networks_use_the_kernels_on_a_cuda_device(monkeypatch, precision):
    """On a device that torch only imagines, so nothing is computed; mixed devices would raise."""
    monkeypatch.setattr(cuda_build, "is_available", lambda device, strict: True)
    with torch.no_grad(), FakeTensorMode(), torch.device("cuda"), _Operators() as operators:
        G, D = Generator(G_CONFIG), Discriminator(D_CONFIG)
        pictures = G(torch.randn(4, G_CONFIG.z_dim))
        assert D(pictures, precision=precision).device.type == "cuda"
        count = len(operators.names)
        G.synthesis(torch.randn(4, G_CONFIG.num_ws, G_CONFIG.w_dim), precision=precision)
    assert set(operators.names) == {"filtered_lrelu_cuda", "bias_act_cuda", "resample_cuda"}
    # at most one conversion to NCHW: of the first layer's signal, from the Fourier features
    assert len(operators.names) - count == len(G.synthesis.layers)
    assert not any(operators.channels_last[count + 1 :])
