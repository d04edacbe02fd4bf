"""filtered_lrelu: strides, threads, NaN, errors; values are in test_ops_accuracy.py."""

from typing import Any

import pytest
import torch
from torch import Tensor

from custom_ops import OpsError, filtered_lrelu
from custom_ops.cpu_filtered_lrelu import filtered_lrelu_cpu


def _error(actual: Tensor, expected: Tensor) -> float:
    assert actual.shape == expected.shape
    return float((actual.double() - expected).abs().max() / expected.abs().max().clamp_min(1e-30))


def _run(x: Tensor, b: Tensor, probe: Tensor | None, **kwargs: Any) -> list[Tensor]:
    """Value, and gradients of its inner product with `probe` to x and b."""
    x, b = x.clone().requires_grad_(), b.clone().requires_grad_()
    y = filtered_lrelu(x, b=b, **kwargs)
    probe = torch.ones_like(y) if probe is None else probe.to(y.dtype)
    return [y.detach(), *torch.autograd.grad(y, [x, b], probe)]


def _standard(channels: int = 20, size: int = 13, batch: int = 2) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(size)
    x = torch.randn(batch, channels, size, size + 3, generator=generator)
    b = torch.randn(channels, generator=generator)
    fu, fd = torch.rand(12, generator=generator) / 6, torch.rand(12, generator=generator) / 6
    return {"x": x, "b": b, "fu": fu, "fd": fd, "up": 2, "down": 2, "padding": 9, "clamp": 0.7}


def test_bfloat16_results_are_rounded_to_nearest():
    x = torch.randn(2, 17, 6, 6, generator=torch.Generator().manual_seed(3)).bfloat16()
    b = torch.linspace(-1, 1, 17)
    y = filtered_lrelu(x, b=b, gain=1, slope=1, impl="cpu")
    assert torch.equal(y, (x.float() + b[:, None, None]).bfloat16())


def test_strided_inputs_and_gradients_are_read_right():
    case = _standard()
    x = case.pop("x")
    expected = _run(x, case.pop("b"), None, impl="cpu", **case)
    case["b"] = _standard()["b"]
    wide = torch.zeros(2, 40, 26, 16)
    wide[:, ::2, ::2] = x
    sliced = wide[:, ::2, ::2].requires_grad_()
    case["b"] = torch.stack([case["b"], case["b"] * 0], 1)[:, 0]
    y = filtered_lrelu(sliced, impl="cpu", **case)
    (dx,) = torch.autograd.grad(y.sum(), sliced)  # the gradient of a sum has strides 0
    assert torch.equal(y, expected[0]) and torch.equal(dx, expected[1])


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_number_of_threads_does_not_change_a_bit(threads):
    case = _standard(channels=7, size=40, batch=1)  # one block: rows are split among threads
    before = torch.get_num_threads()
    reference = _run(case.pop("x"), case.pop("b"), None, impl="ref", **case)
    case = _standard(channels=7, size=40, batch=1)
    try:
        torch.set_num_threads(threads)
        actual = _run(case.pop("x"), case.pop("b"), None, impl="cpu", **case)
        torch.set_num_threads(1)
        case = _standard(channels=7, size=40, batch=1)
        single = _run(case.pop("x"), case.pop("b"), None, impl="cpu", **case)
    finally:
        torch.set_num_threads(before)
    for a, s, r in zip(actual[:2], single[:2], reference[:2], strict=True):
        assert torch.equal(a, s) and _error(a, r.double()) <= 2e-6
    assert _error(actual[2], reference[2].double()) <= 1e-5


