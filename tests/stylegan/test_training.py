"""The recipe by hand, one step against independent arithmetic, and bit-exact resuming."""

import copy
import math

import numpy as np
import pytest
import torch
from on_gpu import Event, OnGpu
from tiny_models import (
    BATCH,
    D_CONFIG,
    digest,
    real_batch,
    tiny_discriminator,
    tiny_generator,
    tiny_trainer,
)

from stylegan import training
from stylegan.batching import draw_labels
from stylegan.config import ConfigError
from stylegan.generator import native_precision
from stylegan.guard import FiniteGuard, TrainingError
from stylegan.recipe import TrainingConfig
from stylegan.training import Trainer, train

R1_STEPS = 33


def parameters(module):
    return {name: value.detach().clone() for name, value in module.named_parameters()}


def recorded_inputs(modules):
    """Attach hooks that keep what each module is given and gives back."""
    records = [[] for _ in modules]
    for module, record in zip(modules, records, strict=True):
        module.register_forward_hook(
            lambda _, inputs, output, record=record: record.append(
                (inputs[0].detach().clone(), output.detach().clone())
            )
        )
    return records


# --- the recipe --------------------------------------------------------------------------------


def test_learning_rate_falls_as_a_half_cosine_over_the_last_share():
    config = TrainingConfig(total_steps=1000, anneal=0.3, lr_floor=0.25)
    by_hand = {0: 1, 350: 1, 700: 1, 850: 0.625, 1000: 0.25, 2000: 0.25}
    by_hand |= {800: 1 - 0.75 * 0.25, 900: 1 - 0.75 * 0.75}  # cos 60, cos 120 degrees
    for step, factor in by_hand.items():
        assert config.lr_factor(step) == pytest.approx(factor, rel=1e-12), step


def test_learning_rate_need_not_fall():
    for recipe in ({"anneal": 0.0}, {"lr_floor": 1.0}):
        config = TrainingConfig(total_steps=10, **recipe)
        assert {config.lr_factor(step) for step in range(11)} == {1.0}


def test_average_forgets_half_in_its_half_life():
    config = TrainingConfig(total_steps=1, batch=4, ema_kimg=0.1)
    assert config.ema_beta(10_000) ** 25 == pytest.approx(0.5)  # 25 batches are 100 pictures
    assert config.ema_beta(400) ** 5 == pytest.approx(0.5)  # ramp-up: 5% of 400 are 20 pictures
    assert config.ema_beta(2000) == config.ema_beta(10**9)
    assert config.ema_beta(0) == 0


def test_adam_is_corrected_for_lazy_regularisation():
    trainer = tiny_trainer(g_lr=2.5e-3, d_lr=2e-3)
    [g_group], [d_group] = trainer.g_opt.adam.param_groups, trainer.d_opt.adam.param_groups
    assert (g_group["lr"], g_group["betas"], g_group["eps"]) == (2.5e-3, (0, 0.99), 1e-8)
    assert d_group["lr"] * 17 == pytest.approx(2e-3 * 16)
    assert d_group["betas"][0] == 0
    assert d_group["betas"][1] ** 17 == pytest.approx(0.99**16, rel=1e-12)
    assert d_group["eps"] == 1e-8


