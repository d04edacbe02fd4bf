"""The pipeline: what a candidate depends on, what is said of it, and whose samples they are."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal, norm
from torch import Tensor

from inversion import pipeline
from inversion.config import InversionConfig
from inversion.evidence import Evidence, IndependentNoise
from inversion.inputs import Canvas, small_input
from inversion.latent import LatentPrior
from inversion.objective import RandomisedProblem
from inversion.operators import Frame
from inversion.pipeline import Candidates, Inverter, Step, rebuild
from tests.inversion.tiny import (
    LUMA,
    SIDE,
    as_file,
    as_measurement,
    measured,
    picture_of,
    resize,
    tiny_generator,
)

G = tiny_generator()
CONFIG = InversionConfig(num_steps=4, chunk=2, tau=0.06, sigma=0.03, delta_std=0.3)


def inverter(
    levels: np.ndarray, side: int = SIDE, config: InversionConfig = CONFIG, **changes: object
) -> Inverter:
    made = Inverter(
        G=G,
        prior=LatentPrior.fit(G, 5000),
        input=small_input(as_measurement(levels), Frame(len(levels)), Canvas(SIDE, side, config)),
        start=lambda noise: noise,
        config=config,
        seed=0,
    )
    return replace(made, **changes)


@pytest.fixture(scope="module")
def levels() -> np.ndarray:
    return as_file(measured(picture_of(G, seed=1), 12))


@pytest.fixture(scope="module")
def problem(levels: np.ndarray) -> Inverter:
    return inverter(levels)


@pytest.fixture(scope="module")
def five(problem: Inverter) -> list[Candidates]:
    return list(problem.candidates(5))


def joined(found: list[Candidates], name: str) -> Tensor:
    owner = [part if hasattr(part, name) else part.projection for part in found]
    return torch.cat([getattr(part, name) for part in owner])


NAMES = ["ws", "pictures", "pixels", "log_lik", "log_prior", "residual_before_rms_255"]
NAMES += ["residual_max_255", "residual_rms_255", "share_identical", "correction_rms_255"]


# ---- what a candidate depends on ----


def test_chunks_hold_what_was_asked_for(five: list[Candidates]) -> None:
    assert [part.first for part in five] == [0, 2, 4]
    assert [len(part.ws) for part in five] == [2, 2, 1]
    assert five[0].ws.shape[1:] == (G.config.num_ws, G.config.w_dim)
    assert five[0].pictures.shape[1:] == (3, SIDE, SIDE)
    assert {name: len(joined(five, name)) for name in NAMES} == dict.fromkeys(NAMES, 5)


@pytest.mark.parametrize("num", [1, 3, 4])
def test_fewer_candidates_are_the_first_of_more(
    problem: Inverter, five: list[Candidates], num: int
) -> None:
    fewer = list(problem.candidates(num))
    for name in NAMES:
        assert torch.equal(joined(fewer, name), joined(five, name)[:num]), name


def test_candidates_differ_and_depend_on_the_seed(
    problem: Inverter, five: list[Candidates]
) -> None:
    other = list(replace(problem, seed=1).candidates(3))
    ws = torch.cat([joined(five, "ws"), joined(other, "ws")]).flatten(1)
    pixels = torch.cat([joined(five, "pixels"), joined(other, "pixels")]).flatten(1)
    for values in (ws, pixels):
        assert torch.cdist(values, values).fill_diagonal_(torch.inf).min() > 0.1


def test_every_step_is_reported(problem: Inverter) -> None:
    steps, last = [], {}

    def note(step: Step) -> None:
        steps.append((step.first, step.number))
        last[step.first] = step.ws()

    found = list(problem.candidates(3, on_step=note))
    assert steps == [(first, k) for first in (0, 2) for k in range(CONFIG.num_steps)]
    for part in found:
        assert torch.equal(part.ws, last[part.first][: len(part.ws)])


def test_candidates_start_where_they_are_told(levels: np.ndarray) -> None:
    """One evaluation, of the start, and layers that may not differ: ws is the start itself."""
    starts = torch.randn(2, 16, generator=torch.Generator().manual_seed(9))
    config = replace(CONFIG, num_steps=1, delta_std=1e-9)
    made = inverter(levels, start=lambda noise: starts, config=config)
    [found] = made.candidates(2)
    for w in found.ws.unbind(1):
        torch.testing.assert_close(made.prior.from_w(w), starts, rtol=0, atol=1e-4)


def test_layers_differ_by_the_width_of_their_prior(levels: np.ndarray) -> None:
    config = replace(CONFIG, num_steps=1, delta_std=0.25, chunk=40)
    starts = torch.zeros(40, 16)
    made = inverter(levels, start=lambda noise: starts, config=config)
    [found] = made.candidates(8)
    delta = torch.cat([made.prior.from_w(w) for w in found.ws.unbind(1)])
    assert float(delta.square().mean().sqrt()) == pytest.approx(0.25, rel=0.1)


# ---- what is said of a candidate ----


def test_rebuild_gives_the_same_pixels(problem: Inverter, five: list[Candidates]) -> None:
    again = rebuild(G, joined(five, "ws"), problem.input, CONFIG.chunk)
    for name in ("pixels", "residual_rms_255", "correction_rms_255"):
        assert torch.equal(getattr(again, name), joined(five, name)), name


def own_pictures(found: list[Candidates]) -> np.ndarray:
    """Synthesise from ws, one at a time; return levels [N, R, R, 3] clipped to 0..255."""
    pictures = [G.synthesis(w[None])[0] for w in joined(found, "ws")]
    clipped = np.clip(torch.stack(pictures).double().numpy(), -1, 1)
    return (clipped.transpose(0, 2, 3, 1) + 1) * 127.5


def one_sided(error: np.ndarray, levels: np.ndarray) -> np.ndarray:
    error[(levels == 255) & (error > 0)] = 0
    error[(levels == 0) & (error < 0)] = 0
    return error


def test_pictures_are_those_of_the_generator(five: list[Candidates]) -> None:
    levels = (joined(five, "pictures").double().numpy().transpose(0, 2, 3, 1) + 1) * 127.5
    np.testing.assert_allclose(levels, own_pictures(five), atol=0.01)


def test_residual_before_is_of_the_generators_own_pictures(
    levels: np.ndarray, five: list[Candidates]
) -> None:
    errors = [measured(picture, 12) - levels for picture in own_pictures(five)]
    expected = np.sqrt(np.square(errors).mean((1, 2)))
    np.testing.assert_allclose(joined(five, "residual_before_rms_255"), expected, rtol=1e-4)
    assert expected.min() > 1


def test_overshoot_beyond_a_saturated_pixel_is_no_residual() -> None:
    """Hard black and white ring beyond both ends when reduced, which a file clips."""
    bars = torch.ones(3, SIDE, SIDE)
    bars[:, :, 10:17] = -1

    def synthesis(ws: Tensor, precision: str = "fp32") -> Tensor:
        return bars - 0.1 * ws.mean((1, 2)).abs()[:, None, None, None]

    stark = SimpleNamespace(synthesis=synthesis, config=SimpleNamespace(img_resolution=SIDE))
    levels = as_file(measured((bars.permute(1, 2, 0).numpy() + 1) * 127.5, 12)).astype(float)
    found = list(inverter(levels, G=stark).candidates(3))
    pictures = joined(found, "pictures").permute(0, 2, 3, 1).double().numpy()
    errors = [measured((picture + 1) * 127.5, 12) - levels for picture in pictures]
    forgiven = [one_sided(e.copy(), levels) for e in errors]
    rms, plain = (np.sqrt(np.square(e).mean((1, 2))) for e in (forgiven, errors))
    np.testing.assert_allclose(joined(found, "residual_before_rms_255"), rms, rtol=1e-4)
    assert (rms / plain).min() < 0.9


def test_overshoot_is_forgiven_while_solving_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice the square of the misfit bends by how many of four pixels count, in 1 / sigma^2."""
    problems, shown = [], SimpleNamespace(level=0.0)

    def recorded(*parts: object) -> RandomisedProblem:
        problems.append(RandomisedProblem(*parts))
        return problems[-1]

    def synthesis(ws: Tensor, precision: str = "fp32") -> Tensor:
        return shown.level + 0 * ws.sum() + torch.zeros(len(ws), 3, SIDE, SIDE)

    monkeypatch.setattr(pipeline, "RandomisedProblem", recorded)
    flat, config = SimpleNamespace(synthesis=synthesis), replace(CONFIG, tau=0.0, sigma=0.5)
    list(inverter(np.array([[255, 255], [0, 100]]), G=flat, config=config).candidates(1))
    for centre, counting in ((9, 2), (-9, 3)):
        squares = []
        for shown.level in (centre - 1, centre, centre + 1):
            squares.append(problems[0].misfit(torch.zeros(2, 128)).square().sum(1))
        bend = squares[0] - 2 * squares[1] + squares[2]
        torch.testing.assert_close(bend, torch.full((2,), 2 * counting / 0.5**2), rtol=1e-3, atol=0)


