"""Derivatives: `ref` against differences in float64, the compiled paths against `ref`."""

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from gradient_oracle import arrays, bias_act_oracle, settle
from ops_oracle import (
    random_activation,
    random_case,
    random_filter,
    random_matrix,
    random_resampling,
    with_matrices,
)
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from custom_ops import bias_act, filtered_lrelu, upfirdn2d

Layout = Callable[[Tensor], Tensor]
LAYOUTS: list[Layout] = [
    lambda x: x,
    lambda x: x.contiguous(memory_format=torch.channels_last),
    lambda x: x.mT.contiguous().mT,
    lambda x: x[:, :1].expand_as(x),
    lambda x: x[:1, :, :, :1].expand_as(x),
    lambda x: torch.stack([x, -x], -1)[..., 0],
]


def _seeds(quick: int) -> list[Any]:
    many = (pytest.param(s, marks=pytest.mark.slow) for s in range(quick, 200))
    return [*range(quick), *many]


def _check(function: Callable[..., Tensor], *leaves: Tensor, forward: bool = False) -> None:
    leaves = tuple(t.detach().contiguous().requires_grad_() for t in leaves)
    options = {"eps": 1e-6, "atol": 1e-6, "rtol": 1e-5, "nondet_tol": 0}
    assert gradcheck(function, leaves, check_forward_ad=forward, **options)
    # the square gives the second derivative of a linear map something to be wrong about
    assert gradgradcheck(lambda *a: function(*a) ** 2, leaves, **options)


@pytest.mark.parametrize("seed", _seeds(12))
def test_upfirdn2d_by_differences(seed):
    case, layout = random_resampling(seed, (1, 2), (1, 4)), LAYOUTS[seed % 6]
    x = case.pop("x")
    _check(lambda x: upfirdn2d(layout(x), impl="ref", **case), x, forward=seed % 3 == 0)


def _small(seed: int) -> dict[str, Any]:
    """A call of filtered_lrelu with a picture of a few pixels, some axes of size one."""
    rng = random.Random(seed)
    up, down, clamp = rng.choice([1, 2, 3]), rng.choice([1, 2, 3]), rng.choice([None, 0.3, 256.0])
    while True:
        taps = [rng.choice([1, 2, 3, 5]) for _ in range(4)]
        shape = [rng.choice([1, 2]), rng.choice([1, 2]), rng.randint(1, 4), rng.randint(1, 4)]
        padding = [rng.randint(-1, taps[1] + 2) for _ in range(4)]
        spans = [shape[3 - i] * up + padding[2 * i] + padding[2 * i + 1] - taps[i] for i in (0, 1)]
        if spans[0] + 1 >= taps[2] and spans[1] + 1 >= taps[3] and max(spans) < 12:
            break
    filters = []
    for width, height in (taps[:2], taps[2:]):
        kinds = [random_matrix(rng, height, width)]
        kinds += [random_filter(rng, width)] * (width == height) + [None] * (width * height == 1)
        filters.append(rng.choice(kinds))
    draw = {"generator": torch.Generator().manual_seed(seed), "dtype": torch.float64}
    return {
        "x": torch.randn(shape, **draw),
        "b": rng.choice([None, *[torch.randn(shape[1], **draw)] * 3]),
        "fu": filters[0],
        "fd": filters[1],
        **{"up": up, "down": down, "padding": padding, "clamp": clamp},
        "gain": rng.choice([2**0.5, -1.3]),
        "slope": rng.choice([0.2, 0.0, -0.3]),
        "flip_filter": rng.random() < 0.5,
    }


@pytest.mark.parametrize("seed", _seeds(12))
def test_filtered_lrelu_by_differences(seed):
    layout = LAYOUTS[seed % 6]

    def make(seed: int) -> dict[str, Any]:
        case = _small(seed)
        return {**case, "x": layout(case["x"])}

    case = settle(make, seed, 1e-3)
    leaves = [t for t in (case.pop("x"), case.pop("b")) if t is not None]

    def function(x: Tensor, b: Tensor | None = None) -> Tensor:
        return filtered_lrelu(layout(x), b=b, impl="ref", **case)

    _check(function, *leaves)


