"""bias_act against numpy."""

import numpy as np
import pytest
import torch

from custom_ops import OpsError, bias_act

DEFINITIONS = {
    "linear": (lambda x: x, 1.0),
    "relu": (lambda x: np.maximum(x, 0), 2**0.5),
    "lrelu": (lambda x: np.where(x > 0, x, 0.2 * x), 2**0.5),
    "tanh": (np.tanh, 1.0),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), 1.0),
    "softplus": (lambda x: np.log1p(np.exp(x)), 1.0),
    "swish": (lambda x: x / (1 + np.exp(-x)), 2**0.5),
}


def _signal(shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("act", DEFINITIONS)
@pytest.mark.parametrize("dim, clamp", [(1, None), (0, 0.4), (-1, 1.0)])
def test_agrees_with_numpy(act, dim, clamp):
    x = _signal((3, 4, 5))
    b = _signal(x.shape[dim], 1)
    function, gain = DEFINITIONS[act]
    shape = [1, 1, 1]
    shape[dim] = -1
    expected = gain * function(x.numpy() + b.numpy().reshape(shape))
    expected = expected if clamp is None else np.clip(expected, -clamp, clamp)
    np.testing.assert_allclose(bias_act(x, b, dim, act, clamp=clamp), expected, atol=1e-12)


def test_alpha_and_gain_replace_the_defaults():
    x = _signal((2, 3))
    expected = 3 * np.where(x > 0, x, -0.5 * x.numpy())
    np.testing.assert_allclose(bias_act(x, act="lrelu", alpha=-0.5, gain=3), expected, atol=1e-12)


@pytest.mark.parametrize("act", DEFINITIONS)
def test_derivatives_of_first_and_second_order(act):
    x, b = _signal((3, 4)).requires_grad_(), _signal(4, 1).requires_grad_()
    torch.autograd.gradcheck(lambda x, b: bias_act(x, b, act=act, clamp=0.9), (x, b))
    torch.autograd.gradgradcheck(lambda x, b: bias_act(x, b, act=act, clamp=0.9) ** 2, (x, b))


def test_type_of_the_signal_wins_and_the_input_is_not_changed():
    x = torch.randn(2, 3, 4, 4, dtype=torch.bfloat16)
    before = x.clone()
    assert bias_act(x, torch.ones(3), act="relu", clamp=1).dtype == torch.bfloat16
    assert torch.equal(x, before)


def test_nan_survives_the_clamp():
    x = torch.tensor([[torch.nan, 1.0]])
    assert bias_act(x, act="lrelu", clamp=0.5).isnan().tolist() == [[True, False]]


@pytest.mark.parametrize(
    "kwargs, code",
    [
        ({"act": "gelu"}, "E-OPS-ARG"),
        ({"b": torch.ones(4)}, "E-OPS-ARG"),
        ({"b": torch.ones(3), "dim": 7}, "E-OPS-ARG"),
        ({"clamp": -1.0}, "E-OPS-ARG"),
        ({"x": torch.ones(2, 3, dtype=torch.int64)}, "E-OPS-ARG"),
        ({"impl": "cuda"}, "E-OPS-IMPL"),
    ],
)
def test_wrong_arguments_have_a_code(kwargs, code):
    with pytest.raises(OpsError) as caught:
        bias_act(**{"x": torch.ones(2, 3), **kwargs})
    assert caught.value.code == code