def test_finished_pixels_agree_as_they_claim(levels: np.ndarray, five: list[Candidates]) -> None:
    pixels = (joined(five, "pixels").double().numpy().transpose(0, 2, 3, 1) + 1) * 127.5
    np.testing.assert_allclose(pixels, pixels.round(), atol=1e-4)
    errors = [as_file(measured(p.round(), 12)) - levels.astype(float) for p in pixels]
    assert np.abs(errors).max() <= 1
    np.testing.assert_array_equal(joined(five, "residual_max_255"), np.abs(errors).max((1, 2)))
    correction = np.sqrt(((pixels - own_pictures(five)) ** 2).mean((1, 2, 3)))
    np.testing.assert_allclose(joined(five, "correction_rms_255"), correction, rtol=1e-3)


def dense_measurement(side: int, sampled_at: int = SIDE) -> np.ndarray:
    """Return A [side^2, 3 SIDE^2], its columns the measurements of basis pictures by Pillow."""
    basis = np.eye(SIDE * SIDE).reshape(-1, SIDE, SIDE)
    if sampled_at != SIDE:
        basis = np.stack([resize(picture, sampled_at) for picture in basis])
    grey = np.stack([resize(picture, side).ravel() for picture in basis], axis=1)
    return np.concatenate([weight * grey for weight in LUMA], axis=1)


