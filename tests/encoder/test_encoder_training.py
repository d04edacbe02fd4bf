"""Training the encoder: its schedule, its figures against numpy, and bit-exact resuming."""

import copy
import math

import numpy as np
import pytest
import torch
from tiny_models import digest, small_resnet

from encoder import Encoder, EncoderConfig
from encoder.training import (
    EncoderTrainer,
    EncoderTrainingConfig,
    evaluate,
    predict,
    set_residual_covariance,
    train,
)
from engine.states import load_state, publish_state, resolve_state
from stylegan.checkpoint import CheckpointError
from stylegan.config import ConfigError

DIM = 6
RECIPE = {"total_steps": 8, "warmup": 2, "lr": 1e-3}


@pytest.fixture(autouse=True)
def small_backbone(monkeypatch):
    monkeypatch.setattr("encoder.backbone.resnet50", small_resnet)


def tiny_trainer(seed=0, generator_sha256="a", **recipe):
    torch.manual_seed(seed)
    config = EncoderTrainingConfig(**RECIPE | recipe)
    return EncoderTrainer(Encoder(EncoderConfig(DIM, generator_sha256, 16)), config)


def pairs(step, num=8):
    """Pictures whose brightness in six places is the latent."""
    generator = torch.Generator().manual_seed(step)
    v = torch.randn(num, DIM, generator=generator)
    coarse = v.view(num, 1, 2, 3)
    return torch.nn.functional.interpolate(coarse, (16, 16)).tanh(), v


def advance(trainer, first, last):
    for step in range(first, last):
        trainer.step(*pairs(step))
    return trainer


# --- the recipe --------------------------------------------------------------------------------


def test_learning_rate_rises_and_falls():
    config = EncoderTrainingConfig(total_steps=1000, lr=2e-3, warmup=100)
    by_hand = {
        0: 2e-3 * 1 / 100,
        49: 2e-3 * 50 / 100 * (1 + math.cos(math.pi * 0.049)) / 2,
        99: 2e-3 * (1 + math.cos(math.pi * 0.099)) / 2,
        250: 2e-3 * (2 + math.sqrt(2)) / 4,
        500: 1e-3,
        750: 2e-3 * (2 - math.sqrt(2)) / 4,
        1000: 0,
    }
    for step, rate in by_hand.items():
        assert config.learning_rate(step) == pytest.approx(rate, rel=1e-9, abs=1e-15), step


def test_learning_rate_without_warmup():
    assert EncoderTrainingConfig(total_steps=10, lr=0.5, warmup=0).learning_rate(0) == 0.5


def test_the_optimiser_follows_the_schedule():
    trainer = tiny_trainer()
    for step in range(3):
        trainer.step(*pairs(step))
        expected = trainer.config.learning_rate(step)
        assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(expected)


def test_a_run_of_no_steps_is_refused():
    with pytest.raises(ConfigError, match="total_steps is 0"):
        EncoderTrainingConfig(total_steps=0)


# --- figures -----------------------------------------------------------------------------------


def test_figures_against_numpy():
    rng = np.random.default_rng(0)
    v, noise = rng.normal(size=(200, DIM)) * np.arange(1, 7) + 5, rng.normal(size=(200, DIM))
    to_w = rng.normal(size=(DIM, 4))
    result = evaluate(
        torch.from_numpy(v + noise), torch.from_numpy(v), lambda x: x @ torch.from_numpy(to_w)
    )
    assert result.mse_v == pytest.approx(np.mean(noise**2))
    assert result.r2_v == pytest.approx(1 - np.sum(noise**2) / np.sum((v - v.mean(0)) ** 2))
    w, w_noise = v @ to_w, noise @ to_w
    assert result.mse_w == pytest.approx(np.mean(w_noise**2))
    assert result.r2_w == pytest.approx(1 - np.sum(w_noise**2) / np.sum((w - w.mean(0)) ** 2))


def test_r2_of_the_mean_is_0_and_of_the_truth_1():
    v = torch.randn(50, DIM, generator=torch.Generator().manual_seed(0)) + 3
    result = evaluate(v.mean(0).expand_as(v), v, lambda x: x)
    assert result.r2_v == pytest.approx(0, abs=1e-6)
    assert evaluate(v, v, lambda x: x).r2_w == 1
    assert evaluate(v + 10, v, lambda x: x).r2_v < -10


