"""A training that was interrupted goes on exactly as the unbroken one."""

import copy
import math

import pytest
from tiny_models import (
    BATCH,
    D_CONFIG,
    digest,
    real_batch,
    tiny_discriminator,
    tiny_generator,
    tiny_trainer,
)

from engine.states import load_state, publish_state, resolve_state
from stylegan.adaptation import AdaptationConfig
from stylegan.checkpoint import CheckpointError
from stylegan.recipe import TrainingConfig
from stylegan.training import Trainer

RECIPE = {"total_steps": 8, "anneal": 0.8, "r1_interval": 4}  # R1 in steps 0 and 4
ADAPTATION = AdaptationConfig(kimg=0.1, interval=2, initial_p=0.4)
PARTS = ("step_count", "G", "D", "G_ema", "g_opt", "d_opt", "augmentation", "guard")


def a_trainer(**kwargs):
    return tiny_trainer(adaptation=ADAPTATION, **RECIPE, **kwargs)


def advance(trainer, first, last):
    """Step; the second step's pictures are not finite, so that the discriminator skips it."""
    for k in range(first, last):
        trainer.step(real_batch(k) * (math.nan if k == 1 else 1))
    return trainer


@pytest.fixture(scope="module")
def straight():
    """The digest after six steps."""
    return digest(advance(a_trainer(), 0, 6).state_dict())


@pytest.fixture(scope="module")
def halfway():
    return advance(a_trainer(), 0, 3).state_dict()


@pytest.mark.parametrize("cut", [3, 4, 5])  # before the R1 step, just before, just after
def test_resuming_is_bit_exact(tmp_path, straight, cut):
    publish_state(tmp_path, cut, advance(a_trainer(), 0, cut).state_dict())
    fresh = a_trainer(seed=77)
    fresh.load_state_dict(load_state(resolve_state(tmp_path)))
    assert digest(advance(fresh, cut, 6).state_dict()) == straight


@pytest.mark.parametrize("part", PARTS)
def test_every_part_of_the_state_matters(halfway, straight, part):
    fresh = a_trainer(seed=77)
    assert set(halfway) == set(PARTS)
    with pytest.raises(CheckpointError, match=part):
        fresh.load_state_dict({k: v for k, v in halfway.items() if k != part})
    whole = copy.deepcopy(halfway)  # an optimiser goes on in the tensors it is given
    fresh.load_state_dict({**whole, part: a_trainer(seed=77).state_dict()[part]})
    assert digest(advance(fresh, 3, 6).state_dict()) != straight


def entries(state):
    return [(part, key) for part in ("G", "D", "G_ema", "g_opt", "d_opt") for key in state[part]]


def test_every_entry_of_the_state_matters(halfway):
    """Each tensor of a network must be there; each entry of an optimiser changes the outcome."""
    for part, key in entries(halfway):
        damaged = {**halfway, part: {k: v for k, v in halfway[part].items() if k != key}}
        fresh = a_trainer(seed=77)
        if part in ("G", "D", "G_ema"):
            with pytest.raises(CheckpointError, match="made with other options"):
                fresh.load_state_dict(damaged)
        else:
            fresh.load_state_dict(damaged)
            assert digest(fresh.state_dict()) != digest(halfway)


def test_state_of_other_networks_is_refused(halfway):
    other = Trainer(
        tiny_generator(),
        tiny_discriminator(config=type(D_CONFIG)(img_resolution=16, channel_base=64)),
        TrainingConfig(total_steps=8, batch=BATCH),
    )
    with pytest.raises(CheckpointError, match="made with other options") as caught:
        other.load_state_dict(halfway)
    assert caught.value.code == "E-MODEL-MISMATCH"


def test_state_holds_no_first_moments(halfway):
    for part in ("g_opt", "d_opt"):
        assert {key for entry in halfway[part].values() for key in entry} == {"step", "exp_avg_sq"}