def test_log_likelihood_is_that_of_the_dense_gaussian() -> None:
    """Sigma = tau^2 A A^T + sigma^2 I, made of basis pictures; scipy's density."""
    levels = as_file(measured(picture_of(G, seed=2), 8))
    config = replace(CONFIG, tau=0.2, sigma=0.05)
    found = list(inverter(levels, config=config).candidates(3))
    A = dense_measurement(8)
    density = multivariate_normal(cov=0.2**2 * A @ A.T + 0.05**2 * np.eye(64))
    for k, picture in enumerate(own_pictures(found)):
        r = (measured(picture, 8) - levels).ravel() / 127.5
        assert float(joined(found, "log_lik")[k]) == pytest.approx(density.logpdf(r), rel=1e-4)


def test_evidence_has_residuals_of_its_own_and_likelihoods_add_up(levels: np.ndarray) -> None:
    """The red of the first rows, of known noise, beside the grey picture."""
    y, std = torch.full((1, 4, SIDE), 0.3), torch.linspace(0.2, 0.4, 4 * SIDE).view(1, 4, SIDE)
    red = Evidence("red", lambda img: img[:, 0, :4], y, IndependentNoise(std))
    found = list(inverter(levels, further=(red,)).candidates(3))
    r = np.stack([p[:4, :, 0].ravel() / 127.5 - 1.3 for p in own_pictures(found)])
    of_red = joined_residuals(found, "red")
    np.testing.assert_allclose(of_red, np.sqrt((r**2).mean(1)) * 127.5, rtol=1e-4)
    grey = dense_measurement(12)
    cov = 0.06**2 * grey @ grey.T + 0.03**2 * np.eye(144)
    of_grey = np.stack([(measured(p, 12) - levels).ravel() / 127.5 for p in own_pictures(found)])
    np.testing.assert_allclose(
        joined_residuals(found, "input"), np.sqrt((of_grey**2).mean(1)) * 127.5, rtol=1e-4
    )
    expected = multivariate_normal(cov=cov).logpdf(of_grey)
    expected += norm(scale=std.flatten().numpy()).logpdf(r).sum(1)
    np.testing.assert_allclose(joined(found, "log_lik"), expected, rtol=1e-4)


