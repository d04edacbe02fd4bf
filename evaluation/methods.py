"""What a way to colour faces is to the evaluation: a name, what it gets to see, what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True)
class Answer:
    """Candidates for one face, and what the method itself says of them."""

    pictures: Tensor  # [K, 3, P, P] in [-1, 1], as floats: the evaluation rounds as a file does
    facts: dict[str, list[float]] = field(default_factory=dict)  # one per candidate, or of all


def small_grey(x: Tensor, y: Tensor) -> Tensor:
    """Show the small grey picture and no more."""
    return y


@dataclass(frozen=True)
class Method:
    """One row of the table.

    `see(x, y)` is what the method gets of the truth x `[1, 3, P, P]` and of the small grey picture
    y `[1, 1, h, w]`, both in [-1, 1]; `solve` gets that, one face at a time, and gives K >= 1
    candidates of side P, K being the same for all faces. What is random in it must depend on its
    input alone.
    """

    name: str
    solve: Callable[[Tensor], Answer]
    see: Callable[[Tensor, Tensor], Tensor] = small_grey
    seen: str = "grey"  # what it sees, in words
    settings: dict[str, float] = field(default_factory=dict)  # to be told in its row


class Colorizer(Protocol):
    """A network that makes one or several pictures of what it sees, as `baselines` has them."""

    name: str
    seen: str

    def see(self, x: Tensor, y: Tensor, /) -> Tensor: ...
    def __call__(self, seen: Tensor, /) -> Tensor: ...  # [K, 3, P, P] in [-1, 1]


def method_of(colorizer: Colorizer) -> Method:
    """Return a colouriser as a method of the table."""
    return Method(colorizer.name, lambda y: Answer(colorizer(y)), colorizer.see, colorizer.seen)


def answers(
    solve: Callable[[Tensor], tuple[Tensor, dict[str, list[float]]]],
) -> Callable[[Tensor], Answer]:
    """Return what gives pictures and facts as something that gives answers."""
    return lambda y: Answer(*solve(y))
