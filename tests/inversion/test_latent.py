"""The Gaussianised latent against numpy and scipy, on generators of random weights."""

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch

from engine.seeding import derive_generator
from inversion.latent import LatentPrior
from tests.inversion.tiny import tiny_generator

NUM = 20_000
G = tiny_generator()


@pytest.fixture(scope="module")
def prior() -> LatentPrior:
    return LatentPrior.fit(G, NUM)


def latents(num: int, seed: int, generator=G) -> torch.Tensor:
    z = torch.randn(num, 16, generator=torch.Generator().manual_seed(seed))
    return generator.mapping(z)[:, 0]


def pre_activation(w: torch.Tensor) -> np.ndarray:
    """Undo leaky ReLU (slope 0.2) and gain sqrt(2)."""
    w = w.double().numpy() / np.sqrt(2)
    return np.where(w < 0, w * 5, w)


def test_moments_are_those_of_numpy(prior: LatentPrior) -> None:
    z = torch.randn(NUM, 16, generator=derive_generator(0, "latent-prior"))
    u = pre_activation(G.mapping(z)[:, 0])
    root = scipy.linalg.sqrtm(np.cov(u.T)).real
    np.testing.assert_allclose(prior.mean.numpy(), u.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(prior.sqrt_cov.numpy(), root, atol=1e-5 * root.max())
    product = prior.inv_sqrt_cov.double().numpy() @ root
    np.testing.assert_allclose(product, np.eye(16), atol=1e-4)
    assert (prior.dim, prior.num_ws) == (16, G.config.num_ws)


def test_fresh_samples_are_white(prior: LatentPrior) -> None:
    """Standard errors from the fit and from the fresh samples, each of NUM."""
    v = prior.from_w(latents(NUM, seed=5)).double().numpy()
    assert np.abs(v.mean(axis=0)).max() < 5 * np.sqrt(2 / NUM)
    products = v[:, :, None] * v[:, None, :]
    error = products.std(axis=0) * np.sqrt(2 / NUM)
    assert (np.abs(products.mean(axis=0) - np.eye(16)) < 5 * error).all()


def test_from_w_undoes_to_ws(prior: LatentPrior) -> None:
    w = latents(500, seed=1)
    ws = prior.to_ws(prior.from_w(w))
    assert ws.shape == (500, G.config.num_ws, 16)
    for i in range(G.config.num_ws):
        torch.testing.assert_close(ws[:, i], w, rtol=0, atol=1e-4 * float(w.std()))
    v = torch.randn(500, 16, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(prior.from_w(prior.to_ws(v)[:, 3]), v, rtol=0, atol=1e-4)


def test_to_ws_is_the_affine_map_then_the_leaky_relu(prior: LatentPrior) -> None:
    v = torch.randn(20, 16, generator=torch.Generator().manual_seed(3))
    u = prior.mean.double().numpy() + v.double().numpy() @ prior.sqrt_cov.double().numpy().T
    w = np.sqrt(2) * np.where(u < 0, 0.2 * u, u)
    assert (u < 0).any() and (u > 0).any()
    np.testing.assert_allclose(prior.to_ws(v)[:, 0].numpy(), w, atol=1e-5)


def test_each_delta_moves_its_own_layer(prior: LatentPrior) -> None:
    generator = torch.Generator().manual_seed(4)
    v = torch.randn(3, 16, generator=generator)
    delta = torch.randn(3, G.config.num_ws, 16, generator=generator)
    delta[:, 2] = 0
    ws, plain = prior.to_ws(v, delta), prior.to_ws(v)
    assert torch.equal(ws[:, 2], plain[:, 2])
    for i in range(G.config.num_ws):
        torch.testing.assert_close(ws[:, i], prior.to_ws(v + delta[:, i])[:, 0])
        assert i == 2 or not torch.allclose(ws[:, i], plain[:, i])


def test_fit_is_a_function_of_generator_number_and_seed(prior: LatentPrior) -> None:
    again, other = LatentPrior.fit(G, NUM), LatentPrior.fit(G, NUM, seed=1)
    for name in ("mean", "sqrt_cov", "inv_sqrt_cov"):
        assert torch.equal(getattr(prior, name), getattr(again, name))
        assert not torch.equal(getattr(prior, name), getattr(other, name))


def test_directions_that_never_vary_are_floored() -> None:
    """Four inputs and one layer: the pre-activation spans 4 of 16 directions."""
    flat = tiny_generator(z_dim=4, mapping_layers=1)
    prior = LatentPrior.fit(flat, 2000)
    values = np.linalg.eigvalsh(prior.sqrt_cov.double().numpy()) ** 2 / 1e-6
    largest = values[-1]
    np.testing.assert_allclose(values[:12], largest * 1e-6, rtol=0.05)
    assert (values[12:] > 1e-2 * largest).all()
    z = torch.randn(50, 4, generator=torch.Generator().manual_seed(6))
    w = flat.mapping(z)[:, 0]
    back = prior.to_ws(prior.from_w(w))[:, 0]
    torch.testing.assert_close(back, w, rtol=0, atol=1e-3 * float(w.std()))


def test_excess_kurtosis_is_that_of_scipy(prior: LatentPrior) -> None:
    z = torch.randn(NUM, 16, generator=derive_generator(1, "latent-prior"))
    v = prior.from_w(G.mapping(z)[:, 0]).double().numpy()
    found = prior.excess_kurtosis(G, NUM).numpy()
    np.testing.assert_allclose(found, scipy.stats.kurtosis(v), atol=2e-3)
