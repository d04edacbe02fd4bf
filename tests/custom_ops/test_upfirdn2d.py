"""upfirdn2d against scipy, its derivatives, and its errors."""

import random

import numpy as np
import pytest
import torch
from ops_oracle import random_filter, upfirdn2d_oracle

from custom_ops import OpsError, upfirdn2d


def _random_case(seed):
    rng = random.Random(seed)
    up, down = (tuple(rng.choice([1, 2, 3, 4]) for _ in range(2)) for _ in range(2))
    size, taps = (rng.randint(4, 11), rng.randint(4, 11)), (rng.randint(1, 6), rng.randint(1, 6))
    f = random_filter(rng, taps[0])
    if rng.random() < 0.6:
        f = torch.stack([random_filter(rng, taps[0]) for _ in range(taps[1])])
    if f.ndim == 2 and rng.random() < 0.4:
        f = torch.outer(f[:, 0], f[0]).double()  # separable to double precision
    padding = [rng.randint(-2, 6) + 2 for _ in range(4)]
    padding[rng.randrange(4)] = -2
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(2, 3, *size, dtype=torch.float64, generator=generator)
    kwargs = {"up": up, "down": down, "padding": padding, "flip_filter": rng.random() < 0.5}
    return x, f, {**kwargs, "gain": rng.choice([1, 2.5])}


def _has_output(case):
    x, f, kwargs = case
    ends = kwargs["padding"]
    spans = [
        x.shape[3 - i] * kwargs["up"][i]
        + ends[2 * i]
        + ends[2 * i + 1]
        - f.shape[-1 if i == 0 else 0]
        for i in (0, 1)
    ]
    return min(spans) >= 0


CASES = [case for case in map(_random_case, range(60)) if _has_output(case)]


@pytest.mark.parametrize("x, f, kwargs", CASES)
def test_agrees_with_scipy(x, f, kwargs):
    expected = upfirdn2d_oracle(x.numpy(), f.double().numpy(), **kwargs)
    actual = upfirdn2d(
        x, f, **{k: list(v) if k in ("up", "down") else v for k, v in kwargs.items()}
    )
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def _assert_rounded_once(actual, expected, relative):
    """Every value is right to `relative` (half a unit in the last place of bfloat16: 2^-8)."""
    bound = relative * expected.abs() + 1e-6 * expected.abs().max()
    assert ((actual - expected).abs() <= bound).all()


