"""Errors of the three operations and of their gradients, against numpy and scipy in float64."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from gradient_oracle import (
    RECTIFIERS,
    arrays,
    bias_act_oracle,
    filtered_lrelu_gradient_oracle,
    settle,
    upfirdn2d_gradient_oracle,
)
from ops_oracle import (
    filtered_lrelu_oracle,
    random_activation,
    random_case,
    random_resampling,
    upfirdn2d_oracle,
    with_matrices,
)
from torch import Tensor

from custom_ops import bias_act, filtered_lrelu, upfirdn2d

TOLERANCES = {torch.float64: 1e-12, torch.float32: 1e-6, torch.bfloat16: 1e-2}
CHANNELS = (1, 3, 15, 16, 17, 33)
FILTERS = [("ref", torch.float64), ("ref", torch.float32), ("cpu", torch.float32)]
SIXTEEN_BIT = [("ref", torch.bfloat16), ("cpu", torch.bfloat16)]
Path = tuple[str, torch.dtype]


def _seeds(quick: int, slow: int) -> list[Any]:
    return [*range(quick), *(pytest.param(s, marks=pytest.mark.slow) for s in range(quick, slow))]


def _paths(seed: int) -> list[Path]:
    return FILTERS if seed % 2 else [*FILTERS, *SIXTEEN_BIT]


def _prepare(case: dict[str, Any], seed: int, *names: str) -> dict[str, Any]:
    """Values that every type holds: bfloat16's for even seeds, float32's for odd ones."""
    narrow = torch.float32 if seed % 2 else torch.bfloat16
    return {**case, **{n: case[n].to(narrow).double() for n in names}}


def _probe(y: np.ndarray, seed: int) -> Tensor:
    draw = torch.randn(y.shape, generator=torch.Generator().manual_seed(seed))
    return draw.bfloat16().double()


def _run(
    op: Callable[..., Tensor], case: dict[str, Any], dy: Tensor, *names: str
) -> tuple[Tensor, ...]:
    leaves = {n: case[n].detach().clone().requires_grad_() for n in names}
    y = op(**{**case, **leaves})
    return y, *torch.autograd.grad(y, list(leaves.values()), dy.to(y.dtype))


def _assert_close(actual: Tensor, expected: np.ndarray, path: Path, terms: float = 0) -> None:
    """Relative to the largest value, or to `terms` where these are larger and cancel."""
    assert actual.shape == expected.shape
    size = max(np.abs(expected).max(initial=0), terms, 1e-30)
    error = np.abs(actual.detach().double().numpy() - expected).max(initial=0) / size
    assert error <= TOLERANCES[path[1]], path


@pytest.mark.parametrize("seed", _seeds(20, 400))
def test_upfirdn2d(seed):
    case = _prepare(random_resampling(seed, CHANNELS), seed, "x")
    rest = arrays(case)
    y, x = upfirdn2d_oracle(**rest), rest.pop("x")
    dy = _probe(y, seed)
    dx = upfirdn2d_gradient_oracle(dy.numpy(), x.shape[2:], **rest)
    layout = [torch.contiguous_format, torch.channels_last][seed // 2 % 2]
    for impl, dtype in _paths(seed):
        case["x"] = torch.from_numpy(x).to(dtype).contiguous(memory_format=layout)
        actual = _run(upfirdn2d, {**case, "impl": impl}, dy, "x")
        assert actual[0].dtype == dtype and actual[0].is_contiguous(memory_format=layout)
        for a, e in zip(actual, (y, dx), strict=True):
            _assert_close(a, e, (impl, dtype))


@pytest.mark.parametrize("seed", _seeds(20, 600))
def test_filtered_lrelu(seed):
    def make(seed: int) -> dict[str, Any]:
        case = random_case(seed, CHANNELS)
        return _prepare(case if seed % 3 else with_matrices(case, seed), seed, "x", "b")

    case = settle(make, seed, 2e-6)
    y = filtered_lrelu_oracle(**arrays(case))
    dy = _probe(y, seed)
    expected, terms = filtered_lrelu_gradient_oracle(dy=dy.numpy(), **arrays(case))
    x, b = case["x"], case["b"]
    layout = [torch.contiguous_format, torch.channels_last][seed // 2 % 2]
    for path in _paths(seed):
        impl, dtype = path
        case["x"] = x.to(dtype).contiguous(memory_format=layout)
        case["b"] = b if dtype == torch.float64 else b.float()
        actual = _run(filtered_lrelu, {**case, "impl": impl}, dy, "x", "b")
        assert actual[0].dtype == actual[1].dtype == dtype and actual[2].dtype == case["b"].dtype
        _assert_close(actual[0], y, path)
        assert torch.equal(actual[0], filtered_lrelu(**case, impl=impl))  # which saves no mask
        _assert_close(actual[1], expected, path, terms / 32)
        magnitudes = np.abs(expected).sum((0, 2, 3)).max()  # a sum of pixels can cancel
        _assert_close(actual[2], expected.sum((0, 2, 3)), path, magnitudes)


@pytest.mark.parametrize("seed", _seeds(40, 600))
def test_bias_act(seed):
    case = _prepare(random_activation(seed), seed, "x", "b")
    y, slope, distance = bias_act_oracle(**arrays(case))
    x, b, dy = case["x"], case["b"], _probe(y, seed)
    dy[torch.from_numpy(distance) < 0.02] = 0  # bfloat16 may see these beyond the kink
    dx = dy.numpy() * slope
    reach = terms = 0
    if case["act"] not in RECTIFIERS:
        # x + b is rounded, which exp makes a relative error as large as x + b
        plain = {**case, "act": "linear", "gain": 1, "clamp": None}
        reach = np.abs(bias_act_oracle(**arrays(plain))[0] * slope).max()
        # the slope is a difference of numbers as large as one
        terms = np.abs(dy.numpy()).max() * abs(case["gain"] or 1) / 8
    others = tuple(i for i in range(x.ndim) if i != case["dim"] % x.ndim)
    for path in _paths(seed):
        impl, dtype = path
        case["x"], case["b"] = x.to(dtype), b if dtype == torch.float64 else b.float()
        actual = _run(bias_act, {**case, "impl": impl}, dy, "x", "b")
        _assert_close(actual[0], y, path, reach)
        _assert_close(actual[1], dx, path, terms)
        _assert_close(actual[2], dx.sum(others), path, terms + np.abs(dx).sum(others).max())
