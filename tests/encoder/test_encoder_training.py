"""Training the encoder: schedule, losses and figures against arithmetic, bit-exact resuming."""

import copy
import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from tiny_models import digest, small_resnet

from encoder import Encoder, EncoderConfig
from encoder.examination import examine, layer_groups, set_residual_covariance
from encoder.examples import Batch, RealPictures
from encoder.losses import ImageLoss, flow_losses
from encoder.model import Guess, Look
from encoder.training import EncoderTrainer, EncoderTrainingConfig, Losses, train
from engine.ranks import Ranks
from engine.states import load_state, publish_state, resolve_state
from stylegan.checkpoint import CheckpointError
from stylegan.config import ConfigError

DIM, NUM_WS, TOLD = 6, 4, 14
RECIPE = {"total_steps": 8, "warmup": 2, "lr": 1e-3, "batch": 8}


@pytest.fixture(autouse=True)
def small_backbone(monkeypatch):
    monkeypatch.setattr("encoder.backbone.resnet50", small_resnet)


def tiny_trainer(seed=0, generator_sha256="a", ranks=None, image_loss=None, **recipe):
    torch.manual_seed(seed)
    config = EncoderTrainingConfig(**RECIPE | recipe)
    encoder = Encoder(EncoderConfig(DIM, NUM_WS, generator_sha256, TOLD))
    return EncoderTrainer(encoder, config, ranks or Ranks(), image_loss)


def picture(v, delta=None):
    """Brightness in six places is the latent."""
    return torch.nn.functional.interpolate(v.view(-1, 1, 2, 3), (128, 128)).tanh()


def examples(indices, num_real=0):
    rows = [torch.randn(1, DIM, generator=torch.Generator().manual_seed(i)) for i in indices]
    v = torch.cat(rows)
    look = Look.at(picture(v), torch.zeros(len(v), TOLD))
    real = RealPictures(Look(look.canvas[:num_real], look.told[:num_real]), v[:num_real])
    return Batch(list(indices), look, v, picture, real if num_real else None)


def advance(trainer, first, last):
    for step in range(first, last):
        trainer.step(examples(trainer.config.indices(step, trainer.ranks)))
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
    assert EncoderTrainingConfig(total_steps=10, lr=0.5, warmup=0).learning_rate(0) == 0.5


def test_the_optimiser_follows_the_schedule():
    trainer = tiny_trainer()
    for step in range(3):
        advance(trainer, step, step + 1)
        expected = trainer.config.learning_rate(step)
        assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(expected)


def test_recipes_that_are_refused():
    for wrong, what in (({"total_steps": 0}, "total_steps is 0"), ({"passes": -1}, "passes is -1")):
        with pytest.raises(ConfigError, match=what):
            EncoderTrainingConfig(**RECIPE | wrong)
    with pytest.raises(ConfigError, match="batch of 8: it does not go into 3 equal parts"):
        tiny_trainer(ranks=Ranks(0, 3))


def test_processes_share_a_step():
    config = EncoderTrainingConfig(**RECIPE)
    parts = [config.indices(3, Ranks(rank, 2)) for rank in range(2)]
    assert [*parts[0], *parts[1]] == [*config.indices(3, Ranks())] == [*range(8, 16)]


