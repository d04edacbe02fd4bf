"""The preconditioner against the curvature of linear maps, known in closed form."""

import numpy as np
import pytest
import torch

from inversion.precondition import Preconditioner

BLOCKS, DIM = 3, 5


def fitted(M: np.ndarray, seed: int = 0) -> Preconditioner:
    matrix = torch.from_numpy(M).float()
    generator = torch.Generator().manual_seed(seed)
    return Preconditioner.fit(lambda x: x @ matrix.T, BLOCKS, DIM, generator)


@pytest.fixture
def M() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(40, BLOCKS * DIM)) * 3


def test_there_and_back(M: np.ndarray) -> None:
    P, x = fitted(M), torch.randn(4, BLOCKS * DIM)
    torch.testing.assert_close(P.to_x(P.to_t(x)), x, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(P.to_t(P.to_x(x)), x, rtol=1e-4, atol=1e-4)


def test_blocks_do_not_mix(M: np.ndarray) -> None:
    P = fitted(M)
    dense = P.to_x(torch.eye(BLOCKS * DIM)).reshape(BLOCKS, DIM, BLOCKS, DIM)
    for i in range(BLOCKS):
        for j in range(BLOCKS):
            assert (dense[i, :, j].abs().max() > 1e-3) == (i == j)


def test_curvature_becomes_nearly_its_own_root(M: np.ndarray) -> None:
    """P^T (1 + M^T M) P = (1 + M^T M)^(1/2) in each block's own axes, up to the probes' error."""
    dense = fitted(M).to_x(torch.eye(BLOCKS * DIM)).double().numpy().T  # columns are P e_i
    curvature = np.eye(BLOCKS * DIM) + M.T @ M
    for block in range(BLOCKS):
        part = slice(block * DIM, (block + 1) * DIM)
        P = dense[part, part]
        found = np.sort(np.linalg.eigvalsh(P.T @ curvature[part, part] @ P))
        exact = np.sort(np.sqrt(np.linalg.eigvalsh(curvature[part, part])))
        np.testing.assert_allclose(found, exact, rtol=0.15)


def test_what_is_not_measured_keeps_its_scale() -> None:
    """One direction is measured a thousandfold, all others not at all."""
    direction = np.zeros((1, BLOCKS * DIM))
    direction[0, DIM + 2] = 1000.0
    P = fitted(direction)
    e = torch.eye(BLOCKS * DIM)
    lengths = P.to_t(e).norm(dim=1)
    expected = torch.ones(BLOCKS * DIM)
    expected[DIM + 2] = (1 + 1000.0**2) ** 0.25  # steps of one length move it that much less
    torch.testing.assert_close(lengths, expected, rtol=0.05, atol=0)


def test_equal_generators_give_equal_coordinates(M: np.ndarray) -> None:
    x = torch.randn(2, BLOCKS * DIM)
    assert torch.equal(fitted(M, seed=3).to_t(x), fitted(M, seed=3).to_t(x))
    assert not torch.equal(fitted(M, seed=3).to_t(x), fitted(M, seed=4).to_t(x))
