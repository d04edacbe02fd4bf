"""Objective and descent: by hand, by scipy's L-BFGS and in closed form."""

import itertools
import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from scipy.optimize import minimize as scipy_minimize
from torch import Tensor

from inversion.evidence import one_sided_residual
from inversion.objective import RandomisedProblem
from inversion.optimize import FIRST_MOVE, State, minimize


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
    target = randn(5, 4, seed=seed + 3)
    made = RandomisedProblem(
        misfit=lambda x: (torch.tanh(x @ weights.T) - target) @ root.T,
        anchor=randn(5, 3, seed=seed + 4),
    )
    return made, randn(5, 3, seed=seed + 5)


def test_objective_by_hand() -> None:
    made, x = problem()
    root, weights = randn(4, 4, seed=1).numpy(), randn(4, 3, seed=2).numpy()
    target = randn(5, 4, seed=3).numpy()
    for k in range(5):
        r = np.tanh(weights @ x[k].numpy()) - target[k]
        d = x[k].numpy() - made.anchor[k].numpy()
        expected = (root @ r) @ (root @ r) / 2 + d @ d / 2
        assert made(x)[k].item() == pytest.approx(expected, rel=1e-5)


# ---- the descent ----


def test_samples_do_not_touch_each_other() -> None:
    made, x = problem()
    moved, others = x.clone(), [0, 1, 3, 4]
    moved[2] += 1
    assert torch.equal(made(x)[others], made(moved)[others]) and made(x)[2] != made(moved)[2]
    pairs = zip(minimize(made, x, num_steps=20), minimize(made, moved, num_steps=20), strict=True)
    for one, two in pairs:
        assert torch.equal(one.best_x[others], two.best_x[others])
        assert torch.equal(one.best_value[others], two.best_value[others])
    assert not torch.equal(one.best_x[2], two.best_x[2])


@pytest.mark.parametrize("broken_from", [0, 3])
def test_one_sample_that_breaks_leaves_the_others_alone(broken_from: int) -> None:
    made, x = problem()
    calls, factor = itertools.count(), torch.tensor([1, math.nan, 1, 1, 1])

    def breaking(x: Tensor) -> Tensor:
        return made(x) * (factor if next(calls) >= broken_from else 1)

    good = list(minimize(made, x, num_steps=20))
    bad = last(minimize(breaking, x, num_steps=20))
    rest = [0, 2, 3, 4]
    assert torch.equal(good[-1].best_x[rest], bad.best_x[rest])
    last_good = good[broken_from - 1].best_x if broken_from else x
    assert torch.equal(bad.best_x[1], last_good[1])


def test_a_sample_recovers_from_one_broken_evaluation() -> None:
    made, x = problem()
    calls = itertools.count()

    def stumbling(x: Tensor) -> Tensor:
        return made(x) * (math.nan if next(calls) == 3 else 1)

    good, found = (last(minimize(f, x, num_steps=60)) for f in (made, stumbling))
    torch.testing.assert_close(found.best_value, good.best_value, rtol=1e-4, atol=0)


def test_every_evaluation_is_yielded_and_the_start_is_one_of_them() -> None:
    made, x = problem()
    before, seen = x.clone(), []
    states = list(minimize(lambda x: seen.append(1) or made(x), x, num_steps=7))
    assert [state.step for state in states] == list(range(7)) and len(seen) == 7
    assert torch.equal(states[0].best_x, x) and torch.equal(states[0].best_value, made(x))
    assert torch.equal(x, before) and not x.requires_grad
    assert not any(state.best_x.requires_grad or state.best_value.requires_grad for state in states)


def test_the_best_iterate_is_kept_while_the_objective_gets_worse() -> None:
    """The target walks away from the start: whatever is done, later iterates are worse."""
    calls = itertools.count()
    x = randn(4, 3)

    def walking(x: Tensor) -> Tensor:
        return (x - 10 * next(calls)).square().sum(1)

    state = last(minimize(walking, x, num_steps=10))
    assert torch.equal(state.best_x, x)
    torch.testing.assert_close(state.best_value, x.square().sum(1))


def test_values_only_fall_and_belong_to_their_points() -> None:
    def valley(x: Tensor) -> Tensor:  # Rosenbrock's: steps are refused on the way
        return (1 - x[:, 0]).square() + 100 * (x[:, 1] - x[:, 0].square()).square()

    start = torch.tensor([[-1.2, 1.0], [3.0, -2.0], [1.0, 1.0]], dtype=torch.float64)
    values = [start.new_full((3,), math.inf)]
    for state in minimize(valley, start, num_steps=150):
        assert (state.best_value <= values[-1]).all()
        assert torch.equal(state.best_value, valley(state.best_x))
        values.append(state.best_value)
    held = [torch.equal(a[:1], b[:1]) for a, b in itertools.pairwise(values)]
    assert 3 <= sum(held[:30]), "no step was refused: a poor example"
    torch.testing.assert_close(state.best_x, torch.ones_like(start), rtol=0, atol=1e-6)


def test_the_last_evaluation_counts() -> None:
    start = torch.tensor([[5.0]])
    state = last(minimize(lambda x: x.square().sum(1), start, num_steps=2))
    assert state.step == 1 and state.best_x.item() == pytest.approx(5 - FIRST_MOVE)


def test_a_quadratic_is_solved_in_few_steps() -> None:
    M = randn(12, 8, seed=1).double()
    H, b = M.T @ M + torch.eye(8), randn(5, 8, seed=2).double()

    def bowl(x: Tensor) -> Tensor:
        return (x @ H * x).sum(1) / 2 - (b * x).sum(1)

    state = last(minimize(bowl, randn(5, 8).double(), num_steps=45))
    torch.testing.assert_close(state.best_x, torch.linalg.solve(H, b.T).T, rtol=0, atol=1e-6)


def test_minima_are_those_of_scipy() -> None:
    made, x = problem()
    found = last(minimize(made, x, num_steps=60))

    def one(k: int, point: np.ndarray) -> tuple[float, np.ndarray]:
        all_points = x.double().clone()
        all_points[k] = torch.from_numpy(point)
        all_points.requires_grad_(True)
        value = made(all_points.float())[k]
        (gradient,) = torch.autograd.grad(value, all_points)
        return value.item(), gradient[k].numpy()

    for k in range(5):
        theirs = scipy_minimize(
            lambda p, k=k: one(k, p), x[k].double().numpy(), jac=True, method="L-BFGS-B"
        )
        assert found.best_value[k].item() == pytest.approx(theirs.fun, rel=1e-4)


def test_a_sample_ends_when_little_is_left_to_gain() -> None:
    """In a bowl the model's promise is exact once it is curved right: 1/2 x^2."""
    start = torch.tensor([[1e-3], [40.0]], dtype=torch.float64)
    seen = []

    def bowl(x: Tensor) -> Tensor:
        seen.append(x.detach().clone())
        return x.square().sum(1) / 2

    states = list(minimize(bowl, start, num_steps=50, tolerance=1e-4))
    assert torch.equal(torch.stack(seen)[:, 0], start[:1].expand(len(seen), 1))
    assert 3 <= len(states) < 10, "all have ended: no more evaluations"
    assert states[-1].best_value[1] < 1e-4
    assert len(list(minimize(bowl, start, num_steps=50))) > len(states)