@pytest.mark.parametrize("dtype, relative", [(torch.float32, 0), (torch.bfloat16, 2**-8)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_low_precision_is_close_and_keeps_the_layout(dtype, relative, layout):
    blur = torch.outer(torch.tensor([1.0, 3, 3, 1]), torch.tensor([1.0, 3, 3, 1])) / 64
    for f, up, down in ((blur, 1, 2), (blur, 2, 1), (blur + torch.eye(4) / 99, 1, 2), (None, 2, 1)):
        x = torch.randn(2, 20, 10, 12).to(dtype).contiguous(memory_format=layout).requires_grad_()
        y = upfirdn2d(x, f, up, down, padding=[3, 1, 2, -1])
        wide = x.detach().double().requires_grad_()
        expected = upfirdn2d(wide, f, up, down, padding=[3, 1, 2, -1])
        assert y.dtype == dtype and y.is_contiguous(memory_format=layout)
        _assert_rounded_once(y, expected, relative)
        probe = torch.randn_like(expected).to(dtype)
        (dx,) = torch.autograd.grad(y, x, probe)
        (expected_dx,) = torch.autograd.grad(expected, wide, probe.double())
        _assert_rounded_once(dx, expected_dx, relative)


@pytest.mark.parametrize("x, f, kwargs", CASES[:25])
def test_backward_is_the_adjoint(x, f, kwargs):
    x = x.clone().requires_grad_()
    y = upfirdn2d(x, f, **kwargs)
    probe = torch.randn_like(y)
    (dx,) = torch.autograd.grad(y, x, probe)
    v = torch.randn_like(x)
    forward = (upfirdn2d(v, f, **kwargs) * probe).sum()
    assert abs((dx * v).sum() - forward) <= 1e-10 * (dx * v).abs().sum()


@pytest.mark.parametrize("impl", ["ref", "cpu"])
def test_what_is_cropped_whole_leaves_the_padding(impl):
    x = torch.randn(1, 3, 4, 2, requires_grad=True)
    y = upfirdn2d(x, torch.ones(2), padding=[6, -3, 3, -3], impl=impl)
    assert y.shape == (1, 3, 3, 4) and not y.any()
    assert not torch.autograd.grad(y.sum(), x)[0].any()


def test_a_gradient_penalty_like_r1_goes_through():
    f = torch.outer(torch.tensor([1.0, 3, 3, 1]), torch.tensor([1.0, 3, 3, 1])) / 64
    x = torch.randn(2, 3, 6, 6, requires_grad=True)
    y = torch.nn.functional.leaky_relu(upfirdn2d(x, f, down=2, padding=2), 0.2).square().sum()
    (g,) = torch.autograd.grad(y, x, create_graph=True)
    (gg,) = torch.autograd.grad(g.square().sum(), x)
    wide = x.detach().double().requires_grad_()
    z = torch.nn.functional.leaky_relu(upfirdn2d(wide, f, down=2, padding=2), 0.2).square().sum()
    (h,) = torch.autograd.grad(z, wide, create_graph=True)
    (hh,) = torch.autograd.grad(h.square().sum(), wide)
    assert (gg - hh).abs().max() <= 1e-5 * hh.abs().max()


def test_vmap_equals_a_loop():
    x, f = torch.randn(4, 2, 3, 8, 8), torch.rand(4)
    together = torch.func.vmap(lambda x: upfirdn2d(x, f, 2, padding=2))(x)
    assert torch.equal(together, torch.stack([upfirdn2d(v, f, 2, padding=2) for v in x]))


def test_nan_stays_in_its_sample_and_the_input_is_not_changed():
    x = torch.randn(3, 4, 9, 9)
    x[1, 2, 4, 4] = torch.nan
    before = x.clone()
    y = upfirdn2d(x, torch.rand(4), 2, padding=3)
    assert y[1].isnan().any() and y[[0, 2]].isfinite().all()
    assert torch.equal(x.nan_to_num(7), before.nan_to_num(7))


@pytest.mark.parametrize(
    "kwargs, code",
    [
        ({"x": torch.zeros(3, 8, 8)}, "E-OPS-ARG"),
        ({"x": torch.zeros(1, 3, 8, 8, dtype=torch.int32)}, "E-OPS-ARG"),
        ({"f": torch.ones(2, 2, 2)}, "E-OPS-ARG"),
        ({"f": torch.ones(4, requires_grad=True)}, "E-OPS-ARG"),
        ({"f": torch.ones(30)}, "E-OPS-ARG"),
        ({"up": 0}, "E-OPS-ARG"),
        ({"down": [2, 2, 2]}, "E-OPS-ARG"),
        ({"padding": [1, 2]}, "E-OPS-ARG"),
        ({"impl": "cuda"}, "E-OPS-IMPL"),
        ({"impl": "cpu", "x": torch.zeros(1, 3, 8, 8).double()}, "E-OPS-IMPL"),
        ({"impl": "cpu", "up": 9}, "E-OPS-IMPL"),
        ({"impl": "fast"}, "E-OPS-IMPL"),
    ],
)
def test_wrong_arguments_have_a_code(kwargs, code):
    with pytest.raises(OpsError) as caught:
        upfirdn2d(**{"x": torch.zeros(1, 3, 8, 8), "f": torch.ones(4), **kwargs})
    assert caught.value.code == code and str(caught.value).startswith("upfirdn2d: ")
