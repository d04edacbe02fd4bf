"""Descend on many problems at once, each on its own, and keep each one's best iterate."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class State:
    """Where the descent stands after a step."""

    step: int
    best_x: Tensor  # [N, d], the iterate with the smallest objective so far
    best_value: Tensor  # [N], its objective


def step_size(lr: float, progress: float, rise: float = 0.05) -> float:
    """Return the step size at `progress` in (0, 1]: a short rise, then a half cosine to 0."""
    return lr * min(1.0, progress / rise) * (1 + math.cos(math.pi * progress)) / 2


def minimize(
    objective: Callable[[Tensor], Tensor], x: Tensor, *, num_steps: int, lr: float
) -> Iterator[State]:
    """Minimise `objective: x [N, d] -> [N]` from `x` by Adam, yielding the best so far.

    Adam works element by element and the sum over samples has a separate gradient for each, so no
    sample influences another. The start counts as an iterate, the last one too.
    """
    x = x.detach().clone()
    m, s = torch.zeros_like(x), torch.zeros_like(x)
    best_x, best_value = x.clone(), torch.full((len(x),), math.inf, device=x.device)
    for step in range(num_steps + 1):
        x.requires_grad_(True)
        value = objective(x)
        (grad,) = torch.autograd.grad(value.sum(), x)
        x, value = x.detach(), value.detach()
        is_better = value < best_value
        best_x = torch.where(is_better[:, None], x, best_x)
        best_value = torch.where(is_better, value, best_value)
        yield State(step, best_x, best_value)
        m = m.lerp(grad, 1 - 0.9)
        s = s.lerp(grad.square(), 1 - 0.99)
        scale = math.sqrt(1 - 0.99 ** (step + 1)) / (1 - 0.9 ** (step + 1))
        x = x - step_size(lr, (step + 1) / (num_steps + 1)) * scale * m / (s.sqrt() + 1e-8)
