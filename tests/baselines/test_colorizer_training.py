"""One step of the trainer beside the arithmetic of the papers, and what a resumed one needs."""

import numpy as np
import pytest
import torch
from colorizer_case import SIDE, faces, network, small
from tiny_models import digest

from baselines.colorizer import ColorizerNetwork, grey, resize
from baselines.lab import ab_of, lightness
from baselines.presets import PRESETS
from baselines.training import ColorizerTrainer, ColorizerTrainingConfig
from stylegan.checkpoint import CheckpointError
from stylegan.config import ConfigError


def trainer(name, steps=10, data="a", **changes):
    torch.manual_seed(0)
    return ColorizerTrainer(
        ColorizerNetwork(small(name, **changes)), ColorizerTrainingConfig(steps, data)
    )


def answer_of(one, x):
    """What the network answers in training, its statistics left as they were."""
    kept = {k: v.clone() for k, v in one.network.state_dict().items()}
    torch.manual_seed(one._dice("dropout").initial_seed())
    with torch.no_grad():
        answer = one.network.colour(one.network.see(grey(x), x))
    one.network.load_state_dict(kept)
    return answer


@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("convnet", lambda a, x: np.mean((a - x) ** 2)),
        ("cgan", lambda a, x: np.mean(np.abs(a - x))),
        ("cue", lambda a, x: np.mean(np.abs(a - x))),
        ("page", lambda a, x: np.mean(np.abs(a - x))),
    ],
)
def test_pixel_loss(name, loss):
    one, x = trainer(name), faces()
    expected = loss(answer_of(one, x).double().numpy(), x.double().numpy())
    found = one.step(x)
    assert found.pixel.item() == pytest.approx(expected, rel=1e-4)
    assert found.enlarger == 0
    assert (found.judge == 0) == (found.judged == 0) == (name == "convnet")


def test_lab_learns_a_and_b():
    one, x = trainer("lab"), faces()
    expected = (answer_of(one, x) - ab_of(x)).abs().mean()
    assert one.step(x).pixel.item() == pytest.approx(expected.item(), rel=1e-4)


def test_losses_of_the_game():
    """Log losses of both players: of the judge before it learns, of the other one after."""
    one, x = trainer("cgan"), faces()
    made, judge = answer_of(one, x), one.nets[1]

    def opinion(picture):
        with torch.no_grad():
            return torch.sigmoid(judge(grey(x), picture)).double().numpy()

    kept = {k: v.clone() for k, v in judge.state_dict().items()}
    expected = -(np.log(opinion(x)).mean() + np.log(1 - opinion(made)).mean()) / 2
    judge.load_state_dict(kept)
    found = one.step(x)
    assert found.judge.item() == pytest.approx(expected, rel=1e-4)
    judge.load_state_dict(
        {**judge.state_dict()} | {k: v for k, v in kept.items() if "running" in k}
    )
    assert found.judged.item() == pytest.approx(-np.log(opinion(made)).mean(), rel=1e-3)


def test_each_descent_moves_one_network_alone():
    one, x = trainer("cgan"), faces()
    before = [p.clone() for p in one.network.parameters()]
    y = grey(x)
    one._train_judge(y, x, torch.zeros_like(x))
    assert all(torch.equal(a, b) for a, b in zip(before, one.network.parameters(), strict=True))
    kept = [p.clone() for p in one.nets[1].parameters()]
    one._descend(0, one._judged(y, one.network.colour(y), 1.0))
    assert all(torch.equal(a, b) for a, b in zip(kept, one.nets[1].parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(before, one.network.parameters(), strict=True))


def test_l1_weighs_100():
    one, x = trainer("cgan"), faces()
    losses = []
    one._descend = lambda which, loss: losses.append(loss.item())
    found = one.step(x)
    assert losses == pytest.approx(
        [found.judge.item(), 100 * found.pixel.item() + found.judged.item()]
    )


@pytest.mark.parametrize("name", ["convnet", "lab"])
def test_it_learns(name):
    one, x = trainer(name, lr=2e-3), faces()
    first = one.step(x).pixel
    for _ in range(25):
        last = one.step(x).pixel
    assert last < 0.6 * first


def test_cascade_learns_to_enlarge():
    """Its first loss is that of what it was given: sizes from a quarter to the whole."""
    one, x = trainer("cascade", lr=2e-3), faces()
    sides = {int(torch.randint(8, 32, [], generator=g)) for g in dice(one, 50)}
    assert min(sides) == 8 and max(sides) == 31
    small_grey = resize(grey(x), 8)
    before = (resize(small_grey, SIDE) - grey(x)).abs().mean()
    for _ in range(40):
        assert one.step(x).enlarger > 0
    with torch.no_grad():
        after = (one.network.eval().enlarge(small_grey) - grey(x)).abs().mean()
    assert after < before


def test_cascade_colours_what_it_has_enlarged():
    one, x = trainer("cascade"), faces()
    seen = []
    one.network.colour.register_forward_hook(lambda net, args, out: seen.append(args[0]))
    one.step(x)
    assert not torch.equal(seen[0], lightness(grey(x))) and not seen[0].requires_grad


def dice(one, num):
    for one.step_count in range(num):
        yield one._dice("side")
    one.step_count = 0


@pytest.mark.parametrize("name", ["cue", "page", "cascade"])
def test_resumed_training_is_the_same_bit_for_bit(name):
    """With dropout in either network, and sizes drawn at random."""
    straight, x = trainer(name), faces()
    for _ in range(3):
        straight.step(x)
    first = trainer(name)
    first.step(x)
    second = trainer(name)
    second.load_state_dict(first.state_dict())
    torch.manual_seed(99)
    for _ in range(2):
        second.step(x)
    assert digest(second.state_dict()) == digest(straight.state_dict())


@pytest.mark.parametrize("change", [{"sees": "canny"}, {"width": 8}, {"data": "b"}])
def test_states_of_other_runs_are_refused(change):
    state = trainer("cgan").state_dict()
    with pytest.raises(CheckpointError, match="does not fit this run"):
        trainer("cgan", **change).load_state_dict(state)


def test_impossible_length():
    with pytest.raises(ConfigError, match="total_steps is 0"):
        ColorizerTrainingConfig(0, "a")


def test_every_network_can_be_built_at_its_full_size():
    for preset in PRESETS.values():
        with torch.device("meta"):
            ColorizerNetwork(preset)
    assert network("lab").config.side == SIDE
