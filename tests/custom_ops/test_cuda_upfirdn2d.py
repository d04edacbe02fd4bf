"""The CUDA kernel of upfirdn2d, run on the CPU, against scipy in float64."""

import random
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from cuda_shim import built_shim, shim  # noqa: F401
from ops_oracle import upfirdn2d_oracle

from custom_ops import OpsError, cuda_upfirdn2d, upfirdn2d

upfirdn2d_cuda = partial(upfirdn2d, impl="cuda")


def _case(seed: int) -> dict[str, Any]:
    rng = random.Random(seed)
    generator = torch.Generator().manual_seed(seed)
    while True:
        shape = rng.choice([(4,), (12,), (5,), (3, 4), (6, 2)])
        factors = [rng.choice([1, 1, 2, 3, (1, 2), (2, 3)]) for _ in range(2)]
        up, down = ((f, f) if isinstance(f, int) else f for f in factors)
        height, width = rng.randint(3, 40), rng.randint(3, 40)
        padding = [rng.randint(-3, 9) for _ in range(4)]
        columns = width * up[0] + padding[0] + padding[1] - shape[-1]
        if min(columns, height * up[1] + padding[2] + padding[3] - shape[0]) >= 0:
            break
    options = {"up": up, "down": down, "padding": padding, "flip_filter": rng.random() < 0.5}
    x = torch.randn(2, 2, height, width, generator=generator)
    f = torch.randn(shape, generator=generator) / sum(shape) ** 0.5
    return {"x": x, "f": f, "gain": rng.choice([1, -2.5]), **options}


def _discriminator(up: int, down: int, size: tuple[int, int]) -> dict[str, Any]:
    """[1, 3, 3, 1] made asymmetric, in the ways that have an instance of their own."""
    x = torch.randn(1, 2, *size, generator=torch.Generator().manual_seed(size[0]))
    case = {"x": x, "f": torch.tensor([0.1, 0.4, 0.3, 0.2]), "up": (up, up), "down": (down, down)}
    return {**case, "padding": [2, 1, 2, 2], "flip_filter": False, "gain": 1}


def _check(case: dict[str, Any], dtype: torch.dtype, tolerance: float) -> None:
    """Value by the definition; adjoint and second derivative by <A x, u> = <x, A' u>."""
    arrays = {k: v.double().numpy() if k in ("x", "f") else v for k, v in case.items()}
    arrays["x"] = case["x"].to(dtype).double().numpy()
    expected = upfirdn2d_oracle(**arrays)
    rest = {k: v for k, v in case.items() if k != "x"}
    x = case["x"].to(dtype).requires_grad_()
    y = upfirdn2d_cuda(x, **rest)
    assert y.dtype == dtype
    error = np.abs(y.detach().double().numpy() - expected).max()
    assert error <= tolerance * max(np.abs(expected).max(), 1e-30)
    u = torch.randn(y.shape, generator=torch.Generator().manual_seed(2)).to(dtype).requires_grad_()
    (back,) = torch.autograd.grad(y, x, u, create_graph=True)
    left, right = (expected * u.detach().double().numpy()).sum(), (back.double() * x.double()).sum()
    scale = float((back.double() * x.double()).abs().sum()) + 1e-30
    assert abs(left - float(right.detach())) <= 10 * tolerance * scale
    (again,) = torch.autograd.grad(back, u, x.detach())  # A A'' x = A x
    assert torch.equal(again, y)


@pytest.mark.parametrize(
    "seed", [*range(25), *(pytest.param(s, marks=pytest.mark.slow) for s in range(25, 500))]
)
def test_agrees_with_scipy(shim, seed):  # noqa: F811
    _check(_case(seed), torch.float32, 1e-6)


@pytest.mark.parametrize("up, down", [(1, 2), pytest.param(1, 1, marks=pytest.mark.slow)])
def test_the_filters_of_the_discriminator_at_every_tile_edge(shim, up, down):  # noqa: F811
    for size in ((84, 85), (87, 43), (3, 170), (4, 4)):
        _check(_discriminator(up, down, size), torch.float32, 1e-6)
    assert any(f"float, 3, 1, 1, {down}, 4" in name for _, name in shim.used)
    assert not any("float, 3, 0" in name for _, name in shim.used)


@pytest.mark.slow
@pytest.mark.parametrize("dtype, tolerance", [(torch.float16, 2e-3), (torch.bfloat16, 1e-2)])
def test_sixteen_bit_signals(shim, dtype, tolerance):  # noqa: F811
    _check(_discriminator(1, 2, (20, 50)), dtype, tolerance)


def test_layouts_and_an_empty_batch(shim):  # noqa: F811
    case = _case(3)
    x = case.pop("x")
    expected = upfirdn2d_cuda(x, **case)
    last = x.contiguous(memory_format=torch.channels_last)
    y = upfirdn2d_cuda(last, **case)
    assert torch.equal(y, expected) and y.is_contiguous(memory_format=torch.channels_last)
    assert expected.is_contiguous()
    assert upfirdn2d_cuda(x[:0], **case).shape == (0, *expected.shape[1:])
    assert torch.equal(upfirdn2d_cuda(x, None), x)
    assert torch.equal(upfirdn2d_cuda(x, None, gain=-2), -2 * x)
    assert torch.equal(upfirdn2d_cuda(x, torch.tensor([[-3.0]])), -3 * x)
    assert torch.equal(upfirdn2d_cuda(x, torch.tensor([-2.0])), 4 * x)
    zeros = upfirdn2d_cuda(x, None, up=2, padding=[0, 0, 0, 0])
    assert torch.equal(zeros[..., ::2, ::2], x) and zeros.count_nonzero() == x.numel()


@pytest.mark.parametrize("slow", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_torch_library_accepts_the_operator(shim, slow):  # noqa: F811
    x = torch.randn(1, 2, 9, 8).requires_grad_()
    args = (x, torch.rand(5), [2, 1], [1, 3], [3, 4], [13, 2], False, 1.5)
    utils = ["test_schema", "test_autograd_registration", "test_faketensor"]
    utils += ["test_aot_dispatch_dynamic"] if slow else []
    torch.library.opcheck(cuda_upfirdn2d.resample_op, args, test_utils=utils)


def test_wrong_arguments_have_a_code(shim):  # noqa: F811
    with pytest.raises(OpsError) as caught:
        upfirdn2d_cuda(torch.zeros(1, 1, 3, 3), torch.ones(4))
    assert caught.value.code == "E-OPS-ARG"
