"""The CUDA kernel of filtered_lrelu, run on the CPU, against scipy and `ref` in float64."""

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from cuda_shim import Shim, built_shim, shim  # noqa: F401
from ops_oracle import filtered_lrelu_oracle, random_case
from torch import Tensor

from custom_ops import cuda_kernels, filtered_lrelu

filtered_lrelu_cuda = partial(filtered_lrelu, impl="cuda")

T_AND_R = [  # up, down, whether fd has two dimensions: the layers of StyleGAN3
    (2, 2, False),
    (4, 2, False),
    (2, 2, True),
    (4, 2, True),
]


def _error(actual: Tensor, expected: Tensor) -> float:
    assert actual.shape == expected.shape
    return float((actual.double() - expected).abs().max() / expected.abs().max().clamp_min(1e-30))


def _layer(up: int, down: int, radial: bool, size: tuple[int, int], **kwargs: Any) -> Any:
    """Asymmetric filters of StyleGAN3's lengths, uneven padding, an active clamp."""
    generator = torch.Generator().manual_seed(up + 10 * down + size[0])
    draw = {"generator": generator, "dtype": torch.float64}
    fu, fd = (torch.randn(6 * factor, **draw) / 6 for factor in (up, down))
    if radial:
        fd = torch.randn(6 * down, 6 * down, **draw) / 20
    x, b = torch.randn(1, 2, *size, **draw), torch.randn(2, **draw)
    case = {"fu": fu.float(), "fd": fd.float(), "up": up, "down": down}
    return x, b, {**case, "padding": [9, 8, 10, 7], "clamp": 0.9, **kwargs}


def _derivatives(function: Any, x: Tensor, b: Tensor, **kwargs: Any) -> list[Tensor]:
    """Value, and gradients of its inner product with a fixed probe to x and b."""
    x, b = x.clone().requires_grad_(), b.clone().requires_grad_()
    y = function(x, b=b, **kwargs)
    probe = torch.randn(y.shape, generator=torch.Generator().manual_seed(1)).to(y.dtype)
    return [y.detach(), *torch.autograd.grad(y, [x, b], probe)]


def _agrees(x: Tensor, b: Tensor, dtype: torch.dtype, tolerance: float, **kwargs: Any) -> None:
    x, b = x.to(dtype), b.float()
    expected = _derivatives(filtered_lrelu, x.double(), b.double(), impl="ref", **kwargs)
    actual = _derivatives(filtered_lrelu_cuda, x, b, **kwargs)
    assert actual[0].dtype == actual[1].dtype == dtype
    assert _error(actual[0], expected[0]) <= tolerance
    assert _error(actual[1], expected[1]) <= tolerance
    # a sum can cancel: its error counts against the sum of its terms
    terms = expected[1].abs().sum((0, 2, 3)).max()
    assert (actual[2] - expected[2]).abs().max() <= tolerance * terms
    with torch.no_grad():
        assert torch.equal(filtered_lrelu_cuda(x, b=b, **kwargs), actual[0])


@pytest.mark.parametrize(
    "seed", [*range(4), *(pytest.param(s, marks=pytest.mark.slow) for s in range(4, 300))]
)
def test_values_agree_with_scipy_and_gradients_with_ref(shim, seed):  # noqa: F811
    case = random_case(seed, channels=(1, 3))
    x, b = case.pop("x"), case.pop("b")
    arrays = {k: v.double().numpy() if isinstance(v, Tensor) else v for k, v in case.items()}
    expected = filtered_lrelu_oracle(x.float().numpy(), b.float().numpy(), **arrays)
    actual = filtered_lrelu_cuda(x.float(), b=b.float(), **case)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-6 * np.abs(expected).max())
    _agrees(x, b, torch.float32, 1e-6, **case)


@pytest.mark.parametrize(
    "up, down, radial",
    [T_AND_R[0], *(pytest.param(*case, marks=pytest.mark.slow) for case in T_AND_R[1:])],
)
def test_every_layer_of_t_and_r_at_every_tile_edge(shim, up, down, radial):  # noqa: F811
    sizes = [(35, 36), (37, 71), (5, 73), (40, 4)] if up == 2 else [(17, 18), (19, 36), (37, 9)]
    for size in sizes:
        x, b, case = _layer(up, down, radial, size)
        _agrees(x, b, torch.float32, 1e-6, **case)
    assert not any("filter_tile<float, 1, 0" in name for _, name in shim.used)  # none is generic
    assert any(f"filter_tile<float, 1, {up}, 6, {down}" in name for _, name in shim.used)


@pytest.mark.parametrize(
    "dtype, tolerance",
    [
        (torch.float16, 2e-3),
        pytest.param(torch.bfloat16, 1e-2, marks=pytest.mark.slow),
    ],
)
def test_sixteen_bit_signals(shim, dtype, tolerance):  # noqa: F811
    x, b, case = _layer(2, 2, False, (37, 20))
    _agrees(x, b, dtype, tolerance, **case)


