"""The operator against Pillow, torch's own resize and dense matrices made from basis pictures."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from inversion.operators import (
    LUMA,
    MAX_REDUCED_SIDE,
    GreySmall,
    MeasurementError,
    MeasurementNoise,
    bicubic_matrix,
)

SIZE_PAIRS = [(n, 64) for n in (1, 2, 7, 16, 24, 31, 32, 45, 48, 56, 63, 64, 65, 100, 128)]
SIZE_PAIRS += [(32, 256), (64, 256), (97, 256), (128, 256), (224, 256), (5, 7), (3, 2), (1, 1)]
SMALL_R, SMALL_SIZE = 12, (7, 5)
TAU, SIGMA = 0.3, 0.02


@pytest.fixture(scope="module")
def small() -> GreySmall:
    return GreySmall(SMALL_R, SMALL_SIZE)


@pytest.fixture(scope="module")
def dense(small: GreySmall) -> np.ndarray:
    """A as a matrix [h w, 3 R R]: its columns are the measurements of basis pictures."""
    n = 3 * SMALL_R**2
    basis = torch.eye(n, dtype=torch.float64).reshape(n, 3, SMALL_R, SMALL_R)
    return small(basis).reshape(n, -1).T.numpy()


@pytest.fixture(scope="module")
def covariance(dense: np.ndarray) -> np.ndarray:
    return TAU**2 * dense @ dense.T + SIGMA**2 * np.eye(len(dense))


def random_pictures(n: int, side: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, 3, side, side, generator=generator, dtype=torch.float64) * 2 - 1


@pytest.mark.parametrize(("n_out", "n_in"), SIZE_PAIRS)
def test_bicubic_matrix_equals_pillow_and_torch(n_out: int, n_in: int) -> None:
    signal = np.random.default_rng(n_out * n_in).uniform(-1, 1, (n_in, n_in)).astype(np.float32)
    d = bicubic_matrix(n_out, n_in)
    ours = (d @ torch.from_numpy(signal).double() @ d.T).numpy()
    pillow = Image.fromarray(signal).resize((n_out, n_out), Image.Resampling.BICUBIC)
    by_torch = F.interpolate(
        torch.from_numpy(signal).double()[None, None],
        size=(n_out, n_out),
        mode="bicubic",
        antialias=True,
        align_corners=False,
    )
    assert np.abs(ours - np.asarray(pillow)).max() < 1e-5
    assert np.abs(ours - by_torch[0, 0].numpy()).max() < 1e-5


def test_bicubic_matrix_rows_sum_to_one_and_equal_sizes_give_the_identity() -> None:
    for n_out, n_in in SIZE_PAIRS:
        rows = bicubic_matrix(n_out, n_in).sum(dim=1)
        torch.testing.assert_close(rows, torch.ones_like(rows))
    assert torch.equal(bicubic_matrix(9, 9), torch.eye(9, dtype=torch.float64))


@pytest.mark.parametrize("size", [(16, 16), (24, 40), (64, 64)])
def test_measurement_equals_luma_then_pillow(size: tuple[int, int]) -> None:
    x = random_pictures(2, 64)
    y = GreySmall(64, size)(x)
    for k in range(2):
        luma = np.tensordot([0.299, 0.587, 0.114], x[k].numpy(), 1).astype(np.float32)
        small = Image.fromarray(luma).resize(size[::-1], Image.Resampling.BICUBIC)
        assert np.abs(y[k, 0].numpy() - np.asarray(small)).max() < 1e-5


def test_quantised_is_what_a_file_holds() -> None:
    x = random_pictures(1, 64) * 3  # luma beyond both ends
    A = GreySmall(64, (32, 32))
    levels = np.clip(np.round((A(x).numpy() + 1) * 127.5), 0, 255)
    assert levels.min() == 0 and levels.max() == 255
    np.testing.assert_allclose((A.quantised(x).numpy() + 1) * 127.5, levels, atol=1e-10)


def test_spread_is_the_adjoint_of_the_luma_weighted_product(small: GreySmall) -> None:
    x = random_pictures(3, SMALL_R)
    r = torch.randn(3, 1, *SMALL_SIZE, dtype=torch.float64)
    g = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)[:, None, None]
    forward = (small(x) * r).sum()
    assert abs(forward - (g * x * small.spread(r)).sum()) < 1e-10 * abs(forward)


def test_gradient_is_the_adjoint(small: GreySmall, dense: np.ndarray) -> None:
    x = random_pictures(1, SMALL_R).requires_grad_(True)
    r = torch.randn(1, 1, *SMALL_SIZE, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((small(x) * r).sum(), x)
    np.testing.assert_allclose(gradient.numpy().ravel(), dense.T @ r.numpy().ravel(), atol=1e-12)


@pytest.mark.parametrize("size", [(9, 7), (32, 32), (64, 64), (80, 80)])
def test_measures_samples_as_pillow_measures_the_enlarged_picture(size: tuple[int, int]) -> None:
    x = random_pictures(1, 64)
    enlarged = [
        np.asarray(Image.fromarray(c).resize((256, 256), Image.Resampling.BICUBIC))
        for c in x[0].float().numpy()
    ]
    luma = np.tensordot([0.299, 0.587, 0.114], enlarged, 1).astype(np.float32)
    small = Image.fromarray(luma).resize(size[::-1], Image.Resampling.BICUBIC)
    y = GreySmall(64, size, sampled_at=256)(x)
    assert np.abs(y[0, 0].numpy() - np.asarray(small)).max() < 1e-5


@pytest.mark.parametrize(("side", "size"), [(12, (7, 5)), (64, (56, 33)), (64, (64, 64))])
def test_right_inverse_reproduces_and_leaves_chroma_alone(side: int, size: tuple[int, int]) -> None:
    A = GreySmall(side, size)
    r = torch.randn(2, 1, *size, dtype=torch.float64)
    lift = A.right_inverse(r)
    torch.testing.assert_close(A(lift), r, rtol=0, atol=1e-12)
    assert torch.equal(lift[:, 0], lift[:, 1]) and torch.equal(lift[:, 0], lift[:, 2])


def test_right_inverse_is_the_smallest_in_the_luma_weighted_norm(
    small: GreySmall, dense: np.ndarray
) -> None:
    r = torch.randn(1, 1, *SMALL_SIZE, dtype=torch.float64)
    # min |u| subject to (A G^-1/2) u = r, x = G^-1/2 u, G = diag(g): the pseudoinverse of numpy
    root = np.sqrt(np.repeat([0.299, 0.587, 0.114], SMALL_R**2))
    smallest = np.linalg.pinv(dense / root) @ r.numpy().ravel() / root
    ours = small.right_inverse(r).numpy().ravel()
    np.testing.assert_allclose(ours, smallest, atol=1e-10)


def test_gram_factors_make_the_covariance_of_basis_pictures(
    small: GreySmall, dense: np.ndarray
) -> None:
    k_v, k_h, g2 = small.gram_factors()
    np.testing.assert_allclose(g2 * np.kron(k_v, k_h), dense @ dense.T, atol=1e-14)


def test_whitening_and_determinant_equal_the_dense_covariance(
    small: GreySmall, covariance: np.ndarray
) -> None:
    noise = MeasurementNoise(small, TAU, SIGMA)
    r = torch.randn(5, 1, *SMALL_SIZE, dtype=torch.float64)
    flat = r.numpy().reshape(5, -1)
    expected = np.einsum("ni,ij,nj->n", flat, np.linalg.inv(covariance), flat)
    whitened = noise.whiten(r).square().flatten(1).sum(dim=1)
    np.testing.assert_allclose(whitened.numpy(), expected, rtol=1e-10)
    assert noise.log_det() == pytest.approx(np.linalg.slogdet(covariance)[1], rel=1e-12)


def test_samples_have_the_dense_covariance(small: GreySmall, covariance: np.ndarray) -> None:
    n = 40_000
    noise = MeasurementNoise(small, TAU, SIGMA)
    draws = noise.sample((n, 1, *SMALL_SIZE), torch.Generator().manual_seed(1))
    assert draws.dtype == torch.float32
    white = np.linalg.solve(np.linalg.cholesky(covariance), draws.double().flatten(1).numpy().T)
    deviation = white @ white.T / n - np.eye(len(covariance))
    # standard errors: sqrt(2 / n) on the diagonal, sqrt(1 / n) off it; 1225 entries
    assert np.abs(deviation / (1 + (np.sqrt(2) - 1) * np.eye(len(white)))).max() < 5 / np.sqrt(n)
    assert np.abs(white.mean(axis=1)).max() < 4.5 / np.sqrt(n)


def test_type_follows_the_argument(small: GreySmall) -> None:
    x, noise = random_pictures(1, SMALL_R), MeasurementNoise(small, TAU, SIGMA)
    exact = small(x)
    for dtype in (torch.float32, torch.float64):
        y = small(x.to(dtype))
        results = (y, small.right_inverse(y), small.quantised(x.to(dtype)), noise.whiten(y))
        assert {result.dtype for result in results} == {dtype}
        torch.testing.assert_close(y.double(), exact, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("side", "sizes"), [(64, (16, 24, 32, 48, 56, 64)), (256, (32, 64, 128, 224))]
)
def test_condition_is_safe_where_the_promise_holds(side: int, sizes: tuple[int, ...]) -> None:
    for n in sizes:
        assert n == side or n <= MAX_REDUCED_SIDE * side
        d = bicubic_matrix(n, side).numpy()
        eigenvalues = np.linalg.eigvalsh(d @ d.T)
        assert eigenvalues[-1] < 2.5 * eigenvalues[0]


def test_bad_sizes_and_covariances_are_refused(small: GreySmall) -> None:
    with pytest.raises(MeasurementError, match="larger than the picture") as caught:
        GreySmall(64, (32, 65))
    assert caught.value.code == "E-INV-SHAPE"
    with pytest.raises(MeasurementError, match="at least 1"):
        GreySmall(64, (0, 4))
    for tau, sigma in ((0, 0), (-1, 1)):
        with pytest.raises(MeasurementError, match="no covariance"):
            MeasurementNoise(small, tau, sigma)


def test_luma_weights_sum_to_one() -> None:
    assert sum(LUMA) == pytest.approx(1, abs=1e-15)
