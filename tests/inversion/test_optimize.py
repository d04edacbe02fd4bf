"""Objective and descent: by hand, and by torch's own Adam."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from inversion.objective import RandomisedProblem, one_sided_residual
from inversion.optimize import State, minimize, step_size


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def last(states: Iterator[State]) -> State:
    *_, state = states
    return state


# ---- the objective ----


def test_residual_forgives_overshoot_where_the_file_is_saturated() -> None:
    y = torch.tensor([[-1.0, -1.0, -1.0, 0.2, 0.2, 1.0, 1.0, 1.0]])
    y_hat = torch.tensor([[-1.3, -1.0, -0.8, -1.3, 1.3, 0.9, 1.0, 1.4]])
    expected = torch.tensor([[0.0, 0.0, 0.2, -1.5, 1.1, -0.1, 0.0, 0.0]])
    torch.testing.assert_close(one_sided_residual(y)(y_hat, y), expected)


def test_residual_is_one_sided_about_the_noisy_target() -> None:
    y, eps = torch.tensor([[-1.0, -1.0, 1.0, 1.0, 0.0]]), torch.tensor([0.1, -0.1, 0.1, -0.1, 0.3])
    found = one_sided_residual(y)(torch.tensor([[-1.0, -1.0, 1.0, 1.0, 0.0]]), y + eps)
    torch.testing.assert_close(found, torch.tensor([[0.0, 0.1, -0.1, 0.0, -0.3]]))


def test_residual_broadcasts_one_measurement_over_samples() -> None:
    y = torch.tensor([[[[1.0, 0.0], [-1.0, 0.5]]]])
    found = one_sided_residual(y)(torch.full((3, 1, 2, 2), 2.0), y.expand(3, -1, -1, -1))
    torch.testing.assert_close(found, torch.tensor([[0.0, 2.0], [3.0, 1.5]]).expand(3, 1, 2, 2))


def problem(seed: int = 0) -> tuple[RandomisedProblem, Tensor]:
    """Return a smooth nonlinear problem of five samples and where to start."""
    root, weights = randn(4, 4, seed=seed + 1), randn(4, 3, seed=seed + 2)
    made = RandomisedProblem(
        measure=lambda x: torch.tanh(x @ weights.T)[:, None],
        target=randn(5, 1, 4, seed=seed + 3),
        anchor=randn(5, 3, seed=seed + 4),
        whiten=lambda r: r @ root.T,
        residual=torch.sub,
    )
    return made, randn(5, 3, seed=seed + 5)


def test_objective_by_hand() -> None:
    made, x = problem()
    root, weights = randn(4, 4, seed=1).numpy(), randn(4, 3, seed=2).numpy()
    for k in range(5):
        r = np.tanh(weights @ x[k].numpy()) - made.target[k, 0].numpy()
        d = x[k].numpy() - made.anchor[k].numpy()
        expected = (root @ r) @ (root @ r) / 2 + d @ d / 2
        assert made(x)[k].item() == pytest.approx(expected, rel=1e-5)


def test_objective_takes_pictures() -> None:
    found = RandomisedProblem(
        measure=lambda x: x.reshape(-1, 1, 2, 2) * 2,
        target=torch.zeros(2, 1, 2, 2),
        anchor=torch.ones(2, 4),
        whiten=lambda r: r / 2,
        residual=torch.sub,
    )(torch.tensor([[1.0, 1, 1, 1], [2.0, 0, 0, 0]]))
    assert found.tolist() == [2.0, 2.0 + 2.0]


# ---- the descent ----


def test_samples_do_not_touch_each_other() -> None:
    made, x = problem()
    moved, others = x.clone(), [0, 1, 3, 4]
    moved[2] += 1
    assert torch.equal(made(x)[others], made(moved)[others]) and made(x)[2] != made(moved)[2]
    pairs = zip(
        minimize(made, x, num_steps=20, lr=0.1),
        minimize(made, moved, num_steps=20, lr=0.1),
        strict=True,
    )
    for one, two in pairs:
        assert torch.equal(one.best_x[others], two.best_x[others])
        assert torch.equal(one.best_value[others], two.best_value[others])
    assert not torch.equal(one.best_x[2], two.best_x[2])


def test_one_sample_that_breaks_leaves_the_others_alone() -> None:
    made, x = problem()
    factor = torch.tensor([1, math.nan, 1, 1, 1])
    good = last(minimize(made, x, num_steps=20, lr=0.1))
    bad = last(minimize(lambda x: made(x) * factor, x, num_steps=20, lr=0.1))
    rest = [0, 2, 3, 4]
    assert torch.equal(good.best_x[rest], bad.best_x[rest])
    assert torch.equal(bad.best_x[1], x[1])


def test_every_step_is_yielded_and_the_start_is_one_of_them() -> None:
    made, x = problem()
    before = x.clone()
    states = list(minimize(made, x, num_steps=7, lr=0.1))
    assert [state.step for state in states] == list(range(8))
    assert torch.equal(states[0].best_x, x) and torch.equal(states[0].best_value, made(x))
    assert torch.equal(x, before) and not x.requires_grad
    assert not any(state.best_x.requires_grad or state.best_value.requires_grad for state in states)


def test_the_best_iterate_is_kept_while_the_objective_gets_worse() -> None:
    """The target walks away from the start: whatever is done, later iterates are worse."""
    calls = iter(range(100))
    x = randn(4, 3)

    def walking(x: Tensor) -> Tensor:
        return (x - 10 * next(calls)).square().sum(1)

    state = last(minimize(walking, x, num_steps=10, lr=0.1))
    assert torch.equal(state.best_x, x)
    torch.testing.assert_close(state.best_value, x.square().sum(1))


def test_each_sample_keeps_its_own_best() -> None:
    """Steps far too long jump about; the best must be the least over all iterates, per sample."""
    seen = []

    def bowl(x: Tensor) -> Tensor:
        value = x.square().sum(1)
        seen.append((x.detach().clone(), value.detach().clone()))
        return value

    start = torch.tensor([[3.0, 1.0], [0.01, 0.0], [-40.0, 7.0]])
    states = list(minimize(bowl, start, num_steps=30, lr=2.0))
    values = torch.stack([value for _, value in seen])  # [31, 3]
    best = values.argmin(dim=0).tolist()
    assert len(seen) == 31 and len(set(best)) > 1
    for k, step in enumerate(best):
        assert torch.equal(states[-1].best_x[k], seen[step][0][k])
    for i, state in enumerate(states):
        assert torch.equal(state.best_value, values[: i + 1].amin(dim=0))
    assert not torch.equal(values[-1], values.amin(dim=0))


def test_the_last_iterate_counts() -> None:
    state = last(minimize(lambda x: x.square().sum(1), torch.tensor([[5.0]]), num_steps=2, lr=0.1))
    assert state.step == 2 and state.best_x.item() < 5 - 0.04  # moved by the step to iterate 2


def test_iterates_are_those_of_torch_adam() -> None:
    made, x = problem()
    ours = []

    def recording(x: Tensor) -> Tensor:
        ours.append(x.detach().clone())
        return made(x)

    last(minimize(recording, x, num_steps=40, lr=0.1))
    theirs = x.clone().requires_grad_(True)
    adam = torch.optim.Adam([theirs], betas=(0.9, 0.99), eps=1e-8)
    for step in range(41):
        torch.testing.assert_close(ours[step], theirs.detach(), rtol=0, atol=1e-4)
        progress = (step + 1) / 41
        rise = min(1.0, progress / 0.05)
        adam.param_groups[0]["lr"] = 0.1 * rise * 0.5 * (1 + math.cos(math.pi * progress))
        adam.zero_grad()
        made(theirs).sum().backward()
        adam.step()


def test_step_size_rises_then_falls_to_nothing() -> None:
    assert step_size(0.2, 0) < 1e-6
    assert step_size(0.2, 0.025) == pytest.approx(0.2 * 0.5 * 0.99846, rel=1e-4)
    assert step_size(0.2, 0.05) == pytest.approx(0.2 * 0.99384, rel=1e-4)
    assert step_size(0.2, 0.5) == pytest.approx(0.1)
    assert step_size(0.2, 1) == pytest.approx(0, abs=1e-12)