@pytest.mark.slow
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("shapes", [((5, 3), (4,)), ((7,), (3, 6)), ((4, 4), (5, 2))])
def test_two_dimensional_filters_of_any_shape(shim, shapes, flip):  # noqa: F811
    generator = torch.Generator().manual_seed(5)
    fu, fd = (torch.rand(shape, generator=generator) - 0.3 for shape in shapes)
    x = torch.randn(2, 2, 9, 11, generator=generator)
    for up, down in ((1, 1), (2, 3), (3, 2), (5, 1)):
        case = {"fu": fu, "fd": fd, "up": up, "down": down, "padding": [6, 3, 4, 5]}
        _agrees(x, x[0, :, 0, 0], torch.float32, 1e-6, flip_filter=flip, clamp=0.8, **case)


@pytest.mark.parametrize("up, down, radial", T_AND_R[:1])
def test_the_order_of_threads_does_not_change_a_bit(shim, up, down, radial):  # noqa: F811
    x, b, case = _layer(up, down, radial, (37, 40))
    forwards = _derivatives(filtered_lrelu_cuda, x.float(), b.float(), **case)
    shim.backwards = True
    backwards = _derivatives(filtered_lrelu_cuda, x.float(), b.float(), **case)
    assert all(torch.equal(*pair) for pair in zip(forwards, backwards, strict=True))


@pytest.mark.parametrize(
    "seed", [1, *(pytest.param(s, marks=pytest.mark.slow) for s in range(200, 230))]
)
def test_second_and_third_derivatives_equal_those_of_ref(shim, seed):  # noqa: F811
    case = random_case(seed, channels=(2,))
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
    for a, e in zip(penalty(filtered_lrelu_cuda, x.float(), b.float()), expected, strict=True):
        assert _error(a.detach(), e.detach()) <= 2e-5


def test_strided_inputs_and_gradients_are_read_right(shim):  # noqa: F811
    x, b, case = _layer(2, 2, False, (13, 16))
    expected = _derivatives(filtered_lrelu_cuda, x.float(), b.float(), **case)[0]
    wide = torch.zeros(1, 4, 26, 16)
    wide[:, ::2, ::2] = x.float()
    sliced = wide[:, ::2, ::2].requires_grad_()
    spread = torch.stack([b.float(), b.float() * 0], 1)[:, 0]
    y = filtered_lrelu_cuda(sliced, b=spread, **case)
    assert torch.equal(y, expected)
    last = x.float().contiguous(memory_format=torch.channels_last)
    assert torch.equal(filtered_lrelu_cuda(last, b=b.float(), **case), expected)
    (dx,) = torch.autograd.grad(y.sum(), sliced)  # the gradient of a sum has strides 0
    wide = x.clone().requires_grad_()
    filtered_lrelu(wide, b=b, impl="ref", **case).sum().backward()
    assert _error(dx, wide.grad) <= 1e-6


def test_nan_stays_in_its_plane_and_comes_out(shim):  # noqa: F811
    x, b, case = _layer(2, 2, False, (13, 16))
    x[0, 1, 5, 5] = torch.nan
    y = filtered_lrelu_cuda(x.float().requires_grad_(), b=b.float(), **case)
    assert y[0, 0].isfinite().all() and y[0, 1].isnan().any() and y[0, 1].isfinite().any()


def test_inputs_are_not_changed_and_an_empty_batch_stays_empty(shim):  # noqa: F811
    x, b, case = _layer(2, 2, False, (13, 16))
    x, b = x.float(), b.float()
    before = {k: v.clone() for k, v in {"x": x, "b": b, **case}.items() if isinstance(v, Tensor)}
    _derivatives(filtered_lrelu_cuda, x, b, **case)
    assert all(torch.equal({"x": x, "b": b, **case}[k], v) for k, v in before.items())
    assert filtered_lrelu_cuda(x[:0], b=b, **case).shape == (0, 2, 11, 14)


QUICK = ("test_schema", "test_autograd_registration", "test_faketensor")
ALL = (*QUICK, "test_aot_dispatch_dynamic")


@pytest.mark.parametrize("utils", [QUICK, pytest.param(ALL, marks=pytest.mark.slow)])
@pytest.mark.parametrize("save", [True, False])
def test_torch_library_accepts_the_operators(shim, save, utils):  # noqa: F811
    x, b, case = _layer(2, 2, False, (9, 8))
    x, b, fu, fd = x.float(), b.float(), case["fu"], case["fd"]
    x.requires_grad_(save), b.requires_grad_(save)
    args = (x, b, fu, fd, 2, 2, [9, 8, 9, 8], 1.4, 0.2, 0.7, False, save)
    torch.library.opcheck(cuda_kernels.filtered_lrelu_op, args, test_utils=utils)
    if save:
        y, mask = cuda_kernels.filtered_lrelu_op(*args)
        rest = (mask, fu, fd, 2, 2, [9, 8, 9, 8], [9, 8], 1.4, 0.2, False)
        dy = torch.randn_like(y).detach().requires_grad_()
        for inputs in ((dy, None, *rest, True), (x, b, *rest, False)):
            torch.library.opcheck(cuda_kernels.masked_filter_op, inputs, test_utils=utils)
