"""What the steps of a training are spent on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from stylegan.training import Trainer

Clock = Callable[[], float]
PHASE_NAMES = ("data", "D", "R1", "G", "Adam", "EMA", "reduce", "rest")
PHASES = {
    "_parts": "data",
    "_generate": "G",
    "_generate_again": "G",
    "_step_discriminator": "D",
    "_step_generator": "G",
    "_step_r1": "R1",
    "_average_generator": "EMA",
}
"""Methods of `Trainer`; its optimisers and its ranks are timed too."""


class Split:
    """Seconds by phase; a phase within another one counts for itself alone."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.seconds = clock, Counter[str]()
        self._open: list[str] = []
        self._since = 0.0

    def _turn(self) -> None:
        now = self.clock()
        if self._open:
            self.seconds[self._open[-1]] += now - self._since
        self._since = now

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the block's time."""
        self._turn()
        self._open.append(name)
        try:
            yield
        finally:
            self._turn()
            self._open.pop()

    def timed(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        """Return the same function, its time counted."""

        def run(*args: Any, **kwargs: Any) -> Any:
            with self.phase(name):
                return function(*args, **kwargs)

        return run

    def attach(self, trainer: Trainer) -> None:
        """Count all phases of the steps of a trainer from now on."""
        for method, name in PHASES.items():
            setattr(trainer, method, self.timed(getattr(trainer, method), name))
        for optimizer in (trainer.g_opt, trainer.d_opt):
            optimizer.step = self.timed(optimizer.step, "Adam")
        trainer.ranks = SimpleNamespace(sum_=self.timed(trainer.ranks.sum_, "reduce"))
