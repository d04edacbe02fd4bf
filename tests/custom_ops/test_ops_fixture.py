"""The stored float64 answers of an independent implementation."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from custom_ops import filtered_lrelu, upfirdn2d

PATH = Path(__file__).parents[1] / "fixtures" / "ops.npz"
META = json.loads(str(np.load(PATH, allow_pickle=False)["meta"]))
TOLERANCE = 1e-10


def _case(op: str, index: int) -> tuple[dict[str, Tensor], dict[str, Any]]:
    arrays = np.load(PATH, allow_pickle=False)
    prefix = f"{op}/{index}/"
    tensors = {
        k[len(prefix) :]: torch.from_numpy(arrays[k]) for k in arrays if k.startswith(prefix)
    }
    return tensors, {k: v for k, v in META[op][index].items() if k not in ("index", "shape")}


def _assert_close(actual: Tensor, expected: Tensor) -> None:
    assert actual.shape == expected.shape
    assert (actual - expected).abs().max() <= TOLERANCE * expected.abs().max()


@pytest.mark.parametrize("index", range(len(META["upfirdn2d"])))
def test_upfirdn2d_reproduces_the_stored_values_and_gradients(index: int) -> None:
    tensors, kwargs = _case("upfirdn2d", index)
    x = tensors["x"].requires_grad_()
    y = upfirdn2d(x, tensors["f"], **kwargs)
    _assert_close(y.detach(), tensors["y"])
    (y * tensors["probe"]).sum().backward()
    _assert_close(x.grad, tensors["grad_x"])


@pytest.mark.parametrize("index", range(len(META["filtered_lrelu"])))
def test_filtered_lrelu_reproduces_the_stored_values_and_gradients(index: int) -> None:
    tensors, kwargs = _case("filtered_lrelu", index)
    x, b = tensors["x"].requires_grad_(), tensors["b"].requires_grad_()
    y = filtered_lrelu(x, tensors.get("fu"), tensors.get("fd"), b, **kwargs)
    _assert_close(y.detach(), tensors["y"])
    (y * tensors["probe"]).sum().backward()
    _assert_close(x.grad, tensors["grad_x"])
    _assert_close(b.grad, tensors["grad_b"])