def test_forward_mode_and_torch_func_are_never_silently_wrong():
    case = _standard(channels=3)
    x = case.pop("x")
    function = lambda x, impl="auto": filtered_lrelu(x, impl=impl, **case)  # noqa: E731
    v = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    step = 1e-6
    wide = {k: t.double() if isinstance(t, Tensor) else t for k, t in case.items()}
    ends = [filtered_lrelu(x.double() + s * v, **wide) for s in (step, -step)]
    expected = (ends[0] - ends[1]) / (2 * step)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, v)
        tangent = torch.autograd.forward_ad.unpack_dual(function(dual)).tangent
        with pytest.raises(OpsError, match="forward-mode"):
            function(dual, impl="cpu")
    assert _error(tangent, expected) <= 1e-4
    assert torch.equal(torch.func.jvp(function, (x,), (v,))[1], tangent)
    leaf = x.clone().requires_grad_()
    (dx,) = torch.autograd.grad(function(leaf, "ref").sum(), leaf)
    assert torch.allclose(torch.func.grad(lambda x: function(x).sum())(x), dx)


def test_nan_stays_in_its_sample_and_comes_out():
    case = _standard()
    case["x"][1, 17, 5, 5] = torch.nan
    for dtype in (torch.float32, torch.bfloat16):
        y = filtered_lrelu(**{**case, "x": case["x"].to(dtype)}, impl="cpu")
        assert y[0].isfinite().all() and y[1, :17].isfinite().all() and y[1, 17].isnan().any()


def test_inputs_are_not_changed():
    case = _standard()
    before = {k: v.clone() for k, v in case.items() if isinstance(v, Tensor)}
    x, b = case.pop("x"), case.pop("b")
    _run(x, b, None, impl="cpu", **case)
    after = {"x": x, "b": b, **case}
    assert all(torch.equal(after[k], v) for k, v in before.items())


@pytest.mark.parametrize("save, taps", [(True, 12), (True, 1), (False, 12)])
def test_whatever_memory_held_before_answer_and_mask_are_the_same(monkeypatch, save, taps):
    empty, case = torch.empty, _standard(channels=7, size=40, batch=1)  # two bands of rows
    case["fd"] = case["fd"][:taps]
    args = [case[name] for name in ("x", "b", "fu", "fd", "up", "down")]
    rest = [9, 8, 9, 8], 1.4, 0.2, 0.7, False, save, None
    results = []
    for value in (0, 85):
        monkeypatch.setattr(torch, "empty", lambda *a, v=value, **k: empty(*a, **k).fill_(v))
        results.append(filtered_lrelu_cpu(*args, *rest))
    assert all(torch.equal(*pair) for pair in zip(*results, strict=True))


def test_frozen_inputs_need_no_gradient():
    case = _standard()
    b = case.pop("b").requires_grad_()
    filtered_lrelu(b=b, impl="cpu", **case).sum().backward()
    expected = case["x"].new_zeros(20, dtype=torch.float64).requires_grad_()
    wide = {k: v.double() if isinstance(v, Tensor) else v for k, v in case.items()}
    filtered_lrelu(b=expected + b.detach(), impl="ref", **wide).sum().backward()
    assert _error(b.grad, expected.grad) <= 1e-6


@pytest.mark.parametrize(
    "kwargs, code",
    [
        ({"b": torch.zeros(2)}, "E-OPS-ARG"),
        ({"up": 0}, "E-OPS-ARG"),
        ({"down": 1.5}, "E-OPS-ARG"),
        ({"clamp": -0.1}, "E-OPS-ARG"),
        ({"padding": -8}, "E-OPS-ARG"),
        ({"fd": torch.ones(12, requires_grad=True)}, "E-OPS-ARG"),
        ({"impl": "cuda"}, "E-OPS-IMPL"),
        ({"impl": "cpu", "x": torch.zeros(1, 20, 9, 9).double()}, "E-OPS-IMPL"),
        ({"impl": "cpu", "up": 9}, "E-OPS-IMPL"),
    ],
)
def test_wrong_arguments_have_a_code(kwargs, code):
    with pytest.raises(OpsError) as caught:
        filtered_lrelu(**{**_standard(), **kwargs})
    assert caught.value.code == code


def test_an_empty_batch_gives_an_empty_batch():
    case = _standard()
    case["x"] = case["x"][:0]
    assert filtered_lrelu(**case).shape == (0, 20, 11, 14)
