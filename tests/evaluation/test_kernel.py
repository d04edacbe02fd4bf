"""KID against its double sum, torchmetrics, and a mean that is known."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from evaluation.kernel import kernel_distance, kid


def normals(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def by_sums(x: np.ndarray, y: np.ndarray) -> float:
    """Binkowski et al. 2018, equation 4, term by term."""

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return (float(a @ b) / len(a) + 1) ** 3

    m, n = len(x), len(y)
    xx = sum(k(x[i], x[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    yy = sum(k(y[i], y[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    return xx + yy - 2 * sum(k(a, b) for a in x for b in y) / (m * n)


def test_it_is_the_double_sum() -> None:
    x, y = normals(0, 7, 5).double(), normals(1, 9, 5).double() + 1
    assert kernel_distance(x, y).item() == pytest.approx(by_sums(x.numpy(), y.numpy()), rel=1e-12)


def test_it_is_that_of_torchmetrics() -> None:
    image = pytest.importorskip("torchmetrics.image.kid")
    x, y = normals(2, 40, 16).double(), normals(3, 40, 16).double() * 1.3 + 0.2
    expected = image.poly_mmd(x, y).item()
    assert kernel_distance(x, y).item() == pytest.approx(expected, rel=1e-10)


def test_the_standard_error_is_that_of_independent_draws() -> None:
    """Over many pairs of sets the means scatter as much as each says of itself."""
    found = [
        kid(normals(10 + k, 200, 4), normals(500 + k, 200, 4) + 1, seeded()) for k in range(60)
    ]
    means, errors = (np.array(column) for column in zip(*found, strict=True))
    # the scatter of 60 values is known to 9 %
    assert np.sqrt((errors**2).mean()) == pytest.approx(means.std(ddof=1), rel=0.35)
    # E k(x, x') = E (t + 1)^3 in closed form: t = x.x' / d for independent normals
    d, shift = 4, 1.0

    def cube(mean_t: float, var_t: float, third_t: float) -> float:
        return third_t + 3 * (var_t + mean_t**2) + 3 * mean_t + 1

    zero = cube(0, 1 / d, 0)
    # with means of 1 t = sum (1 + a)(1 + b) / d, whose moments are simulated
    big = np.random.default_rng(0).standard_normal((2, 2_000_000, d))
    both = (((big[0] + shift) * (big[1] + shift)).sum(1) / d + 1) ** 3
    across = (((big[0]) * (big[1] + shift)).sum(1) / d + 1) ** 3
    expected = zero + both.mean() - 2 * across.mean()
    assert abs(means.mean() - expected) < 4 * means.std() / math.sqrt(60) + 0.02


def test_the_order_of_a_set_does_not_matter() -> None:
    """Two sorted sets of the same kind, one backwards: only shuffled blocks are alike."""
    x, y = (normals(seed, 400).sort().values[:, None].expand(-1, 4) for seed in (4, 5))
    mean, error = kid(x, y.flip(0), seeded())
    parts = zip(x.split(40), y.flip(0).split(40), strict=True)
    in_order = torch.stack([kernel_distance(*part) for part in parts]).mean()
    assert abs(mean) < 4 * error < in_order / 3


def test_what_is_not_finite_gives_nan() -> None:
    x, broken = normals(6, 40, 4), normals(7, 40, 4)
    broken[12, 0] = math.nan
    assert math.isnan(kid(broken, x, seeded())[0]) and math.isnan(kid(x, broken, seeded())[0])


def test_few_pictures_have_none() -> None:
    assert all(math.isnan(value) for value in kid(normals(0, 19, 4), normals(1, 50, 4), seeded()))
    assert not math.isnan(kid(normals(0, 20, 4), normals(1, 50, 4), seeded())[1])
