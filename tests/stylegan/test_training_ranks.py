"""However many processes share a training, and in however many passes, it is the same one."""

import pytest
import torch
from ranks_case import finish, start
from tiny_models import real_batch, tiny_trainer

from engine.ranks import ALONE
from stylegan.adaptation import AdaptationConfig

BATCH, STEPS = 8, 8
RECIPE = {"batch": BATCH, "r1_interval": 4, "total_steps": STEPS, "anneal": 0.5}
ADAPTATION = AdaptationConfig(kimg=0.2, interval=2, initial_p=0.3)
RUN = """
import sys, torch
import test_training_ranks
from engine.ranks import joined
torch.set_num_threads(1)
with joined() as ranks:
    found = test_training_ranks.record(ranks, **eval(sys.argv[2]))
    torch.save(found, f"{sys.argv[1]}/{ranks.rank}.pt")
"""


def stream(step):
    """Pictures of one step, all of them."""
    return torch.cat([real_batch(2 * step), real_batch(2 * step + 1)])


def record(ranks=ALONE, **recipe):
    """Train; return the first gradients and all of the end."""
    trainer = tiny_trainer(adaptation=ADAPTATION, ranks=ranks, **RECIPE, **recipe)
    gradients = []
    for opt in (trainer.g_opt, trainer.d_opt):
        opt.adam.register_step_pre_hook(
            lambda *_, opt=opt: gradients.append(torch.cat([opt.gradients, opt.sums]).clone())
        )
    losses = []
    for k in range(STEPS):
        reals = stream(k)[[position - k * BATCH for position in trainer.positions(k)]]
        step = trainer.step(reals)
        losses += [step.g_loss, step.d_loss, step.real_sign, step.fake_sign]
        losses += [] if step.r1 is None else [step.r1]
    first = gradients[:3]  # of D, of G, of R1
    return {"first": first, "losses": torch.stack(losses), "state": trainer.state_dict()}


def relative(found, expected):
    return ((found.double() - expected.double()).norm() / expected.double().norm()).item()


def assert_same(found, expected):
    for mine, theirs in zip(found["first"], expected["first"], strict=True):
        assert relative(mine, theirs) < 1e-6
    assert relative(found["losses"], expected["losses"]) < 1e-4
    for part in ("G", "D", "G_ema"):
        mine, theirs = (
            torch.cat([v.flatten() for v in each["state"][part].values()])
            for each in (found, expected)
        )
        assert relative(mine, theirs) < 1e-4
    for part in ("step_count", "guard"):
        assert found["state"][part] == expected["state"][part]
    assert found["state"]["augmentation"] == pytest.approx(expected["state"]["augmentation"])


@pytest.fixture(scope="module")
def alone():
    return record()


@pytest.fixture(scope="module")
def group_of_two():
    return record(group=2)


def test_the_run_is_worth_comparing(alone):
    other = record(seed=1)
    assert relative(other["first"][0], alone["first"][0]) > 0.1
    assert 0 < alone["state"]["augmentation"]["p"] < 1


def test_two_processes_are_one(alone, tmp_path):
    finish(start(RUN, 2, args=[tmp_path, {}]))
    found = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    assert_same(found[0], alone)
    for mine, theirs in zip(*(f["state"]["G"].values() for f in found), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.slow
def test_four_processes_of_one_group_each(group_of_two, tmp_path):
    finish(start(RUN, 4, args=[tmp_path, {"group": 2}]))
    assert_same(torch.load(tmp_path / "0.pt"), group_of_two)


@pytest.mark.slow
def test_two_processes_in_two_passes_each(group_of_two, tmp_path):
    finish(start(RUN, 2, args=[tmp_path, {"group": 2, "batch_gpu": 2}]))
    assert_same(torch.load(tmp_path / "1.pt"), group_of_two)


def test_passes_are_one(alone):
    assert_same(record(batch_gpu=4), alone)
