"""The preconditioner against the curvature of linear maps, known in closed form."""

import numpy as np
import pytest
import torch

from inversion.precondition import NUM_PROBES, Preconditioner, curvature_root

DIM = 15


def probed(M: np.ndarray, seed: int = 0, num: int = NUM_PROBES, rank: int = 64) -> torch.Tensor:
    matrix = torch.from_numpy(M).float()
    generator = torch.Generator().manual_seed(seed)
    return curvature_root(lambda x: x @ matrix.T, M.shape[1], generator, num, rank)


def fitted(M: np.ndarray, seed: int = 0) -> Preconditioner:
    return Preconditioner.of_curvature(probed(M, seed))


def dense(P: Preconditioner, dim: int = DIM) -> np.ndarray:
    return P.to_x(torch.eye(dim)).double().numpy()


@pytest.fixture
def M() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(40, DIM)) * 3


def test_there_and_back(M: np.ndarray) -> None:
    P, x = fitted(M), torch.randn(4, DIM)
    torch.testing.assert_close(P.to_x(P.to_t(x)), x, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(P.to_t(P.to_x(x)), x, rtol=1e-4, atol=1e-4)


def test_it_is_the_root_of_the_inverse_curvature_of_its_probes(M: np.ndarray) -> None:
    """The same probes by numpy: x is drawn before u; x has no say where M is linear."""
    generator, probes = torch.Generator().manual_seed(3), []
    for _ in range(NUM_PROBES // 8):
        torch.randn(8, DIM, generator=generator)
        probes.append(torch.randn(8, 40, generator=generator).double().numpy() @ M)
    g = np.concatenate(probes)
    curvature = np.eye(DIM) + g.T @ g / NUM_PROBES
    found = dense(fitted(M, seed=3))
    np.testing.assert_allclose(found, found.T, atol=1e-5)
    np.testing.assert_allclose(found @ curvature @ found, np.eye(DIM), atol=2e-3)


def test_curvature_becomes_nearly_one() -> None:
    """P (1 + M^T M) P = 1 up to the error of the probes, where it was anything up to 10,000."""
    rng = np.random.default_rng(1)
    M = rng.normal(size=(40, DIM)) * np.geomspace(0.1, 15, DIM)
    curvature, P = np.eye(DIM) + M.T @ M, dense(fitted(M))
    assert np.linalg.cond(curvature) > 5000
    assert np.linalg.cond(P @ curvature @ P) < 6


def test_what_is_not_measured_keeps_its_scale() -> None:
    """One direction of 200 is measured a thousandfold, all others not at all."""
    direction = np.zeros((1, 200))
    direction[0, 7] = 1000.0
    lengths = fitted(direction).to_t(torch.eye(200)).norm(dim=1)
    expected = torch.ones(200)
    expected[7] = (1 + 1000.0**2) ** 0.5  # steps of one length move it that much less
    torch.testing.assert_close(lengths, expected, rtol=0.2, atol=0)
    torch.testing.assert_close(lengths[8:], expected[8:], rtol=1e-5, atol=0)


def test_equal_generators_give_equal_coordinates(M: np.ndarray) -> None:
    x = torch.randn(2, DIM)
    assert torch.equal(fitted(M, seed=3).to_t(x), fitted(M, seed=3).to_t(x))
    assert not torch.equal(fitted(M, seed=3).to_t(x), fitted(M, seed=4).to_t(x))


def test_the_most_bent_directions_are_kept() -> None:
    """Of a diagonal map probed often enough: the largest squares, in their own directions."""
    found = probed(np.diag([1.0, 30, 3, 100, 10]), num=4096, rank=3).double().numpy()
    expected = np.zeros((3, 5))
    expected[[0, 1, 2], [3, 1, 4]] = 100, 30, 10
    np.testing.assert_allclose(np.abs(found), expected, atol=2.5)
    np.testing.assert_allclose(found @ found.T, np.diag(np.diag(found @ found.T)), atol=0.5)


def test_more_rows_than_probes_are_zero_and_change_nothing(M: np.ndarray) -> None:
    root, few = probed(M, num=8, rank=64), probed(M, num=8, rank=8)
    assert root.shape == (64, DIM) and not root[8:].any() and torch.equal(root[:8], few)
    x = torch.randn(3, DIM)
    one, other = (Preconditioner.of_curvature(r).to_t(x) for r in (root, few))
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