def joined_residuals(found: list[Candidates], name: str) -> Tensor:
    return torch.cat([part.residuals_rms_255[name] for part in found])


def test_log_prior_is_that_of_all_of_the_latent(levels: np.ndarray) -> None:
    """At the start: v is what the start was told, the layers' shares are read from ws."""
    told = []
    config = replace(CONFIG, num_steps=1)
    made = inverter(levels, start=lambda noise: told.append(noise) or noise, config=config)
    [found] = made.candidates(2)
    layers = torch.stack([made.prior.from_w(w) for w in found.ws.unbind(1)], dim=1)
    shares = (layers - told[0][:, None]) / 0.3
    expected = -(told[0].square().sum(1) + shares.square().sum((1, 2))) / 2
    torch.testing.assert_close(found.log_prior, expected, rtol=1e-4, atol=0)


def test_steps_come_nearer_to_the_input_than_the_prior() -> None:
    levels = as_file(measured(picture_of(G, seed=1), 12))
    start = list(inverter(levels, config=replace(CONFIG, num_steps=1)).candidates(2))
    solved = list(inverter(levels, config=replace(CONFIG, num_steps=30)).candidates(2))
    before, after = (joined(f, "residual_before_rms_255") for f in (start, solved))
    assert (after < 0.7 * before).all()


def test_a_small_generators_pictures_are_sampled_larger(levels: np.ndarray) -> None:
    large = list(inverter(levels, 2 * SIDE).candidates(2))
    samples = own_pictures(large)
    enlarged = [np.stack([resize(c, 2 * SIDE) for c in x.transpose(2, 0, 1)]) for x in samples]
    found = (joined(large, "pictures").double().numpy() + 1) * 127.5
    np.testing.assert_allclose(found, np.clip(enlarged, 0, 255), atol=0.01)
    pixels = (joined(large, "pixels").double().numpy().transpose(0, 2, 3, 1) + 1) * 127.5
    errors = [as_file(measured(p.round(), 12)) - levels.astype(float) for p in pixels]
    assert np.abs(errors).max() <= 1


@pytest.mark.parametrize("side", [SIDE // 2, SIDE, SIDE + SIDE // 2])
def test_the_solver_measures_small_pictures_as_they_will_be_finished(side: int) -> None:
    """Of size SIDE and beyond, reducing the enlarged picture is not the identity."""
    levels = as_file(resize(measured(picture_of(G, seed=2), SIDE), side))
    config = replace(CONFIG, tau=0.2, sigma=0.05)
    found = list(inverter(levels, 2 * SIDE, config=config).candidates(2))
    dense = dense_measurement(side, sampled_at=2 * SIDE)
    density = multivariate_normal(cov=0.2**2 * dense @ dense.T + 0.05**2 * np.eye(side**2))
    samples = own_pictures(found)
    for k, picture in enumerate(samples):
        r = (dense @ picture.transpose(2, 0, 1).ravel() - levels.ravel()) / 127.5
        assert float(joined(found, "log_lik")[k]) == pytest.approx(density.logpdf(r), rel=1e-4)
