"""The compiled upfirdn2d and matrix filters against scipy in float64, and their derivatives."""

from typing import Any

import numpy as np
import pytest
import torch
from ops_oracle import (
    filtered_lrelu_oracle,
    random_case,
    random_resampling,
    upfirdn2d_oracle,
    with_matrices,
)
from torch import Tensor

from custom_ops import filtered_lrelu, upfirdn2d
from custom_ops.cpu_upfirdn2d import upfirdn2d_cpu

TOLERANCES = [(torch.float32, 1e-6), (torch.bfloat16, 1e-2)]


def _seeds(first: int, quick: int, slow: int) -> list[Any]:
    many = range(first + quick, first + slow)
    return [*range(first, first + quick), *(pytest.param(s, marks=pytest.mark.slow) for s in many)]


def _assert_close(actual: Tensor, expected: np.ndarray, tolerance: float) -> None:
    assert actual.shape == expected.shape
    difference = np.abs(actual.detach().double().numpy() - expected).max()
    assert difference <= tolerance * max(np.abs(expected).max(), 1e-30)


def _arrays(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {k: v.double().numpy() if isinstance(v, Tensor) else v for k, v in kwargs.items()}


def _probe(y: Tensor) -> Tensor:
    return torch.linspace(-1, 1, y.numel()).sin().view(y.shape).to(y.dtype)


@pytest.mark.parametrize("dtype, tolerance", TOLERANCES)
@pytest.mark.parametrize("seed", _seeds(0, 25, 300))
def test_upfirdn2d_agrees_with_scipy_and_its_gradient_with_the_adjoint(seed, dtype, tolerance):
    case = random_resampling(seed)
    x = case.pop("x").to(dtype)
    x = x.contiguous(memory_format=torch.channels_last) if seed % 2 else x
    leaf = x.requires_grad_()
    y = upfirdn2d(leaf, impl="cpu", **case)
    _assert_close(y, upfirdn2d_oracle(x.detach().double().numpy(), **_arrays(case)), tolerance)
    assert y.dtype == dtype and y.is_contiguous(
        memory_format=torch.channels_last if seed % 2 else torch.contiguous_format
    )
    (dx,) = torch.autograd.grad(y, leaf, _probe(y), create_graph=True)
    wide = x.detach().double().requires_grad_()
    z = upfirdn2d(wide, impl="ref", **case)
    (expected,) = torch.autograd.grad(z, wide, _probe(y).double())
    _assert_close(dx, expected.numpy(), tolerance)


@pytest.mark.parametrize("seed", range(8))
def test_upfirdn2d_is_its_own_second_derivative(seed):
    case = random_resampling(seed)
    x = case.pop("x")

    def penalty(x: Tensor, impl: str) -> tuple[Tensor, ...]:
        leaf = x.clone().requires_grad_()
        y = upfirdn2d(leaf, impl=impl, **case)
        (first,) = torch.autograd.grad(y.pow(3).sum(), leaf, create_graph=True)
        (second,) = torch.autograd.grad(first.square().sum(), leaf, create_graph=True)
        return second.detach(), torch.autograd.grad(second.square().sum(), leaf)[0]

    for actual, expected in zip(penalty(x.float(), "cpu"), penalty(x, "ref"), strict=True):
        _assert_close(actual, expected.numpy(), 1e-5)


@pytest.mark.parametrize("dtype, tolerance", TOLERANCES)
@pytest.mark.parametrize("seed", _seeds(500, 20, 200))
def test_filtered_lrelu_with_matrices_agrees_with_scipy(seed, dtype, tolerance):
    case = with_matrices(random_case(seed, channels=(1, 3, 17)), seed)
    case["x"], case["b"] = case["x"].to(dtype), case["b"].float()
    leaves = case["x"].requires_grad_(), case["b"].requires_grad_()
    y = filtered_lrelu(impl="cpu", **case)
    plain = {k: v.detach() if isinstance(v, Tensor) else v for k, v in case.items()}
    _assert_close(y, filtered_lrelu_oracle(**_arrays(plain)), tolerance)
    actual = torch.autograd.grad(y, leaves, _probe(y))
    wide = {**case, **{k: plain[k].double().requires_grad_() for k in ("x", "b")}}
    z = filtered_lrelu(impl="ref", **wide)
    expected = torch.autograd.grad(z, (wide["x"], wide["b"]), _probe(y).double())
    _assert_close(actual[0], expected[0].numpy(), tolerance)
    terms = expected[0].abs().sum((0, 2, 3)).max()  # a sum can cancel
    assert (actual[1] - expected[1]).abs().max() <= tolerance * terms


@pytest.mark.parametrize("seed", range(600, 606))
def test_second_derivatives_with_matrices_equal_those_of_ref(seed):
    case = with_matrices(random_case(seed, channels=(3, 17)), seed)
    x, b = case.pop("x"), case.pop("b")

    def penalty(x: Tensor, b: Tensor, impl: str) -> tuple[Tensor, ...]:
        x, b = x.clone().requires_grad_(), b.clone().requires_grad_()
        y = filtered_lrelu(x * x, b=b, impl=impl, **case)
        first = torch.autograd.grad(y.square().sum(), (x, b), create_graph=True)
        loss = first[0].square().sum() + first[1].pow(3).sum()
        return torch.autograd.grad(loss, (x, b))

    expected = penalty(x, b, "ref")
    for actual, value in zip(penalty(x.float(), b.float(), "cpu"), expected, strict=True):
        _assert_close(actual, value.numpy(), 2e-5)


def test_the_number_of_threads_does_not_change_a_bit():
    f = torch.rand(5, 6, generator=torch.Generator().manual_seed(0))
    x = torch.randn(1, 20, 40, 30, generator=torch.Generator().manual_seed(1))
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            results.append(filtered_lrelu(x, None, f, down=2, clamp=1, impl="cpu"))
            results.append(upfirdn2d(x, f, 2, [2, 1], 3, impl="cpu"))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(y, results[i % 2]) for i, y in enumerate(results))