def test_residual_covariance_against_numpy():
    encoder = tiny_trainer().encoder
    rng = np.random.default_rng(1)
    v, guess = rng.normal(size=(2, 300, DIM)) @ rng.normal(size=(DIM, DIM))
    set_residual_covariance(encoder, torch.from_numpy(guess), torch.from_numpy(v))
    expected = (v - guess).T @ (v - guess) / 300
    root = encoder.residual_sqrt_cov.double().numpy()
    np.testing.assert_allclose(root @ root.T, expected, rtol=1e-5, atol=1e-5)


def test_prediction_is_per_sample_and_changes_nothing():
    encoder = tiny_trainer().encoder
    y, _ = pairs(0, 7)
    before = digest(dict(encoder.state_dict()))
    guess = predict(encoder, y, batch=3)
    assert not encoder.training
    for k in range(7):
        torch.testing.assert_close(predict(encoder, y[k : k + 1])[0], guess[k], rtol=0, atol=1e-5)
    assert digest(dict(encoder.state_dict())) == before


# --- steps -------------------------------------------------------------------------------------


def test_reported_loss_is_the_error_of_the_guess():
    trainer = tiny_trainer()
    y, v = pairs(0)
    reported = trainer.step(y, v)
    with torch.no_grad():
        guess = tiny_trainer().encoder(y).double().numpy()  # the same weights, in training mode
    assert reported.item() == pytest.approx(np.square(guess - v.numpy()).mean(), rel=1e-5)
    assert not reported.requires_grad


def test_it_learns():
    trainer = tiny_trainer(total_steps=60, lr=3e-3)
    losses = [loss.item() for _, loss in train(trainer, pairs)]
    assert len(losses) == 60
    assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:3])
    y, v = pairs(999, 100)
    assert evaluate(predict(trainer.encoder, y), v, lambda x: x).r2_v > 0.2


def test_a_step_after_a_look_is_in_training_mode():
    """Normalisation must use the batch again after `predict` has used the averages."""
    looked, not_looked = tiny_trainer(), tiny_trainer()
    predict(looked.encoder, pairs(0)[0])
    assert digest(advance(looked, 0, 1).state_dict()) == digest(
        advance(not_looked, 0, 1).state_dict()
    )


def test_bfloat16_is_close_to_float32():
    exact, coarse = (tiny_trainer(precision=p).step(*pairs(0)).item() for p in ("fp32", "bf16"))
    assert coarse == pytest.approx(exact, rel=0.05)
    assert coarse != exact


def test_training_ends_at_the_total():
    asked, trainer = [], tiny_trainer(total_steps=3)

    def stream(step):
        asked.append(step)
        return pairs(step)

    assert [step for step, _ in train(trainer, stream)] == [1, 2, 3]
    assert list(train(trainer, stream)) == []
    assert asked == [0, 1, 2]


# --- resuming ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def states():
    """After 2 steps, and after 4 of the same run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("encoder.backbone.resnet50", small_resnet)
        halfway = advance(tiny_trainer(), 0, 2).state_dict()
        straight = digest(advance(tiny_trainer(), 0, 4).state_dict())
    return halfway, straight


def test_resuming_is_bit_exact(tmp_path, states):
    halfway, straight = states
    publish_state(tmp_path, 2, halfway)
    fresh = tiny_trainer(seed=77)
    fresh.load_state_dict(load_state(resolve_state(tmp_path)))
    assert digest(advance(fresh, 2, 4).state_dict()) == straight


@pytest.mark.parametrize("part", ["step_count", "encoder", "optimizer"])
def test_every_part_of_the_state_matters(states, part):
    halfway, straight = states
    assert set(halfway) == {"generator_sha256", "step_count", "encoder", "optimizer"}
    fresh = tiny_trainer(seed=77)
    with pytest.raises(CheckpointError, match=part):
        fresh.load_state_dict({k: v for k, v in halfway.items() if k != part})
    whole = copy.deepcopy(halfway)  # an optimiser goes on in the tensors it is given
    fresh.load_state_dict({**whole, part: tiny_trainer(seed=77).state_dict()[part]})
    assert digest(advance(fresh, 2, 4).state_dict()) != straight


def test_the_state_of_another_generator_is_refused(states):
    for state in ({**states[0], "generator_sha256": "b"}, {"step_count": 3}):
        with pytest.raises(CheckpointError, match="of another generator") as caught:
            tiny_trainer().load_state_dict(state)
        assert caught.value.code == "E-MODEL-MISMATCH"
