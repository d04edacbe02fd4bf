"""Whose samples the candidates are (design section 8): where the posterior is known, it is theirs.

For a linear generator and Gaussian noise, perturb-then-optimise is an exact sampler, wherever it
starts: mean and covariance of many samples must be right within 4 standard errors.
"""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.linalg import block_diag
from torch import Tensor

from inversion.config import InversionConfig
from inversion.evidence import Evidence, IndependentNoise
from inversion.inputs import Canvas, small_input
from inversion.objective import RandomisedProblem
from inversion.operators import Frame, GreySmall
from inversion.optimize import minimize
from inversion.pipeline import Inverter

DIM, MEASUREMENTS, SAMPLES = 6, 8, 4000


class LinearGaussian:
    """y = M x + eps, eps ~ N(0, Sigma), x ~ N(0, I): the posterior is N(mean, cov)."""

    def __init__(self) -> None:
        rng = np.random.default_rng(7)
        self.M = rng.normal(size=(MEASUREMENTS, DIM)) * np.array([2, 1, 1, 0.5, 0.1, 0.02])
        root = rng.normal(size=(MEASUREMENTS, MEASUREMENTS)) * 0.4
        self.sigma = root @ root.T + 0.2 * np.eye(MEASUREMENTS)
        self.y = self.M @ rng.normal(size=DIM) + rng.multivariate_normal(
            np.zeros(MEASUREMENTS), self.sigma
        )
        information = self.M.T @ np.linalg.inv(self.sigma)
        self.cov = np.linalg.inv(information @ self.M + np.eye(DIM))
        self.mean = self.cov @ information @ self.y

    def samples(self, start: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Return the shipped sampler's answers and the exact solutions of the same problems."""
        rng = np.random.default_rng(11)
        anchor = rng.normal(size=(SAMPLES, DIM))
        noisy = self.y + rng.multivariate_normal(np.zeros(MEASUREMENTS), self.sigma, SAMPLES)
        M, root = torch.from_numpy(self.M), torch.linalg.cholesky(torch.from_numpy(self.sigma))

        def misfit(x: Tensor) -> Tensor:
            r = x @ M.T - torch.from_numpy(noisy)
            return torch.linalg.solve_triangular(root, r.T, upper=False).T

        randomised = RandomisedProblem(misfit, torch.from_numpy(anchor))
        *_, state = minimize(randomised, start, num_steps=60)
        exact = (anchor + noisy @ np.linalg.inv(self.sigma) @ self.M) @ self.cov
        return state.best_x.numpy(), exact


def is_posterior(x: np.ndarray, mean: np.ndarray, cov: np.ndarray) -> bool:
    """Say whether mean and covariance of samples x [N, d] are within 4 standard errors."""
    variance = np.diag(cov)
    mean_error = np.sqrt(variance / len(x))
    cov_error = np.sqrt((np.outer(variance, variance) + cov**2) / len(x))
    mean_fits = np.abs(x.mean(axis=0) - mean) < 4 * mean_error
    return bool(mean_fits.all() and (np.abs(np.cov(x.T) - cov) < 4 * cov_error).all())


@pytest.fixture(scope="module")
def linear() -> LinearGaussian:
    return LinearGaussian()


@pytest.mark.parametrize("origin", ["prior", "posterior", "wrong q"])
def test_solutions_are_samples_of_the_posterior(linear: LinearGaussian, origin: str) -> None:
    rng = np.random.default_rng(13)
    start = {
        "prior": rng.normal(size=(SAMPLES, DIM)),
        "posterior": rng.multivariate_normal(linear.mean, linear.cov, SAMPLES),
        "wrong q": 3 - linear.mean + 0.1 * rng.normal(size=(SAMPLES, DIM)),
    }[origin]
    x, exact = linear.samples(torch.from_numpy(start))
    assert is_posterior(x, linear.mean, linear.cov)
    np.testing.assert_allclose(x, exact, atol=1e-4)


def test_the_judge_of_samplers_rejects_wrong_ones(linear: LinearGaussian) -> None:
    rng = np.random.default_rng(17)
    x = rng.multivariate_normal(linear.mean, linear.cov, SAMPLES)
    assert is_posterior(x, linear.mean, linear.cov)
    wrong = {
        "zero": x * 0,
        "constant at the mean": x * 0 + linear.mean,
        "negated": -x,
        "too narrow": linear.mean + 0.5 * (x - linear.mean),
        "too wide": linear.mean + 2 * (x - linear.mean),
        "the prior": rng.normal(size=x.shape),
        "no correlations": linear.mean + rng.normal(size=x.shape) * np.sqrt(np.diag(linear.cov)),
    }
    for name, samples in wrong.items():
        assert not is_posterior(samples, linear.mean, linear.cov), name


# ---- through the whole of the Inverter, down to ws ----

LAYERS, WIDTH = 2, 3
CONFIG = InversionConfig(
    num_steps=60, tolerance=1e-6, chunk=SAMPLES, tau=0.06, sigma=0.03, delta_std=0.5
)


class LinearPrior:
    """Latents as they are: ws_i = v + delta_i."""

    dim, num_ws = WIDTH, LAYERS

    def to_ws(self, v: Tensor, delta: Tensor) -> Tensor:
        return v[:, None] + delta


def linear_synthesis(ws: Tensor, precision: str = "fp32") -> Tensor:
    weight = torch.randn(48, LAYERS * WIDTH, generator=torch.Generator().manual_seed(3)) * 0.05
    return (ws.flatten(1) @ weight.T).unflatten(1, (3, 4, 4))


def reds(img: Tensor) -> Tensor:
    """The mean red of each quarter, shaped as the grey measurement is."""
    return torch.nn.functional.avg_pool2d(img[:, :1], 2)


def upper_left(img: Tensor) -> Tensor:
    return img[:, :, 0, 0]


Y = torch.tensor([[[[0.15, -0.1], [0.05, 0.2]]]])
REDS = Evidence("reds", reds, Y.flip(3), IndependentNoise(torch.full_like(Y, 0.07)))
CORNER = Evidence(
    "corner",
    upper_left,
    torch.tensor([[0.3, 0.0, -0.2]]),
    IndependentNoise(torch.tensor([[0.1, 0.03, 0.05]])),
)


def dense(A: Callable[[Tensor], Tensor]) -> np.ndarray:
    """Return the matrix [m, 48] of a linear operator of 4x4 pictures."""
    basis = torch.eye(48, dtype=torch.float64).unflatten(1, (3, 4, 4))
    return A(basis).flatten(1).T.numpy()


def exact_posterior(further: tuple[Evidence, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of ws for y = A G ws + N(0, tau^2 A A^T + sigma^2 I), and further."""
    grey = dense(GreySmall(4, (2, 2)))
    blocks = [0.06**2 * grey @ grey.T + 0.03**2 * np.eye(4)]
    blocks += [np.diag(e.noise.std.flatten().double().numpy() ** 2) for e in further]
    y = np.concatenate([Y.flatten(), *(e.y.flatten() for e in further)]).astype(float)
    weight = linear_synthesis(torch.eye(6).unflatten(1, (2, 3)), "").flatten(1).T.double().numpy()
    prior = np.kron(np.ones((2, 2)), np.eye(3)) + 0.5**2 * np.eye(6)
    M = np.concatenate([grey, *(dense(e.A) for e in further)]) @ weight
    gain = prior @ M.T @ np.linalg.inv(M @ prior @ M.T + block_diag(*blocks))
    return gain @ y, prior - gain @ M @ prior


def solved(origin: str, further: tuple[Evidence, ...] = (), **guess: Tensor) -> np.ndarray:
    """Return ws of the shipped solver's candidates, `[SAMPLES, 6]`."""
    mean, cov = exact_posterior(further)
    of_v = np.random.default_rng(1).multivariate_normal(mean[:3], cov[:3, :3], SAMPLES)
    starts = {
        "prior": lambda noise: noise,
        "posterior": lambda noise: torch.from_numpy(of_v).float(),
        "wrong q": lambda noise: 2 + 0.1 * noise,
    }
    unfinished = replace(small_input(Y, Frame(2), Canvas(4, 4, CONFIG)), finish=lambda *_: None)
    [found] = Inverter(
        G=SimpleNamespace(synthesis=linear_synthesis),
        prior=LinearPrior(),
        input=unfinished,
        start=starts[origin],
        config=CONFIG,
        seed=5,
        further=further,
        **guess,
    ).candidates(SAMPLES)
    return found.ws.flatten(1).double().numpy()


@pytest.mark.parametrize("further", [(), (REDS, CORNER)], ids=["grey", "stacked"])
@pytest.mark.parametrize("origin", ["prior", "posterior", "wrong q"])
def test_candidates_of_a_linear_generator_are_posterior_samples(
    origin: str, further: tuple[Evidence, ...]
) -> None:
    (mean, cov), ws = exact_posterior(further), solved(origin, further)
    assert is_posterior(ws, mean, cov)
    for wrong in (ws * 0, -ws, mean + 0.5 * (ws - mean), mean + 2 * (ws - mean)):
        assert not is_posterior(wrong, mean, cov)


@pytest.mark.parametrize("origin", ["prior", "posterior", "wrong q"])
def test_they_are_whatever_curvature_and_shares_the_encoder_tells(origin: str) -> None:
    """A curvature that has nothing to do with the generator's, and shares far from the truth."""
    generator = torch.Generator().manual_seed(9)
    curvature = 5 * torch.randn(4, WIDTH * (1 + LAYERS), generator=generator)
    share = 1 + torch.randn(1, LAYERS, WIDTH, generator=generator)
    ws = solved(origin, curvature=curvature, share=share)
    assert is_posterior(ws, *exact_posterior(()))
