"""Evaluations of the generator, against its own calls."""

import pytest
import torch

from inversion.config import InversionConfig
from inversion.counting import counted
from inversion.inputs import Canvas, small_input
from inversion.latent import LatentPrior
from inversion.operators import Frame
from inversion.pipeline import Inverter
from inversion.precondition import NUM_PROBES
from tests.inversion.tiny import SIDE, tiny_generator


def test_pictures_are_counted_inside_the_block_only() -> None:
    G = tiny_generator()
    ws = G.mapping(torch.randn(5, G.config.z_dim))
    with counted(G) as outer:
        G.synthesis(ws)
        with counted(G) as inner:
            G.synthesis(ws[:2].requires_grad_(True))
        G.synthesis(ws[:1], precision="bf16")
    G.synthesis(ws)
    assert (outer.pictures, inner.pictures) == (8, 2)


def test_counting_ends_with_an_error_too() -> None:
    G = tiny_generator()
    with pytest.raises(KeyError), counted(G) as count:
        raise KeyError
    G(torch.zeros(1, G.config.z_dim))
    assert count.pictures == 0


def test_an_inversion_costs_its_probes_steps_and_finished_pictures() -> None:
    """3 candidates in chunks of 2: two chunks of 4 steps and one finished picture each."""
    G = tiny_generator()
    config = InversionConfig(num_steps=4, tolerance=1e-9, chunk=2)
    inverter = Inverter(
        G=G,
        prior=LatentPrior.fit(G, 5000),
        input=small_input(torch.zeros(1, 1, 8, 8), Frame(8), Canvas(SIDE, SIDE, config)),
        start=lambda noise: noise,
        config=config,
        seed=0,
    )
    with counted(G) as count:
        list(inverter.candidates(3))
    assert count.pictures == NUM_PROBES + 2 * 2 * (4 + 1)