@pytest.mark.parametrize("passes", [0, 1, 2])
def test_corrections_look_at_the_examples_of_the_first_guess_again(passes):
    config = EncoderTrainingConfig(**RECIPE | {"passes": passes})
    firsts = [config.indices(step, Ranks()).start for step in range(12)]
    assert firsts == [8 * (step // (passes + 1)) for step in range(12)]


# --- figures -----------------------------------------------------------------------------------


@dataclass
class Answers:
    """An encoder that answers what it is given, in pieces, for layers of their own."""

    v: torch.Tensor
    delta: torch.Tensor
    flow: object

    def eval(self):
        self.at = 0

    def __call__(self, look):
        part = slice(self.at, self.at + len(look.canvas))
        self.at = part.stop
        return Guess(torch.zeros(len(look.canvas), 2048), self.v[part], self.delta[part])


def test_figures_against_numpy():
    rng = np.random.default_rng(0)
    v, noise = rng.normal(size=(2, 230, DIM)).astype(np.float32)
    delta = rng.normal(size=(230, NUM_WS, DIM)).astype(np.float32)
    batch = examples(range(230))
    batch = replace(batch, v=torch.from_numpy(v * np.arange(1, 7) + 5).float())
    flow = tiny_trainer().encoder.flow
    given = Answers(batch.v + torch.from_numpy(noise), torch.from_numpy(delta), flow)
    marks, errors = examine(given, batch, lambda v, delta: 2 * (v[:, None] + delta))
    truth = batch.v.double().numpy()
    np.testing.assert_allclose(errors, -noise, atol=1e-5)
    assert marks["mse_v"] == pytest.approx(np.mean(noise**2), rel=1e-5)
    spread = np.sum((truth - truth.mean(0)) ** 2)
    assert marks["r2_v"] == pytest.approx(1 - np.sum(noise**2) / spread, rel=1e-5)
    for name, layers in (("coarse", [0]), ("middle", [1, 2]), ("fine", [3])):
        wrong = 2 * (noise[:, None] + delta[:, layers])
        assert marks[f"mse_{name}"] == pytest.approx(np.mean(wrong**2), rel=1e-5), name
        of_group = np.mean(wrong**2) / (4 * spread / truth.size)
        assert marks[f"r2_{name}"] == pytest.approx(1 - of_group, rel=1e-4), name
    assert 0.5 < marks["flow_loss"]


def test_layer_groups_are_all_layers():
    for num in (3, 4, 14, 16, 18):
        groups = layer_groups(num).values()
        assert [i for g in groups for i in range(num)[g]] == [*range(num)]
        sizes = [g.stop - g.start for g in groups]
        assert max(sizes) - min(sizes) <= 2 and min(sizes) >= 1


def test_residual_covariance_against_numpy():
    encoder, rng = tiny_trainer().encoder, np.random.default_rng(1)
    errors = rng.normal(size=(300, DIM)) @ rng.normal(size=(DIM, DIM)) + 0.5
    set_residual_covariance(encoder, torch.from_numpy(errors))
    root = encoder.residual_sqrt_cov.double().numpy()
    np.testing.assert_allclose(root @ root.T, errors.T @ errors / 300, rtol=1e-5, atol=1e-5)


# --- losses ------------------------------------------------------------------------------------


def test_image_loss_against_numpy():
    guess = Guess(torch.zeros(2, 1), torch.randn(2, DIM), torch.randn(2, NUM_WS, DIM))
    found, x = torch.randn(2, 3, 8, 8), torch.randn(2, 3, 8, 8)
    asked = []
    loss = ImageLoss(
        render=lambda v, delta: asked.append((v, delta)) or found,
        measure=lambda x: 2 * x.mean(1, keepdim=True),
        perceptual=lambda a, b: (a - b).abs().mean((1, 2, 3)),
    )

    def squares(t):
        return np.square(t.numpy()).reshape(2, -1).mean(1)

    plain = squares(found - x) + 4 * squares(found.mean(1) - x.mean(1))
    plain += 0.1 * squares(guess.delta) + 0.01 * squares(guess.v)
    lpips = 0.8 * (found - x).abs().numpy().mean((1, 2, 3))
    np.testing.assert_allclose(loss(guess, x), plain + lpips, rtol=1e-5)
    np.testing.assert_allclose(replace(loss, perceptual=None)(guess, x), plain, rtol=1e-5)
    assert asked[0][0] is guess.v and asked[0][1] is guess.delta


def test_flow_losses_are_means_over_each_samples_own_places():
    encoder = tiny_trainer().encoder
    torch.nn.init.normal_(encoder.flow.leave.weight)
    v = torch.randn(3, DIM)
    guess = Guess(torch.randn(3, 2048), torch.randn(3, DIM), torch.zeros(3, NUM_WS, DIM))
    with torch.no_grad():
        together = flow_losses(encoder.flow, guess, v, 0, [5, 6, 7])
        alone = Guess(guess.features[1:2], guess.v[1:2], guess.delta[1:2])
        part = flow_losses(encoder.flow, alone, v[1:2], 0, [6])
        others = [flow_losses(encoder.flow, alone, v[1:2], *k) for k in ((1, [6]), (0, [6], 1))]
    assert part.item() == pytest.approx(together[1].item(), rel=1e-5)
    for other in others:
        assert part.item() != pytest.approx(other.item(), rel=1e-3)


# --- steps -------------------------------------------------------------------------------------


def test_reported_losses_are_those_of_the_guess():
    trainer = tiny_trainer()
    batch = examples(range(8))
    reported = trainer.step(batch)
    assert reported.mean.item() == pytest.approx(batch.v.square().mean().item(), rel=1e-5)
    noise_alone = flow_losses(
        tiny_trainer().encoder.flow, tiny_trainer().encoder(batch.look), batch.v, 0, batch.indices
    )
    assert reported.flow.item() == pytest.approx(noise_alone.mean().item(), rel=1e-5)
    assert not any(t.requires_grad for t in reported) and reported.image == 0


def test_it_learns():
    trainer = tiny_trainer(total_steps=60, passes=0)
    losses = [Losses(*told) for _, told in train(trainer, examples)]
    assert len(losses) == 60
    assert np.mean([x.mean for x in losses[-5:]]) < 0.6 * np.mean([x.mean for x in losses[:3]])
    marks, _ = examine(trainer.encoder, examples(range(9000, 9100)), lambda v, d: v[:, None] + d)
    assert marks["r2_v"] > 0.3 and marks["flow_loss"] < 0.98


def test_corrections_take_their_turns():
    trainer, asked = tiny_trainer(passes=2), []

    def measure(v, delta):
        asked.append(trainer.step_count)
        assert not v.requires_grad
        return picture(v)

    for step in range(6):
        trainer.step(replace(examples(trainer.config.indices(step, Ranks())), measure=measure))
    assert asked == [1, 2, 2, 4, 5, 5]


def test_real_pictures_teach_the_layers():
    loss = ImageLoss(lambda v, delta: v + delta.mean(1), lambda x: x)
    trainer = tiny_trainer(image_loss=loss, passes=0)
    assert not trainer.encoder.shares.weight.any()
    batch = examples(range(8), num_real=2)
    reported = trainer.step(batch)
    expected = 2 * batch.real.x.square().mean(1).sum() / 8  # pixels and luma of a guess of 0
    assert reported.image.item() == pytest.approx(expected.item(), rel=1e-5)
    assert trainer.encoder.shares.weight.any()
    assert not advance(tiny_trainer(passes=0), 0, 1).encoder.shares.weight.any()


def test_two_processes_learn_as_one(monkeypatch):
    """The sum over processes, played by two trainers that meet in a list."""
    alone = advance(tiny_trainer(passes=0), 0, 1)
    seen = []
    monkeypatch.setattr(Ranks, "sum_", lambda self, t: seen.append(t.clone()) or t)
    for rank in range(2):
        advance(tiny_trainer(ranks=Ranks(rank, 2), passes=0), 0, 1)
    monkeypatch.setattr(Ranks, "sum_", lambda self, t: t.copy_(seen[0] + seen[1]))
    together = advance(tiny_trainer(ranks=Ranks(1, 2), passes=0), 0, 1)
    for one, other in zip(alone.parameters, together.parameters, strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-3, atol=1e-6)
    told = alone._losses(examples(range(8)))
    assert len(seen[0]) == sum(p.numel() for p in alone.parameters) + len(told)


def test_training_ends_at_the_total():
    asked, trainer = [], tiny_trainer(total_steps=5)

    def stream(indices):
        asked.append(indices)
        return examples(indices)

    assert [step for step, _ in train(trainer, stream)] == [1, 2, 3, 4, 5]
    assert list(train(trainer, stream)) == []
    assert asked == [range(0, 8), range(8, 16), range(16, 24)]


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_a_resumed_run_sees_what_it_would_have_seen(stop):
    """Also in the middle of the turns of some examples."""
    seen, trainer = [], tiny_trainer(total_steps=4)
    trainer.step = lambda batch: seen.append(batch.indices[0]) or Losses(*torch.zeros(3))
    trainer.step_count = stop
    assert [step for step, _ in train(trainer, examples)] == [*range(stop + 1, 5)]
    assert seen == [0, 0, 8, 8][stop:]


# --- resuming ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def states():
    """After 2 steps, and after 4 of the same run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("encoder.backbone.resnet50", small_resnet)
        halfway = copy.deepcopy(advance(tiny_trainer(), 0, 2).state_dict())
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


def test_what_one_process_measures_is_no_part_of_the_state(states):
    trainer = advance(tiny_trainer(), 0, 2)
    set_residual_covariance(trainer.encoder, torch.randn(9, DIM))
    assert digest(trainer.state_dict()) == digest(states[0])


def test_the_state_of_another_generator_is_refused(states):
    for state in ({**states[0], "generator_sha256": "b"}, {"step_count": 3}):
        with pytest.raises(CheckpointError, match="of another generator") as caught:
            tiny_trainer().load_state_dict(state)
        assert caught.value.code == "E-MODEL-MISMATCH"