@pytest.mark.parametrize("shape", [(4,), (3, 5)])
def test_torch_library_accepts_upfirdn2d(shape):
    x = torch.randn(2, 17, 9, 8).contiguous(memory_format=torch.channels_last).requires_grad_()
    rest = torch.rand(shape), [2, 1], [1, 3], [3, 2, 4, 3], [9, 8], False, 1.5
    y = upfirdn2d_cpu(x, *rest, False)
    dy = torch.randn_like(y).detach().requires_grad_()
    quick = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(upfirdn2d_cpu, (x, *rest, False), test_utils=quick)
    torch.library.opcheck(upfirdn2d_cpu, (dy, *rest, True), test_utils=quick)


@pytest.mark.slow
@pytest.mark.parametrize("adjoint", [False, True])
def test_torch_library_compiles_upfirdn2d_with_dynamic_shapes(adjoint):
    x = torch.randn(2, 17, 9, 8).contiguous(memory_format=torch.channels_last).requires_grad_()
    args = torch.rand(3, 5), [2, 1], [1, 1], [3, 2, 4, 3], [9, 8], False, 1.5
    x = upfirdn2d_cpu(x, *args, False).detach().requires_grad_() if adjoint else x
    torch.library.opcheck(upfirdn2d_cpu, (x, *args, adjoint))


def test_auto_takes_the_compiled_path_where_it_is_faster():
    f = torch.rand(6, generator=torch.Generator().manual_seed(0))
    x = torch.randn(1, 16, 9, 9, generator=torch.Generator().manual_seed(1))
    for filters, down in ((f, 1), (f[:4], 2)):
        y = x.contiguous(memory_format=torch.channels_last)
        auto, compiled = (upfirdn2d(y, filters, 1, down, 3, impl=i) for i in ("auto", "cpu"))
        assert torch.equal(auto, compiled)
    few = upfirdn2d(x[:, :3], f, padding=3)
    assert torch.equal(few, upfirdn2d(x[:, :3], f, padding=3, impl="ref"))