@pytest.mark.parametrize("seed", _seeds(20))
def test_bias_act_by_differences(seed):
    case = random_activation(seed)
    x, b = case["x"][(slice(3),) * case["x"].ndim], case["b"][:3]
    layout = LAYOUTS[seed % 6 if x.ndim == 4 else 0]
    x = layout(x).contiguous()
    near = bias_act_oracle(**arrays({**case, "x": x, "b": b}))[2] < 1e-3
    x[torch.from_numpy(near)] += 0.01
    assert bias_act_oracle(**arrays({**case, "x": layout(x), "b": b}))[2].min() >= 1e-3
    rest = {k: v for k, v in case.items() if k not in ("x", "b")}
    _check(lambda x, b: bias_act(layout(x), b, impl="ref", **rest), x, b)
    _check(lambda x: bias_act(layout(x), impl="ref", **rest), x + b.sum())


def _derivatives(op: Callable[..., Tensor], case: dict[str, Any], impl: str) -> list[Tensor]:
    """First, second and third derivatives to x and b of what has all of them."""
    leaves = {n: case[n].detach().clone().requires_grad_() for n in ("x", "b") if n in case}
    inputs = list(leaves.values())
    y = op(**{**case, **leaves, "x": leaves["x"].square(), "impl": impl})
    first = torch.autograd.grad(y.pow(3).sum(), inputs, create_graph=True)
    loss = sum(g.square().sum() for g in first)
    second = torch.autograd.grad(loss, inputs, create_graph=True)
    third = torch.autograd.grad(second[0].square().mean(), inputs)
    return [t.detach() for t in (*first, *second, *third)]


def _agree(
    op: Callable[..., Tensor], case: dict[str, Any], impl: str, tolerance: float = 5e-6
) -> None:
    wide = {k: v.double() if k in ("x", "b") else v for k, v in case.items()}
    for a, e in zip(_derivatives(op, case, impl), _derivatives(op, wide, "ref"), strict=True):
        assert (a - e).abs().max() <= tolerance * e.abs().max().clamp_min(1e-30)


@pytest.mark.parametrize("seed", _seeds(8))
def test_upfirdn2d_compiled(seed):
    case = random_resampling(seed)
    layout = LAYOUTS[seed % 6]
    _agree(lambda x, **k: upfirdn2d(layout(x), **k), {**case, "x": case["x"].float()}, "cpu")


@pytest.mark.parametrize("seed", _seeds(8))
def test_filtered_lrelu_compiled(seed):
    layout = LAYOUTS[seed % 6]

    def make(seed: int) -> dict[str, Any]:
        case = random_case(seed, channels=(3, 17))
        case = case if seed % 3 else with_matrices(case, seed)
        return {**case, "x": layout(case["x"]).float().double(), "b": case["b"].float().double()}

    case = settle(lambda s: {**(c := make(s)), "x": c["x"].square()}, seed, 5e-6)
    case = {**case, "x": case["x"].sqrt().float(), "b": case["b"].float()}
    _agree(lambda x, **k: filtered_lrelu(layout(x), **k), case, "cpu")


@pytest.mark.parametrize("impl", ["ref", "cpu"])
@pytest.mark.parametrize("seed", _seeds(8))
def test_bias_act_in_float32(seed, impl):
    case = random_activation(seed)
    # near zero: where tanh is flat, its derivatives are differences of equal numbers
    case = {**case, "x": case["x"].float() / 4, "b": case["b"].float() / 4}
    wide = {**case, "x": case["x"].double().square(), "b": case["b"].double()}
    near = bias_act_oracle(**arrays(wide))[2] < 1e-5
    case["x"][torch.from_numpy(near)] += 0.01
    _agree(bias_act, case, impl, 5e-5)
