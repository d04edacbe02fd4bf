"""bias_act: types, NaN and errors; values are in test_ops_accuracy.py."""

import pytest
import torch

from custom_ops import OpsError, bias_act


def test_type_of_the_signal_wins_and_the_input_is_not_changed():
    x = torch.randn(2, 3, 4, 4, dtype=torch.bfloat16)
    before = x.clone()
    assert bias_act(x, torch.ones(3), act="relu", clamp=1).dtype == torch.bfloat16
    assert torch.equal(x, before)


@pytest.mark.parametrize("impl", ["ref", "cpu"])
@pytest.mark.parametrize("act", ["tanh", "sigmoid", "softplus", "swish"])
def test_small_results_are_right_too(act, impl):
    """Each value to 1e-6 of itself: that of the largest says nothing about the smallest."""
    x = torch.logspace(-9, 0.5, 4000, dtype=torch.float64).float()
    x = torch.stack([x, -x])
    expected = bias_act(x.double(), act=act, impl="ref")
    assert ((bias_act(x, act=act, impl=impl) - expected).abs() <= 1e-6 * expected.abs()).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sixteen_bit_signals_are_rounded_once(dtype):
    x, b = torch.randn(4, 9).to(dtype), torch.linspace(-1, 1, 9)
    y = bias_act(x, b, act="swish")
    assert torch.equal(y, bias_act(x.float(), b, act="swish").to(dtype))


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
