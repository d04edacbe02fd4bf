"""Descend on many problems at once, each on its own, by limited-memory BFGS.

Nocedal and Wright (2006), algorithms 7.4 (two loops) and 3.1 (backtracking). All problems are
evaluated once per step; one whose trial point is refused tries a shorter step in the next.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

ARMIJO = 1e-4  # share of the promised decrease that a point must bring to be accepted
FIRST_MOVE = 0.1  # root mean square of the first step
SHORTEST = 1e-6  # share of a step below which a problem has ended: rounding hides any decrease
MEMORY = 10  # steps whose change of gradient is remembered


@dataclass(frozen=True)
class State:
    """Where the descent stands after a step."""

    step: int
    best_x: Tensor  # [N, ...], the iterate with the smallest objective so far
    best_value: Tensor  # [N], its objective


def minimize(
    objective: Callable[[Tensor], Tensor], x: Tensor, *, num_steps: int, tolerance: float = 0.0
) -> Iterator[State]:
    """Minimise `objective: x [N, d] -> [N]` from `x`, yielding the best so far.

    The sum over samples has a separate gradient for each, and the length of its step, its memory
    and its end are each sample's own, so no sample influences another. Every state is the result
    of one evaluation of the objective and its gradient; the first is that of the start.

    Args:
        objective: smooth and bounded below.
        x: where to start, `[N, d]`.
        num_steps: the most evaluations; fewer are made when all samples have ended.
        tolerance: a sample ends when its quadratic model promises less decrease than this.
    """
    x = x.detach().clone()
    value, slope = x.new_full((len(x),), math.inf), x.new_zeros(len(x))
    gradient, direction = torch.zeros_like(x), torch.zeros_like(x)
    length, ended = x.new_ones(len(x)), x.new_zeros(len(x), dtype=torch.bool)
    past: deque[_Pair] = deque(maxlen=MEMORY)
    for step in range(num_steps):
        trial = x + length[:, None] * direction
        found, found_gradient = evaluate(objective, trial)
        accepted = ~ended & (found <= value + ARMIJO * length * slope)
        if step:
            past.append(_Pair.of(trial - x, found_gradient - gradient, accepted))
        shorter = length * _backtrack(found - value, length * slope)
        x, gradient = (
            torch.where(accepted[:, None], new, old)
            for new, old in ((trial, x), (found_gradient, gradient))
        )
        value = torch.where(accepted, found, value)
        yield State(step, x, value)
        direction = torch.where(accepted[:, None], _downhill(gradient, past), direction)
        slope = (gradient * direction).sum(1)
        full = torch.ones_like(length) if step else _first_length(direction)
        length = torch.where(accepted, full, shorter)
        ended |= (accepted & (-slope / 2 < tolerance)) | (length < SHORTEST)
        direction = direction.masked_fill(ended[:, None], 0.0)
        if ended.all():
            return


def evaluate(objective: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the objective of every sample, `[N]`, and its gradient, shaped as `x`."""
    x = x.detach().requires_grad_(True)
    value = objective(x)
    (gradient,) = torch.autograd.grad(value.sum(), x)
    return value.detach(), gradient


@dataclass(frozen=True)
class _Pair:
    """A step and the change of gradient along it; zero for samples that did not step."""

    s: Tensor  # [N, d]
    y: Tensor  # [N, d]
    rho: Tensor  # [N], 1 / (s . y), or 0

    @classmethod
    def of(cls, s: Tensor, y: Tensor, accepted: Tensor) -> "_Pair":
        bend = (s * y).sum(1)
        kept = accepted & (bend > 1e-10 * y.square().sum(1))
        s, y = (t.masked_fill(~kept[:, None], 0.0) for t in (s, y))
        return cls(s, y, torch.where(kept, 1 / bend, 0.0))


def _downhill(gradient: Tensor, past: deque[_Pair]) -> Tensor:
    """Return minus the inverse Hessian's estimate times the gradient (algorithm 7.4)."""
    q, shares = gradient, []
    scale = torch.ones_like(gradient[:, 0])
    for pair in reversed(past):
        shares.append(pair.rho * (pair.s * q).sum(1))
        q = q - shares[-1][:, None] * pair.y
    for pair in past:  # the newest counts: s . y / y . y (eq. 7.20)
        stepped = pair.rho > 0
        scale = torch.where(stepped, 1 / (pair.rho * pair.y.square().sum(1)), scale)
    q = q * scale[:, None]
    for pair, share in zip(past, reversed(shares), strict=True):
        q = q + (share - pair.rho * (pair.y * q).sum(1))[:, None] * pair.s
    return -q


def _backtrack(rise: Tensor, promised: Tensor) -> Tensor:
    """Return the share of a refused step at the least of the parabola through it, 0.1 to 0.5."""
    share = -promised / (2 * (rise - promised))
    return torch.where(share.isfinite(), share, 0.5).clamp(0.1, 0.5)


def _first_length(direction: Tensor) -> Tensor:
    """Return the share of the direction, at most 1, that moves by `FIRST_MOVE`."""
    return (FIRST_MOVE / direction.square().mean(1).sqrt()).clamp(max=1)