@pytest.mark.parametrize(
    ("capabilities", "fp32", "expected"),
    [
        ({}, None, "fp32"),
        ({"avx512_bf16": False, "amx_bf16": False}, None, "fp32"),
        ({"avx512_bf16": True}, None, "bf16"),
        ({"amx_bf16": True}, None, "bf16"),
        ({"amx_bf16": True}, True, "fp32"),
        ({}, False, "bf16"),
    ],
)
def test_native_precision(monkeypatch, capabilities, fp32, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert native_precision(fp32) == expected


def test_native_precision_of_a_torch_that_does_not_say(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert native_precision() == "fp32"


@pytest.mark.parametrize(
    "recipe",
    [{"total_steps": 0}, {"batch": 0}, {"r1_interval": 0}, {"anneal": 1.1}, {"lr_floor": -0.1}],
)
def test_values_out_of_range_are_refused(recipe):
    with pytest.raises(ConfigError, match=f"{next(iter(recipe))} is"):
        TrainingConfig(**{"total_steps": 1, **recipe})


def test_a_batch_that_does_not_divide_is_refused_before_training():
    with pytest.raises(ConfigError, match="batch of 6"):
        tiny_trainer(batch=D_CONFIG.mbstd_group_size + 2)


# --- a run of 33 steps -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run():
    """33 steps of a short schedule: what was reported, and the learning rates in force."""
    trainer, rates = tiny_trainer(total_steps=40, g_lr=1e-3, d_lr=1e-3), []
    steps = []
    for k in range(R1_STEPS):
        steps.append(trainer.step(real_batch(k)))
        rates.append([o.adam.param_groups[0]["lr"] for o in (trainer.g_opt, trainer.d_opt)])
    return trainer, steps, rates


def test_r1_is_applied_every_16_steps_from_the_first(run):
    assert [k for k, step in enumerate(run[1]) if step.r1 is not None] == [0, 16, 32]
    assert all(step.r1.item() > 0 for step in run[1] if step.r1 is not None)


def test_optimisers_took_the_steps_they_should(run):
    trainer = run[0]
    assert {int(state["step"]) for state in trainer.g_opt.adam.state.values()} == {33}
    assert {int(state["step"]) for state in trainer.d_opt.adam.state.values()} == {33 + 3}


def test_both_optimisers_follow_the_schedule(run):
    for k, (g_lr, d_lr) in enumerate(run[2]):
        progress = min(max((k / 40 - 0.7) / 0.3, 0), 1)
        factor = 0.25 + 0.75 * (1 + math.cos(math.pi * progress)) / 2
        assert g_lr == pytest.approx(1e-3 * factor, rel=1e-9)
        assert d_lr == pytest.approx(1e-3 * 16 / 17 * factor, rel=1e-9)


def test_steps_and_pictures_are_counted(run):
    assert [(s.step, s.num_images) for s in run[1]] == [(k, BATCH * k) for k in range(1, 34)]


# --- one step ----------------------------------------------------------------------------------


def test_generator_average_is_the_lerp():
    trainer = tiny_trainer(ema_kimg=0.02, ema_rampup=1.0)
    trainer.step(real_batch(0))
    before = parameters(trainer.G_ema)
    trainer.step(real_batch(1))
    beta = 0.5 ** (4 / 8)  # 8 pictures seen, half-life min(20, 8 x 1.0)
    live, moved = parameters(trainer.G), 0
    for name, averaged in parameters(trainer.G_ema).items():
        expected = beta * before[name].double() + (1 - beta) * live[name].double()
        np.testing.assert_allclose(averaged, expected, rtol=1e-6, atol=1e-6)
        moved += not torch.equal(before[name], live[name])
    assert moved > 10
    for name, buffer in trainer.G.named_buffers():
        assert torch.equal(buffer, dict(trainer.G_ema.named_buffers())[name]), name


def test_average_latent_and_magnitudes():
    trainer = tiny_trainer(magnitude_half_life=100, w_avg_decay=0.9)
    layers = list(trainer.G.synthesis.layers)
    mapping, *signals = recorded_inputs([trainer.G.mapping, *layers])
    w_avg, magnitudes = np.zeros(16), [1.0] * len(layers)
    for k in range(2):
        trainer.step(real_batch(k))
        w = mapping[k][1][:, 0].double().numpy()
        w_avg = 0.9 * w_avg + 0.1 * w.mean(0)
        decay = 0.5 ** (4 / 100)
        for i, record in enumerate(signals):
            mean_square = np.square(record[k][0].double().numpy()).mean()
            magnitudes[i] = decay * magnitudes[i] + (1 - decay) * mean_square
    assert [len(record) for record in (mapping, *signals)] == [2] * (len(layers) + 1)
    np.testing.assert_allclose(trainer.G.mapping.w_avg, w_avg, rtol=1e-5, atol=1e-7)
    found = [layer.magnitude_ema.item() for layer in layers]
    np.testing.assert_allclose(found, magnitudes, rtol=1e-5)
    assert all(abs(value - 1) > 1e-3 for value in found), "a layer was left out"


@pytest.mark.parametrize("loss", ["generator_loss", "discriminator_loss", "r1_penalty"])
def test_a_gradient_that_is_not_finite_changes_nothing(monkeypatch, loss):
    trainer = tiny_trainer()
    honest, before = getattr(training, loss), parameters(trainer.G)
    monkeypatch.setattr(training, loss, lambda *args: honest(*args) * float("inf"))
    trainer.step(real_batch())
    kept = all(torch.equal(v, before[k]) for k, v in trainer.G.named_parameters())
    assert kept == (loss == "generator_loss")
    weights = [t for module in (trainer.G, trainer.D) for t in module.state_dict().values()]
    states = [opt.adam.state.values() for opt in (trainer.g_opt, trainer.d_opt)]
    moments = [state["exp_avg_sq"] for each in states for state in each]
    assert all(t.isfinite().all() for t in (*weights, *moments))
    assert trainer.guard.skipped == 1
    monkeypatch.undo()
    trainer.step(real_batch(1))
    assert trainer.guard.state_dict() == {"skipped": 1, "in_a_row": 0, "recent": [1]}


def test_reported_losses():
    trainer = tiny_trainer()
    [drawn] = recorded_inputs([trainer.G.synthesis])
    D, reals = copy.deepcopy(trainer.D), real_batch()
    step = trainer.step(reals)
    with torch.no_grad():
        real, fake = D(reals).double().numpy(), D(drawn[0][1]).double().numpy()
    expected = np.log1p(np.exp(-real)).mean() + np.log1p(np.exp(fake)).mean()
    assert step.d_loss.item() == pytest.approx(expected, rel=1e-5)
    assert step.real_sign.item() == pytest.approx(np.sign(real).mean())
    assert not step.d_loss.requires_grad and not step.g_loss.requires_grad


def test_gradient_of_r1_has_its_weight():
    """What the discriminator's second update descends on is gamma / 2 x 16 x E |grad D|^2."""
    trainer, reals, seen = tiny_trainer(gamma=3.0), real_batch(), []

    def record(*_):
        seen.append((copy.deepcopy(trainer.D), [p.grad.clone() for p in trainer.D.parameters()]))

    trainer.d_opt.adam.register_step_pre_hook(record)
    trainer.step(reals)
    (_, _), (D, grads) = seen
    D.zero_grad()
    x = reals.clone().requires_grad_()
    (slope,) = torch.autograd.grad(D(x).sum(), x, create_graph=True)
    (3.0 / 2 * 16 * sum(s.square().sum() for s in slope) / BATCH).backward()
    assert D.epilogue.out.bias.grad is None  # no slope depends on it
    expected = [torch.zeros_like(p) if p.grad is None else p.grad for p in D.parameters()]
    for mine, theirs in zip(grads, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


def test_latents_are_new_in_every_step_and_follow_the_seed():
    drawn = []
    for seed in (0, 1):
        trainer = tiny_trainer(seed=0)
        trainer.config = TrainingConfig(total_steps=10, batch=BATCH, seed=seed)
        [record] = recorded_inputs([trainer.G.mapping])
        for k in range(2):
            trainer.step(real_batch(k))
        drawn += [z for z, _ in record]
    assert len({digest(z) for z in drawn}) == 4
    assert abs(torch.cat(drawn).std().item() - 1) < 0.2


# --- the learning signal -----------------------------------------------------------------------


def test_discriminator_learns_and_leaves_the_generator_alone():
    trainer = tiny_trainer(g_lr=0.0, gamma=0.0)
    before = parameters(trainer.G)
    losses = [trainer.step(real_batch()).d_loss.item() for _ in range(20)]
    assert np.mean(losses[-3:]) < losses[0] - 0.3
    assert all(torch.equal(p, before[name]) for name, p in parameters(trainer.G).items())


def test_generator_learns_and_leaves_the_discriminator_alone():
    trainer = tiny_trainer(d_lr=0.0)
    before = parameters(trainer.D)
    losses = [trainer.step(real_batch()).g_loss.item() for _ in range(20)]
    assert np.mean(losses[-3:]) < losses[0] - 0.1
    assert all(torch.equal(p, before[name]) for name, p in parameters(trainer.D).items())


def test_r1_flattens_the_discriminator():
    slopes = []
    for gamma in (0.0, 50.0):
        trainer = tiny_trainer(g_lr=0.0, gamma=gamma, r1_interval=1)
        slopes.append([trainer.step(real_batch()).r1.item() for _ in range(10)][-1])
    assert slopes[1] < 0.5 * slopes[0]


def test_a_step_in_bfloat16_is_near_the_one_in_float32():
    exact, coarse = (tiny_trainer(precision=p).step(real_batch()) for p in ("fp32", "bf16"))
    for name in ("g_loss", "d_loss", "r1"):
        expected = pytest.approx(getattr(exact, name).item(), rel=0.1)
        assert getattr(coarse, name).item() == expected, name
    assert coarse.g_loss != exact.g_loss


def test_gradients_of_float16_are_scaled_on_the_way_and_not_at_its_end(monkeypatch):
    """Gradients of a ten thousandth of their size: unscaled, float16 loses most of them."""
    for name in ("generator_loss", "discriminator_loss"):
        honest = getattr(training, name)
        monkeypatch.setattr(training, name, lambda *args, f=honest: 1e-4 * f(*args))
    found = {}
    for precision in ("fp32", "fp16"):
        trainer = tiny_trainer(precision=precision)
        kept = []
        for opt in (trainer.d_opt, trainer.g_opt):
            opt.adam.register_step_pre_hook(lambda *_, o=opt, k=kept: k.append(o.gradients.clone()))
        trainer.step(real_batch())
        found[precision] = kept[:2]
    for exact, coarse in zip(found["fp32"], found["fp16"], strict=True):
        assert (coarse - exact).norm() < 0.05 * exact.norm()


# --- the loop ----------------------------------------------------------------------------------


def test_training_ends_at_the_total():
    trainer = tiny_trainer(total_steps=2)
    stream = iter((real_batch(k), None) for k in range(10))
    assert [step.step for step in train(trainer, stream)] == [1, 2]
    assert len(list(stream)) == 8, "a batch was taken that no step used"
    assert list(train(trainer, iter([(real_batch(), None)]))) == []


# --- classes -----------------------------------------------------------------------------------


def test_conditional_networks_learn_from_their_labels():
    """Reals come with their own labels, fakes with those of pictures drawn from the set."""
    labels = torch.eye(3)[[2, 1, 0, 2, 2]]
    trainer = tiny_trainer(labels=labels)
    mapping, D = recorded_calls(trainer.G.mapping), recorded_calls(trainer.D)
    c = torch.eye(3)[[0, 1, 2, 0]]
    trainer.step(real_batch(), c)
    [(_, fake_c)] = mapping
    assert torch.equal(fake_c, draw_labels(0, "training", range(BATCH), labels))
    given = [call[1] for call in D]  # real, fake, generator, R1
    assert all(torch.equal(a, b) for a, b in zip(given, (c, fake_c, fake_c, c), strict=True))


def recorded_calls(module):
    calls = []
    module.register_forward_pre_hook(lambda _, inputs: calls.append(inputs))
    return calls


def test_frozen_layers_stay():
    D = tiny_discriminator()
    D.from_rgb.requires_grad_(False)
    before = parameters(D)
    trainer = Trainer(tiny_generator(), D, TrainingConfig(total_steps=5, batch=BATCH))
    for k in range(2):
        trainer.step(real_batch(k))
    kept = {name for name, value in parameters(D).items() if torch.equal(value, before[name])}
    assert kept == {"from_rgb.weight", "from_rgb.bias"}
    assert not any(p.requires_grad for p in D.from_rgb.parameters())


def test_guard_of_a_gpu_looks_later(monkeypatch):
    """Norms on a GPU are read four steps later; no count is lost, the state has all of them."""
    monkeypatch.setattr(torch.cuda, "Event", Event)
    guard = FiniteGuard()
    for step in range(1, 12):
        guard.observe(step, [torch.tensor(math.nan if step > 5 else 1.0).as_subclass(OnGpu)])
        assert guard.skipped == max(step - 4 - 5, 0)
    assert guard.state_dict() == {"skipped": 6, "in_a_row": 6, "recent": list(range(6, 12))}
    with pytest.raises(TrainingError, match=r"step 18: .*9 in a row"):  # of which 14 is the ninth
        for step in range(12, 40):
            guard.observe(step, [torch.tensor(math.nan).as_subclass(OnGpu)])
