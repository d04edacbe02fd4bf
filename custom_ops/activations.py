"""The activations of `bias_act`, which all its paths share."""

from collections.abc import Callable
from math import sqrt
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class Activation(NamedTuple):
    """A function of (x, alpha) and what is used when alpha or gain are not given."""

    function: Callable[[Tensor, float], Tensor]
    alpha: float
    gain: float


# Gains of the rectifiers keep the second moment of a standard normal signal near one.
ACTIVATIONS = {
    "linear": Activation(lambda x, alpha: x, 0.0, 1.0),
    "relu": Activation(lambda x, alpha: F.relu(x), 0.0, sqrt(2)),
    "lrelu": Activation(lambda x, alpha: F.leaky_relu(x, alpha), 0.2, sqrt(2)),
    "tanh": Activation(lambda x, alpha: torch.tanh(x), 0.0, 1.0),
    "sigmoid": Activation(lambda x, alpha: torch.sigmoid(x), 0.0, 1.0),
    "softplus": Activation(lambda x, alpha: F.softplus(x), 0.0, 1.0),
    "swish": Activation(lambda x, alpha: F.silu(x), 0.0, sqrt(2)),
}
PIECEWISE_LINEAR = ("linear", "relu", "lrelu")


def activate(u: Tensor, act: str, alpha: float, gain: float, clamp: float | None) -> Tensor:
    """`clip(gain act(u), -clamp, clamp)` in plain torch."""
    u = ACTIVATIONS[act].function(u, alpha)
    if gain != 1:
        u = u * gain
    # hardtanh is a clamp whose backward is one pass instead of five
    return u if clamp is None else F.hardtanh(u, -clamp, clamp)
