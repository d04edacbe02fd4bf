"""Factors per sample and channel: modulate, and `scale` of filtered_lrelu."""

from typing import Any

import numpy as np
import pytest
import torch
from gradient_oracle import settle
from ops_oracle import random_case, with_matrices
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from custom_ops import OpsError, filtered_lrelu, modulate

TOLERANCES = {torch.float64: 1e-12, torch.float32: 1e-6, torch.bfloat16: 1e-2}
SHAPES = [(2, 3, 4, 5), (1, 16, 3, 3), (3, 37, 6, 2), (2, 1, 1, 1), (1, 48, 9, 70)]
PATHS = [("ref", torch.float64), ("ref", torch.float32), ("cpu", torch.float32)]
PATHS += [("ref", torch.bfloat16), ("cpu", torch.bfloat16)]


def _draw(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape))).bfloat16()


@pytest.mark.parametrize("impl, dtype", PATHS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("padding", [0, 1, 3])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_values_and_derivatives(impl, dtype, shape, padding, layout):
    x, scale = _draw(*shape), _draw(*shape[:2])
    wide = [(0, 0), (0, 0), (padding, padding), (padding, padding)]
    factors = scale.double().numpy()[:, :, None, None]
    y = np.pad(x.double().numpy() * factors, wide)
    dy = _draw(*y.shape)
    inner = dy.double().numpy()[:, :, padding:, padding:][:, :, : shape[2], : shape[3]]
    products = inner * x.double().numpy()
    expected = y, inner * factors, products.sum((2, 3))
    leaves = x.to(dtype).contiguous(memory_format=layout), scale.to(dtype)
    leaves = [t.detach().requires_grad_() for t in leaves]
    actual = modulate(*leaves, padding, impl)
    assert actual.dtype == dtype
    found = actual, *torch.autograd.grad(actual, leaves, dy.to(dtype))
    sizes = [np.abs(e).max() for e in expected]
    sizes[2] = np.abs(products).sum((2, 3)).max()  # a sum of pixels can cancel
    for a, e, size in zip(found, expected, sizes, strict=True):
        assert np.abs(a.detach().double().numpy() - e).max() <= TOLERANCES[dtype] * size


def test_derivatives_by_differences():
    x, scale = _draw(2, 3, 2, 3).double(), _draw(2, 3).double()
    leaves = [t.requires_grad_() for t in (x, scale)]
    assert gradcheck(lambda *a: modulate(*a, 1, "ref"), leaves, atol=1e-6)
    assert gradgradcheck(lambda *a: modulate(*a, 1, "ref"), leaves, atol=1e-6)


@pytest.mark.parametrize("padding", [0, 2])
def test_second_and_third_derivatives_of_the_compiled_path(padding):
    def derivatives(impl: str, dtype: torch.dtype) -> list[Tensor]:
        leaves = [_draw(2, 19, 4, 3).to(dtype), _draw(2, 19).to(dtype)]
        leaves = [t.requires_grad_() for t in leaves]
        loss = modulate(*leaves, padding, impl).pow(3).sum()
        found = []
        for _ in range(3):
            grads = torch.autograd.grad(loss, leaves, create_graph=True)
            found += grads
            loss = sum(g.square().sum() for g in grads)
        return [g.detach() for g in found]

    pairs = zip(derivatives("cpu", torch.float32), derivatives("ref", torch.float64), strict=True)
    for a, e in pairs:
        assert (a - e).abs().max() <= 3e-6 * e.abs().max()


@pytest.mark.parametrize("seed", range(20))
def test_scale_of_filtered_lrelu_is_a_factor_on_x(seed):
    def make(seed: int) -> dict[str, Any]:
        case = random_case(seed, channels=(3, 16, 17))
        return with_matrices(case, seed) if seed % 2 else case

    case = settle(make, seed, 2e-6)
    scale = torch.rand(case["x"].shape[:2], dtype=torch.float64) + 0.5
    x, b = (case.pop(name) for name in ("x", "b"))

    def derivatives(impl: str, dtype: torch.dtype) -> list[Tensor]:
        leaves = [(x / scale[:, :, None, None]).to(dtype), b.to(dtype), scale.to(dtype)]
        leaves = [t.detach().requires_grad_() for t in leaves]
        if impl == "by hand":
            signal = leaves[0] * leaves[2][:, :, None, None]
            y = filtered_lrelu(signal, b=leaves[1], **case, impl="ref")
        else:
            y = filtered_lrelu(leaves[0], b=leaves[1], **case, impl=impl, scale=leaves[2])
        grads = torch.autograd.grad(y.square().sum(), leaves, create_graph=True)
        again = torch.autograd.grad(sum(g.square().sum() for g in grads), leaves)
        return [t.detach() for t in (y, *grads, *again)]

    expected = derivatives("by hand", torch.float64)
    for impl, dtype, tolerance in (("ref", torch.float64, 1e-12), ("cpu", torch.float32, 5e-6)):
        for a, e in zip(derivatives(impl, dtype), expected, strict=True):
            assert (a - e).abs().max() <= tolerance * e.abs().max()


def test_inputs_are_not_changed_and_samples_do_not_meet():
    x, scale = _draw(2, 16, 3, 3).float(), _draw(2, 16).float()
    before = x.clone(), scale.clone()
    y = modulate(x, scale, 1, "cpu")
    assert torch.equal(x, before[0]) and torch.equal(scale, before[1])
    x[0] = torch.nan
    assert torch.equal(modulate(x, scale, 1, "cpu")[1], y[1])
    assert modulate(x, scale, 1, "cpu")[0, :, 1:-1, 1:-1].isnan().all()


@pytest.mark.parametrize(
    "kwargs",
    [{"scale": torch.ones(2, 4)}, {"scale": torch.ones(3)}, {"padding": -1}, {"padding": 1.5}],
)
def test_wrong_arguments_have_a_code(kwargs):
    with pytest.raises(OpsError) as caught:
        modulate(**{"x": torch.ones(2, 3, 4, 4), "scale": torch.ones(2, 3), **kwargs})
    assert caught.value.code == "E-OPS-ARG"


def test_scale_of_another_shape_is_refused():
    with pytest.raises(OpsError, match="scale"):
        filtered_lrelu(torch.ones(2, 3, 4, 4), scale=torch.ones(3))


def test_empty_signals_and_float64_go_to_ref():
    assert modulate(torch.ones(0, 3, 4, 4), torch.ones(0, 3), 1).shape == (0, 3, 6, 6)
    x = torch.ones(1, 3, 4, 4, dtype=torch.float64)
    assert modulate(x, torch.ones(1, 3)).dtype == torch.float64
