"""Calls of the three operations on the GPU, and how their answers are judged."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from custom_ops import filtered_lrelu

DEVICE = "cuda"
ON_GPU = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device"),
]
# float32 sums in another order than float64: at most 24 + 12 taps per axis
TOLERANCE = {torch.float32: 2e-6, torch.float16: 2e-3, torch.bfloat16: 1e-2}


def error(actual: Tensor, expected: Tensor) -> float:
    """The largest difference, relative to the largest value."""
    assert actual.shape == expected.shape
    difference = (actual.detach().double() - expected.detach()).abs().max()
    return float(difference / expected.detach().abs().max().clamp_min(1e-30))


def on_device(case: dict[str, Any]) -> dict[str, Any]:
    return {k: v.to(DEVICE) if isinstance(v, Tensor) else v for k, v in case.items()}


def random(shape: tuple[int, ...], seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(DEVICE, dtype)


def derivatives(function: Callable[..., Tensor], x: Tensor, b: Tensor, **kwargs: Any) -> Any:
    """Value, and gradients of its inner product with a fixed probe to x and b."""
    x, b = x.detach().clone().requires_grad_(), b.detach().clone().requires_grad_()
    y = function(x, b=b, **kwargs)
    return [y.detach(), *torch.autograd.grad(y, [x, b], random(y.shape, 1, y.dtype))]


def check_filtered_lrelu(case: dict[str, Any], dtype: torch.dtype, impl: str = "cuda") -> None:
    """Compare a call with `ref` in float64."""
    case = on_device(case)
    x, b = case.pop("x").to(dtype), case.pop("b").float()
    expected = derivatives(filtered_lrelu, x.double(), b.double(), impl="ref", **case)
    actual = derivatives(filtered_lrelu, x, b, impl=impl, **case)
    assert actual[0].dtype == actual[1].dtype == dtype
    assert error(actual[0], expected[0]) <= TOLERANCE[dtype]
    assert error(actual[1], expected[1]) <= TOLERANCE[dtype]
    # a sum can cancel: its error counts against the sum of its terms
    terms = expected[1].abs().sum((0, 2, 3)).max()
    assert (actual[2] - expected[2]).abs().max() <= TOLERANCE[dtype] * terms


def layer(
    up: int = 2, radial: bool = False, size: tuple[int, int] = (38, 37), channels: int = 3
) -> dict[str, Any]:
    """Asymmetric filters of StyleGAN3's lengths, uneven padding, an active clamp."""
    return {
        "x": random((2, channels, *size), up + size[0] + 100 * size[1], torch.float64),
        "b": random((channels,), 1, torch.float64),
        "fu": random((6 * up,), 2) / 6,
        "fd": random((12, 12) if radial else (12,), 3) / (20 if radial else 6),
        "up": up,
        "down": 2,
        "padding": [9, 8, 10, 7],
        "clamp": 0.9,
    }
