"""PULSE as published: by numpy, by torch's own Adam, and as candidates."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from inversion.config import InversionConfig
from inversion.counting import counted
from inversion.guesses import Guesses
from inversion.inputs import Canvas, small_input
from inversion.latent import LatentPrior
from inversion.operators import Frame
from inversion.pipeline import Candidates
from inversion.pulse import PulseConfig, PulseInverter, geocross, pulse_loss, spherical_adam
from tests.inversion.tiny import SIDE, as_file, as_measurement, measured, picture_of, tiny_generator

G = tiny_generator()
LAYERS, DIM = G.config.num_ws, G.config.w_dim


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# ---- the loss ----


def test_geocross_is_the_mean_squared_angle_on_a_sphere() -> None:
    ws = randn(3, 4, 6)
    ws = ws / ws.norm(dim=-1, keepdim=True) * 2.5
    for found, layers in zip(geocross(ws), ws.numpy(), strict=True):
        cosines = np.clip(layers @ layers.T / 2.5**2, -1, 1)
        angles = np.arccos(cosines)
        assert found.item() == pytest.approx(64 * (angles**2).mean(), rel=1e-6)


def test_geocross_of_equal_layers_is_nothing_and_has_a_gradient() -> None:
    ws = randn(2, 1, 5).expand(-1, 3, -1).clone().requires_grad_(True)
    found = geocross(ws)
    found.sum().backward()
    assert found.max() < 1e-10 and ws.grad.isfinite().all()


def test_loss_by_hand() -> None:
    y, ws = randn(1, 1, 4, 4), randn(3, 2, 5)
    y_hat = y + torch.tensor([0.01, 0.2, 1.0], dtype=torch.float64)[:, None, None, None]
    errors = [2e-3, 0.01, 0.25]  # the first is (0.01 / 2)^2, less than what counts
    expected = [100 * e + 0.05 * g.item() for e, g in zip(errors, geocross(ws), strict=True)]
    assert pulse_loss(y_hat, y, ws).tolist() == pytest.approx(expected)


# ---- the search ----


def test_rate_rises_falls_and_drops() -> None:
    config = PulseConfig(num_steps=100, lr=0.4)
    rates = [config.rate(step) for step in range(101)]
    assert (rates[0], rates[45], rates[90]) == pytest.approx((0.04, 0.4, 0.04))
    assert (rates[95], rates[100]) == pytest.approx((0.4 * 0.0505, 0.0004))
    assert max(rates) == rates[45]


@pytest.mark.parametrize("name", ["num_steps", "lr"])
def test_settings_must_be_positive(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        PulseConfig(**{name: 0})


def bowl(x: Tensor) -> Tensor:
    return (x - 1).square().sum((1, 2)) + x.pow(4).sum((1, 2)) / 10


def test_iterates_are_those_of_torch_adam_brought_back_to_the_sphere() -> None:
    start, config, ours = randn(3, 2, 5), PulseConfig(num_steps=20), []

    def recording(x: Tensor) -> Tensor:
        ours.append(x.detach().clone())
        return bowl(x)

    list(spherical_adam(recording, start, config))
    theirs = start.clone().requires_grad_(True)
    adam = torch.optim.Adam([theirs])
    assert len(ours) == 20
    for step in range(20):
        torch.testing.assert_close(ours[step], theirs.detach())
        adam.param_groups[0]["lr"] = config.rate(step)
        adam.zero_grad()
        bowl(theirs).sum().backward()
        adam.step()
        with torch.no_grad():
            theirs *= start.norm(dim=-1, keepdim=True) / theirs.norm(dim=-1, keepdim=True)


def test_each_sample_keeps_its_best() -> None:
    seen = []

    def recording(x: Tensor) -> Tensor:
        seen.append(bowl(x).detach())
        return bowl(x)

    *_, state = spherical_adam(recording, randn(6, 2, 5), PulseConfig(num_steps=30, lr=3.0))
    values = torch.stack(seen)
    torch.testing.assert_close(state.best_value, values.amin(0))
    torch.testing.assert_close(bowl(state.best_x), values.amin(0))
    assert (values[-1] > values.amin(0)).any(), "a poor example: the last is always the best"


# ---- candidates ----


def inverter(kind: type = PulseInverter, **options: object) -> PulseInverter:
    y = as_measurement(as_file(measured(picture_of(G, seed=1), 12)))
    config = InversionConfig(chunk=2, output_side=SIDE)
    return kind(
        G=G,
        prior=LatentPrior.fit(G, 5000),
        input=small_input(y, Frame(12), Canvas(SIDE, SIDE, config)),
        start=lambda noise: noise / 2,
        config=config,
        seed=0,
        **options,
    )


def joined(found: list[Candidates], name: str) -> Tensor:
    return torch.cat([getattr(part, name) for part in found])


def test_candidates_differ_come_nearer_and_cost_what_is_published() -> None:
    made = inverter(pulse=PulseConfig(num_steps=25))
    with counted(G) as count:
        found = list(made.candidates(3))
    assert count.pictures == 2 * 2 * (25 + 1)
    start = list(inverter(pulse=PulseConfig(num_steps=1)).candidates(3))
    after, before = (joined(f, "residual_before_rms_255") for f in (found, start))
    assert (after < 0.8 * before).all()
    ws = joined(found, "ws").flatten(1)
    assert torch.cdist(ws, ws).fill_diagonal_(math.inf).min() > 0.1


def test_candidates_stay_on_the_sphere_of_independent_numbers() -> None:
    """By the published prior: mean and deviation of each number of u, layer by layer."""
    made = inverter(pulse=PulseConfig(num_steps=10))
    found, start = (list(m.candidates(2)) for m in (made, inverter(pulse=PulseConfig(num_steps=1))))
    u = {
        name: torch.nn.functional.leaky_relu(joined(f, "ws") / math.sqrt(2), 5)
        for name, f in (("found", found), ("start", start))
    }
    deviations = (made.prior.sqrt_cov @ made.prior.sqrt_cov).diagonal().sqrt()
    lengths = {name: ((t - made.prior.mean) / deviations).norm(dim=-1) for name, t in u.items()}
    torch.testing.assert_close(lengths["found"], lengths["start"], rtol=1e-3, atol=0)
    assert (u["found"] - u["start"]).abs().max() > 0.1
    torch.testing.assert_close(
        -joined(found, "log_prior") * 2, lengths["found"].square().sum(1), rtol=1e-3, atol=0
    )


def test_fewer_candidates_are_the_first_of_more() -> None:
    made = inverter(pulse=PulseConfig(num_steps=3))
    fewer, more = (joined(list(made.candidates(num)), "ws") for num in (1, 3))
    assert torch.equal(fewer, more[:1])


def test_options_say_what_was_searched_by() -> None:
    options = inverter().options
    assert (options["num_steps"], options["lr"], options["chunk"]) == (100, 0.4, 2)
    assert "tolerance" not in options


def test_guesses_are_where_candidates_start() -> None:
    made, told = inverter(Guesses), []
    object.__setattr__(made, "start", lambda noise: told.append(noise) or noise / 2)
    with counted(G) as count:
        found = list(made.candidates(3))
    assert count.pictures == 2 * 2 and made.options["num_steps"] == 0
    expected = torch.cat(told)[:3] / 2
    for w in joined(found, "ws").unbind(1):
        torch.testing.assert_close(made.prior.from_w(w), expected, rtol=0, atol=1e-4)
    torch.testing.assert_close(joined(found, "log_prior"), -expected.square().sum(1) / 2)
