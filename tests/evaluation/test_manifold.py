"""Precision, recall, density and coverage against their definitions, ball by ball."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from evaluation import manifold
from evaluation.manifold import NAMES, prdc, spread_sample


def normals(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def by_balls(reals: np.ndarray, fakes: np.ndarray, k_pr: int, k_dc: int) -> dict[str, float]:
    def apart(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.sqrt(((a - b) ** 2).sum()))

    def radius(points: np.ndarray, i: int, k: int) -> float:
        return sorted(apart(points[i], p) for j, p in enumerate(points) if j != i)[k - 1]

    def holds(centres: np.ndarray, radii: list[float], point: np.ndarray) -> int:
        return sum(apart(c, point) <= r for c, r in zip(centres, radii, strict=True))

    near = [radius(reals, i, k_pr) for i in range(len(reals))]
    wide = [radius(reals, i, k_dc) for i in range(len(reals))]
    fake = [radius(fakes, i, k_pr) for i in range(len(fakes))]
    return {
        "precision": float(np.mean([holds(reals, near, f) > 0 for f in fakes])),
        "recall": float(np.mean([holds(fakes, fake, r) > 0 for r in reals])),
        "density": sum(holds(reals, wide, f) for f in fakes) / (k_dc * len(fakes)),
        "coverage": float(
            np.mean([min(apart(r, f) for f in fakes) <= wide[i] for i, r in enumerate(reals)])
        ),
    }


@pytest.mark.parametrize(("k_pr", "k_dc"), [(3, 5), (1, 2), (4, 2)])
def test_they_are_their_definitions(k_pr: int, k_dc: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifold, "_ROWS", 7)  # several parts
    reals, fakes = normals(0, 40, 6).double(), normals(1, 25, 6).double() * 0.8 + 0.5
    expected = by_balls(reals.numpy(), fakes.numpy(), k_pr, k_dc)
    assert prdc(reals, fakes, k_pr, k_dc) == pytest.approx(expected, abs=1e-12)
    assert 0 < expected["precision"] < 1 and 0 < expected["recall"] < 1


def test_equal_sets_cover_each_other() -> None:
    x = normals(2, 60, 4)
    found = prdc(x, x)
    assert found["precision"] == found["recall"] == found["coverage"] == 1


def test_far_away_nothing_is_covered() -> None:
    assert prdc(normals(3, 30, 4), normals(4, 30, 4) + 50) == dict.fromkeys(NAMES, 0.0)


def test_one_mode_of_two_is_precise_but_covers_half() -> None:
    reals = torch.cat([normals(5, 100, 3), normals(6, 100, 3) + 50])
    found = prdc(reals, normals(7, 200, 3))
    assert found["precision"] > 0.9 and abs(found["recall"] - 0.5) < 0.05
    assert abs(found["coverage"] - 0.5) < 0.05


def test_too_few_or_not_finite_is_nan() -> None:
    broken = normals(8, 30, 4)
    broken[3, 2] = math.inf
    for pair in [(normals(9, 5, 4), normals(10, 30, 4)), (normals(9, 30, 4), broken)]:
        assert all(math.isnan(value) for value in prdc(*pair).values())


def test_of_many_a_spread_sample_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifold, "MOST", 8)
    rows = spread_sample(torch.arange(20.0)[:, None])[:, 0].tolist()
    assert len(rows) == 8 and np.diff(rows).min() >= 2 and np.diff(rows).max() <= 3
