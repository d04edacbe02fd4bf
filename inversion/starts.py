"""Where to start when more is known than the encoder was told: at the best of several guesses.

Colours lie in separate valleys: no descent turns red hair blue on its way through green. The
encoder's guesses for a grey input lie in all of them, so that a control need only choose.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from engine.seeding import derive_generator

NUM_GUESSES = 32  # each costs one picture, a third of a step


def best_of_guesses(
    guess: Callable[[Tensor], Tensor], cost: Callable[[Tensor], Tensor], noise: Tensor
) -> Tensor:
    """Return the guess of least cost for each sample.

    The noise of the further guesses is the first one's, with numbers exchanged and signs turned:
    standard normal again, and a function of the sample's own noise alone.

    Args:
        guess: standard normal `[N, dim]` -> latents `[N, d]`.
        cost: latents -> `[N]`.
        noise: of the first guess.
    """
    best = guess(noise)
    least = cost(best)
    for k in range(1, NUM_GUESSES):
        x = guess(_shuffled(noise, derive_generator(0, "guesses", k)))
        found = cost(x)
        best = torch.where((found < least)[:, None], x, best)
        least = torch.minimum(found, least)
    return best


def _shuffled(noise: Tensor, generator: Generator) -> Tensor:
    dim = noise.shape[1]
    order = torch.randperm(dim, generator=generator)
    signs = torch.randint(0, 2, (dim,), generator=generator) * 2 - 1
    return noise[:, order] * signs.to(noise)
