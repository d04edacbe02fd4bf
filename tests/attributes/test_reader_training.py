"""Training a reader: the loss against its definition, learning, resuming, and the exam."""

import copy

import numpy as np
import pytest
import torch
from reader_case import noise, random_truth, tiny_network, tiny_reader
from tiny_models import digest

from attributes.examination import Mark, examine, mean_accuracy, table
from attributes.pictures import Exam, Examples
from attributes.reader import Attributes
from attributes.schema import CHOICES, NUMBERS, QUALITIES, UNREADABLE, Truth
from attributes.training import ReaderTrainer, ReaderTrainingConfig, reading_loss, train
from stylegan.checkpoint import CheckpointError
from stylegan.config import ConfigError


def examples(step, num=8):
    pictures = np.random.default_rng(step).integers(0, 256, (num, 32, 32, 3), dtype=np.uint8)
    return Examples(pictures, random_truth(num, step))


def trainer(seed=0, total_steps=10, **recipe):
    return ReaderTrainer(tiny_network(seed), ReaderTrainingConfig(total_steps, **recipe))


def advance(learner, start, end):
    for step in range(start, end):
        learner.step(examples(step))
    return learner


# --- the loss ----------------------------------------------------------------------------------


def with_gaps(truth):
    choices, numbers = truth.choices.copy(), truth.numbers.copy()
    choices[1, 3] = choices[2, 3] = UNREADABLE
    numbers[0, 2] = np.nan
    return Truth(choices, numbers)


def test_the_loss_is_the_mean_surprise():
    reader, truth = tiny_reader(), with_gaps(random_truth(5))
    features = reader.features(noise(5, 32))
    seen, surprises = reader.read_features(features), []
    for k, name in enumerate(CHOICES):
        right = truth.choices[:, k]
        known = right != UNREADABLE
        surprises += (-np.log(seen.chances[name].numpy()[known, right[known]])).tolist()
    for k, (name, (_, unit)) in enumerate(NUMBERS.items()):
        guess, deviation = seen.numbers[name].numpy(), seen.deviations[name].numpy()
        z = (truth.numbers[:, k] - guess) / deviation
        density = z**2 / 2 + np.log(deviation / unit)
        surprises += density[np.isfinite(density)].tolist()
    assert len(surprises) == 5 * (len(CHOICES) + len(NUMBERS)) - 3
    loss = reading_loss(reader.network, features, truth).item()
    assert loss == pytest.approx(np.mean(surprises), rel=1e-4)


def test_what_cannot_be_read_has_no_gradient():
    network, truth = tiny_network(), random_truth(4)
    truth.choices[:, 0] = UNREADABLE
    truth.numbers[:, 0] = np.nan
    reading_loss(network, network.features(noise(4, 32)), truth).backward()
    first, num = len(CHOICES["gender"]), len(NUMBERS)
    gradient = network.heads.weight.grad.abs().sum(1)
    assert gradient.isfinite().all()
    unread = [*range(first), len(gradient) - 2 * num, len(gradient) - num]
    assert (gradient[unread] == 0).all()
    assert (gradient == 0).sum() == len(unread)


# --- learning ----------------------------------------------------------------------------------


def coloured(step, num=32):
    """Give pictures of one colour each, whose lightness tells the gender."""
    rng = np.random.default_rng(step)
    truth = random_truth(num, step)
    column = list(CHOICES).index("gender")
    levels = 40 + 120 * truth.choices[:, column] + rng.integers(0, 20, num)
    pictures = np.zeros((num, 32, 32, 3), np.uint8) + levels[:, None, None, None].astype(np.uint8)
    return Examples(pictures, truth)


def test_a_network_learns_what_there_is_to_learn():
    learner = trainer(total_steps=60, lr=1e-2, warmup=5)
    for _, _ in train(learner, map(coloured, range(100))):
        pass
    assert learner.step_count == 60
    reader, test = tiny_reader(), coloured(1000)
    reader.network = learner.network.eval()
    seen = reader.read(torch.from_numpy(test.pictures).permute(0, 3, 1, 2) / 127.5 - 1)
    right = test.truth.choices[:, list(CHOICES).index("gender")]
    assert (seen.chances["gender"].argmax(1).numpy() == right).mean() > 0.9
    assert seen.chances["outfit"].max() < 0.7, "sure of what it cannot know"


