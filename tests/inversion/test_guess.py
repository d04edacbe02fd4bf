"""What an encoder gives the search beside its samples: each layer's share, and the curvature."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from inversion.config import InversionConfig
from inversion.counting import counted
from inversion.guesses import Guesses
from inversion.inputs import Canvas, small_input
from inversion.latent import LatentPrior
from inversion.operators import Frame
from inversion.pipeline import Inverter
from tests.inversion.tiny import SIDE, tiny_generator

CONFIG = InversionConfig(num_steps=3, chunk=2, output_side=SIDE, tolerance=0)


@pytest.fixture(scope="module")
def inverter() -> Inverter:
    G, y = tiny_generator(), torch.linspace(-0.5, 0.5, 64).view(1, 1, 8, 8)
    given = small_input(y, Frame(8), Canvas(SIDE, SIDE, CONFIG))
    return Inverter(G, LatentPrior.fit(G, 5000), given, lambda noise: noise / 2, CONFIG, seed=0)


def pictures_of(inverter: Inverter) -> int:
    with counted(inverter.G) as count:
        list(inverter.candidates(2))
    return count.pictures


def test_a_stored_curvature_costs_nothing(inverter: Inverter) -> None:
    stored = replace(inverter, curvature=inverter.measured_curvature(8, 8))
    assert pictures_of(stored) == 2 * (3 + 1)
    assert pictures_of(inverter) == 2 * (3 + 1) + 64


def test_a_stored_curvature_serves_as_a_measured_one(inverter: Inverter) -> None:
    stored = replace(inverter, curvature=inverter.measured_curvature())
    [one], [other] = (list(i.candidates(2)) for i in (inverter, stored))
    assert torch.equal(one.ws, other.ws)


def starts(inverter: Inverter) -> Tensor:
    """Return x where the search begins: no step changes it."""
    unmoved = replace(inverter, config=replace(CONFIG, num_steps=1))
    return unmoved.search(range(2), lambda step: None)[0]


def test_the_search_begins_at_the_guess_and_the_anchors_shares(inverter: Inverter) -> None:
    dim, num_ws = inverter.prior.dim, inverter.prior.num_ws
    anchor = inverter._anchor(range(2))
    share = torch.randn(1, num_ws, dim)
    torch.testing.assert_close(
        starts(inverter), torch.cat([anchor[:, :dim] / 2, anchor[:, dim:]], 1), rtol=0, atol=1e-4
    )
    moved = anchor[:, dim:] + share.view(1, -1) / CONFIG.delta_std
    expected = torch.cat([anchor[:, :dim] / 2, moved], dim=1)
    torch.testing.assert_close(starts(replace(inverter, share=share)), expected, rtol=0, atol=1e-4)


def test_guesses_wear_the_share_and_no_anchors(inverter: Inverter) -> None:
    share = torch.randn(1, inverter.prior.num_ws, inverter.prior.dim)
    problem = (inverter.G, inverter.prior, inverter.input, inverter.start, CONFIG, 0)
    v, ws = Guesses(*problem, share=share).search(range(2), lambda step: None)
    assert torch.equal(v, inverter._anchor(range(2))[:, : inverter.prior.dim] / 2)
    assert torch.equal(ws, inverter.prior.to_ws(v, share))
