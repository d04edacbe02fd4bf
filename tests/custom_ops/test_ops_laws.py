"""Laws of the three operations on random calls: the same for `ref` and for the compiled paths."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from gradient_oracle import RECTIFIERS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ops_oracle import random_activation, random_case, random_resampling, with_matrices
from torch import Tensor
from torch.nn import functional as F

from custom_ops import bias_act, filtered_lrelu, upfirdn2d

SEEDS = st.integers(0, 10**9)
CHANNELS = (1, 3, 16, 17)
TIGHT = {"ref": (torch.float64, 1e-10), "cpu": (torch.float32, 1e-5)}
BOTH = pytest.mark.parametrize("impl", ["ref", "cpu"])


def _examples(count: int) -> Callable[[Any], Any]:
    suppress = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
    return settings(
        max_examples=count, deadline=None, derandomize=True, database=None,
        suppress_health_check=suppress,
    )  # fmt: skip


def _assert_same(actual: Tensor, expected: Tensor, tolerance: float) -> None:
    assert actual.shape == expected.shape
    if expected.numel():
        assert (actual - expected).abs().max() <= tolerance * expected.abs().max().clamp_min(1e-6)


def _assert_equal_inner(a: tuple[Tensor, ...], b: tuple[Tensor, ...], tolerance: float) -> None:
    """`sum(a[0] a[1]) + sum(a[2] a[3]) ... = the same of b`, relative to the sum of magnitudes."""
    sides = [[t.detach().double() for t in side] for side in (a, b)]
    products = [[u * v for u, v in zip(s[::2], s[1::2], strict=True)] for s in sides]
    left, right = (sum(p.sum().item() for p in side) for side in products)
    size = max(sum(p.abs().sum().item() for p in side) for side in products)
    assert abs(left - right) <= tolerance * max(size, 1e-6)


def _check_samples(op: Callable[[Tensor], Tensor], x: Tensor, tolerance: float = 0) -> None:
    """What holds for every operation: samples do not meet, inputs stay, nothing is random.

    torch's tanh and exp differ in the last bit between the body and the tail of a vector loop, so
    for them an answer depends on its place to within `tolerance`.
    """
    before = x.clone()
    y = op(x)
    assert torch.equal(x, before) and torch.equal(op(x), y)
    batch = torch.cat([x[:1] * 2, x[:1], x[:1] * 0])
    together = op(batch)
    order = [2, 0, 1]
    _assert_same(op(batch[order]), together[order], tolerance)
    assert op(x[:0]).shape == (0, *y.shape[1:])
    batch[1] = torch.nan
    _assert_same(op(batch)[[0, 2]], together[[0, 2]], tolerance)


def _check_upfirdn2d(seed: int, impl: str) -> None:
    dtype, tolerance = TIGHT[impl]
    case = random_resampling(seed, CHANNELS)
    x = case.pop("x").to(dtype)
    op = lambda x: upfirdn2d(x, impl=impl if x.numel() else "ref", **case)  # noqa: E731
    _check_samples(op, x)
    leaf = x.clone().requires_grad_()
    y = op(leaf)
    pad, up, down = case["padding"], case["up"], case["down"]
    spans = [x.shape[3] * up[0] + pad[0] + pad[1], x.shape[2] * up[1] + pad[2] + pad[3]]
    size = [(spans[i] - case["f"].shape[-1 - i % case["f"].ndim]) // down[i] + 1 for i in (1, 0)]
    assert y.shape == (*x.shape[:2], *size)
    v, u = x.flip(3).roll(1, 2), torch.linspace(-1, 2, y.numel(), dtype=dtype).view(y.shape).cos()
    _assert_same(op(2 * x - 3 * v), 2 * y - 3 * op(v), tolerance)
    (back,) = torch.autograd.grad(y, leaf, u)
    _assert_equal_inner((op(v), u), (v, back), tolerance)
    channels = torch.arange(x.shape[1]).flip(0)
    assert torch.equal(op(x[:, channels]), y[:, channels])
    # `down` zeros in front move the signal by `down` samples and the result by `up`
    _assert_same(op(F.pad(x, [down[0], 0, down[1], 0]))[:, :, up[1] :, up[0] :], y, tolerance)
    _check_arguments(x, y.detach(), impl, case)


def _check_arguments(x: Tensor, y: Tensor, impl: str, case: dict[str, Any]) -> None:
    """What follows for upfirdn2d from another way to give the same arguments."""
    tolerance, f, up = TIGHT[impl][1], case["f"], case["up"]
    op = lambda x=x, **k: upfirdn2d(x, impl=impl, **{**case, **k})  # noqa: E731
    flipped = op(f=f.flip(list(range(f.ndim))), flip_filter=not case["flip_filter"])
    _assert_same(flipped, y, tolerance)
    _assert_same(op(f=_matrix(f)), y, tolerance)
    _assert_same(op(gain=-2 * case["gain"]), -2 * y, tolerance)
    ends = [p - 2 * up[i // 2] for i, p in enumerate(case["padding"])]  # these crop two samples
    _assert_same(op(F.pad(x, [2] * 4), padding=ends), y, tolerance)
    lead, taps = int(x.shape[2] % 3), int(x.shape[2] % 3 + x.shape[3] % 3 + 1)
    delta = torch.eye(taps)[lead]
    pad = [lead, taps - 1 - lead] if case["flip_filter"] else [taps - 1 - lead, lead]
    alone = {"f": delta, "padding": pad * 2, "gain": 1.0}
    assert torch.equal(op(op(**alone, down=1), **alone, up=1, down=up), x)


def _check_filtered_lrelu(seed: int, impl: str) -> None:
    dtype, tolerance = TIGHT[impl]
    case = with_matrices(random_case(seed, CHANNELS), seed) if seed % 2 else random_case(seed)
    x, b = case.pop("x")[:, :, :9, :9].to(dtype), case.pop("b").to(dtype)
    case["padding"] = [max(p, 0) + 12 if i % 2 else p for i, p in enumerate(case["padding"])]
    op = lambda x, b=b, **k: filtered_lrelu(  # noqa: E731
        x, b=b, impl=impl if x.numel() else "ref", **{**case, **k}
    )
    try:
        y = op(x)
    except ValueError:
        return  # a crop larger than the signal
    assert y.shape == (*x.shape[:2], *_filtered_size(x, **case))
    _check_samples(op, x)
    channels = torch.arange(x.shape[1]).flip(0)
    _assert_same(op(x[:, channels], b=b[channels]), y[:, channels], 0)
    leaves = x.clone().requires_grad_(), b.clone().requires_grad_()
    free = op(leaves[0], b=leaves[1], clamp=None)
    _assert_same(op(3 * x, b=3 * b, clamp=None), 3 * free.detach(), tolerance)
    u = torch.linspace(-1, 2, y.numel(), dtype=dtype).view(y.shape).cos()
    dx, db = torch.autograd.grad(free, leaves, u)
    # Euler: a function of degree one is its derivative along its argument
    _assert_equal_inner((free.detach(), u), (x, dx, b, db), tolerance)
    up, down = case["up"], case["down"]
    bare = op(x, b=None)
    _assert_same(op(F.pad(x, [down, 0, down, 0]), b=None)[:, :, up:, up:], bare, tolerance)
    cropped = [p - 2 * up for p in case["padding"]]
    _assert_same(op(F.pad(x, [2] * 4), b=None, padding=cropped), bare, tolerance)
    linear = {"b": None, "clamp": None, "slope": 1.0}
    v = x.flip(3).roll(1, 2)
    expected = 2 * op(x, **linear) - 3 * op(v, **linear)
    _assert_same(op(2 * x - 3 * v, **linear), expected, tolerance)
    matrices = {name: _matrix(case[name]) for name in ("fu", "fd")}
    _assert_same(op(x, **matrices), y, tolerance)


def _matrix(f: Tensor | None) -> Tensor | None:
    return f if f is None or f.ndim == 2 else torch.outer(f.double(), f.double())


def _filtered_size(x: Tensor, fu: Any, fd: Any, up: int, down: int, **case: Any) -> list[int]:
    """[H, W] of the result."""
    size = []
    for axis, ends in ((0, case["padding"][2:]), (1, case["padding"][:2])):
        taps_up, taps_down = (1 if f is None else f.shape[axis % f.ndim] for f in (fu, fd))
        size.append((x.shape[2 + axis] * up + sum(ends) - taps_up + 1 - taps_down) // down + 1)
    return size


def _check_bias_act(seed: int, impl: str) -> None:
    dtype, tolerance = TIGHT[impl]
    case = random_activation(seed)
    x, b, dim, clamp = case.pop("x").to(dtype), case.pop("b").to(dtype), case["dim"], case["clamp"]
    op = lambda x, b=b, **k: bias_act(  # noqa: E731
        x, b, impl=impl if x.numel() else "ref", **{**case, **k}
    )
    leaves = x.clone().requires_grad_(), b.clone().requires_grad_()
    y = op(*leaves)
    is_rectifier = case["act"] in RECTIFIERS
    if dim % x.ndim > 0:
        _check_samples(op, x, 0 if is_rectifier else tolerance)
    assert y.shape == x.shape
    moved = x + b.view([-1 if i == dim % x.ndim else 1 for i in range(x.ndim)])
    _assert_same(op(moved, b=None), y, tolerance)  # a bias is a shift
    if clamp is not None:
        bound = torch.tensor(clamp, dtype=dtype)
        assert torch.equal(op(x, clamp=None).clamp(-bound, bound), y)
    gain = op(x, clamp=None, gain=1.0)
    _assert_same(op(x, clamp=None, gain=-2.0), -2 * gain, tolerance)
    order = torch.arange(b.numel()).flip(0)
    _assert_same(op(x.index_select(dim, order), b=b[order]), y.index_select(dim, order), tolerance)
    u = torch.linspace(-1, 2, y.numel(), dtype=dtype).view(y.shape).cos()
    dx, db = torch.autograd.grad(y, leaves, u)
    summed = dx.sum([i for i in range(x.ndim) if i != dim % x.ndim]) if x.ndim > 1 else dx
    assert (summed - db).abs().max() <= tolerance * dx.abs().sum().clamp_min(1e-6)
    if is_rectifier and clamp is None:
        _assert_same(op(3 * x, b=3 * b), 3 * y, tolerance)
        _assert_equal_inner((y, u), (x, dx, b, db), tolerance)  # Euler, as above
    if case["act"] == "linear" and clamp is None:
        _assert_same(
            op(x - 3 * x.flip(0), b=None), op(x, b=None) - 3 * op(x, b=None).flip(0), tolerance
        )


@BOTH
@_examples(40)
@given(seed=SEEDS)
def test_upfirdn2d(seed, impl):
    _check_upfirdn2d(seed, impl)


@BOTH
@_examples(25)
@given(seed=SEEDS)
def test_filtered_lrelu(seed, impl):
    _check_filtered_lrelu(seed, impl)


@BOTH
@_examples(100)
@given(seed=SEEDS)
def test_bias_act(seed, impl):
    _check_bias_act(seed, impl)


@pytest.mark.slow
@BOTH
@_examples(1000)
@given(seed=SEEDS)
def test_upfirdn2d_on_many_calls(seed, impl):
    _check_upfirdn2d(seed, impl)


@pytest.mark.slow
@BOTH
@_examples(1000)
@given(seed=SEEDS)
def test_filtered_lrelu_on_many_calls(seed, impl):
    _check_filtered_lrelu(seed, impl)


@pytest.mark.slow
@BOTH
@_examples(2000)
@given(seed=SEEDS)
def test_bias_act_on_many_calls(seed, impl):
    _check_bias_act(seed, impl)