def test_bfloat16_is_close_to_float32():
    exact, coarse = (trainer(precision=p).step(examples(0)).item() for p in ("fp32", "bf16"))
    assert coarse == pytest.approx(exact, rel=0.05) and coarse != exact


def test_the_learning_rate_rises_and_falls():
    rates = [ReaderTrainingConfig(100, lr=1.0, warmup=10).learning_rate(k) for k in range(101)]
    assert np.argmax(rates) == 9 and rates[0] < 0.11 and rates[100] == pytest.approx(0)
    with pytest.raises(ConfigError, match="total_steps is 0"):
        ReaderTrainingConfig(0)


def test_resuming_is_bit_exact():
    straight = digest(advance(trainer(), 0, 4).state_dict())
    halfway = copy.deepcopy(advance(trainer(), 0, 2).state_dict())
    fresh = trainer(seed=7)
    fresh.load_state_dict(halfway)
    assert [step for step, _ in train(fresh, map(examples, range(2, 4)))] == [3, 4]
    assert digest(fresh.state_dict()) == straight


def test_other_states_are_refused():
    state = trainer().state_dict()
    for wrong in ({}, {**state, "config": {}}, {**state, "network": {}}):
        with pytest.raises(CheckpointError, match="does not fit this reader") as caught:
            trainer().load_state_dict(wrong)
        assert caught.value.code == "E-MODEL-MISMATCH"


# --- the exam ----------------------------------------------------------------------------------


class Oracle:
    """Reads colour pictures without a fault, and of grey ones always the first name and 0."""

    def __init__(self, truth):
        self.truth = truth

    def read(self, pictures):
        num, knows = len(pictures), pictures.shape[1] == 3
        choices = np.maximum(self.truth.choices, 0) * knows
        chances = {
            name: torch.eye(len(names))[choices[:num, k]]
            for k, (name, names) in enumerate(CHOICES.items())
        }
        numbers = torch.from_numpy(np.nan_to_num(self.truth.numbers[:num]) * knows)
        columns = {name: numbers[:, k] for k, name in enumerate(NUMBERS)}
        return Attributes(chances, columns, columns, dict(CHOICES))


def paper(truth):
    num = len(truth.choices)
    return Exam(np.zeros((num, 8, 8, 3), np.uint8), np.zeros((num, 4, 4, 1), np.uint8), truth)


def test_marks():
    truth = with_gaps(random_truth(40))
    marks = examine(Oracle(truth), [paper(truth)])
    assert marks.keys() == CHOICES.keys() | NUMBERS.keys() - set(QUALITIES)
    for k, name in enumerate(CHOICES):
        right = truth.choices[:, k][truth.choices[:, k] != UNREADABLE]
        most = np.bincount(right).max() / len(right)
        assert marks[name] == pytest.approx((1, np.mean(right == 0), most))
    for k, name in enumerate(NUMBERS):
        if name not in QUALITIES:
            right = truth.numbers[:, k][np.isfinite(truth.numbers[:, k])].astype(float)
            expected = (0, np.sqrt(np.mean(right**2)), np.std(right))
            assert marks[name] == pytest.approx(expected, rel=1e-4)


def test_papers_are_marked_together():
    truth = random_truth(30)
    parts = [Truth(truth.choices[a:b], truth.numbers[a:b]) for a, b in ((0, 20), (20, 30))]
    same = Oracle(parts[0])
    together = examine(same, [paper(part) for part in parts])
    wrong = np.mean(parts[1].choices[:, 0] == parts[0].choices[:10, 0])
    assert together["gender"].colour == pytest.approx((20 + 10 * wrong) / 30)


def test_the_table():
    marks = {name: Mark(0.975, 0.5, 0.25) for name in CHOICES} | {"turn": Mark(1.234, 2, 9)}
    assert mean_accuracy(marks) == pytest.approx((0.975, 0.5, 0.25))
    lines = table(marks).splitlines()
    assert "| glasses | 97.5 % | 50.0 % | 25.0 % |" in lines
    assert "| turn | 1.23 | 2 | 9 |" in lines
