"""Fitting a network to examples: the learning rate, the run folder, the loop with its reports."""

from __future__ import annotations

import json
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from engine.rows import append_row, forget_rows, read_rows

if TYPE_CHECKING:
    from torch import Tensor

    from engine.rows import Row
    from engine.session import Session

STATISTICS = "stats.jsonl"


def warm_cosine(step: int, total_steps: int, warmup: int) -> float:
    """Return the share of the peak learning rate: up in `warmup` steps, then half a cosine to 0."""
    rise = min((step + 1) / max(warmup, 1), 1)
    return rise * (1 + math.cos(math.pi * step / total_steps)) / 2


class Recipe(Protocol):
    """How long it is trained."""

    @property
    def total_steps(self) -> int: ...


class Trainer(Protocol):
    """What is trained, and how far it is."""

    step_count: int

    @property
    def config(self) -> Recipe: ...

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


def open_run(options: dict[str, Any], trainer: Trainer, new_run: Callable[[], Path]) -> Path:
    """Return a new run folder, or the one to resume with a state of it loaded."""
    if options["resume"] is None:
        run = new_run()
        text = json.dumps(options, indent=1, default=str)
        (run / "training_options.json").write_text(text + "\n")
        return run
    from engine.states import load_state, resolve_state

    state = resolve_state(options["resume"])
    trainer.load_state_dict(load_state(state))
    return state.resolve().parent


class Reporter(ABC):
    """Looks at what has been learned every so many steps, and at the end.

    Args:
        run: the run folder.
        trainer: what learns.
        every: steps between two snapshots.
    """

    reports_stops = True  # whether a stop may wait for a snapshot

    def __init__(self, run: Path, trainer: Trainer, every: int) -> None:
        self.run, self.trainer, self.every = run, trainer, every
        self.losses: list[Tensor] = []
        self.started = time.monotonic()

    def observe(self, step: int, loss: Tensor) -> bool:
        """Take note of one step; return whether a snapshot is due."""
        self.losses.append(loss)
        return step % self.every == 0 or step == self.trainer.config.total_steps

    def report(self) -> None:
        """Make a snapshot, if there is news."""
        if self.losses:
            self.snapshot()
            self.losses.clear()

    @abstractmethod
    def snapshot(self) -> None:
        """Measure, and write everything."""

    def mean_loss(self) -> float:
        """Return the mean over the steps since the last snapshot."""
        import torch

        return torch.stack(self.losses).mean().item()

    def add_row(self, row: Row) -> list[Row]:
        """Write the figures of this step, and return all of the run."""
        append_row(self.run / STATISTICS, {"step": self.trainer.step_count, **row})
        return read_rows(self.run / STATISTICS)


def fit(session: Session, reporter: Reporter, steps: Iterable[tuple[int, Tensor]]) -> None:
    """Go through (steps done, loss) to the end, or until a signal asks to stop; report and save."""
    trainer = reporter.trainer
    session.begin(trainer.step_count)
    forget_rows(reporter.run / STATISTICS, trainer.step_count)  # those of a run that is resumed
    for step, loss in steps:
        is_due = reporter.observe(step, loss)
        wish = session.after_step(step)
        if wish.stop:
            session.save(trainer.state_dict(), is_final=True)
            session.tell_stop(wish.stop)
        if reporter.reports_stops if wish.stop else is_due:
            with session.snapshot_disk.survived(f"snapshot of step {step}"):
                reporter.report()
        if wish.stop:
            session.leave(wish.stop)
        if is_due or wish.save:
            session.save(trainer.state_dict())
    reporter.report()
    if session.record.last_good != trainer.step_count:
        session.save(trainer.state_dict(), is_final=True)
    session.finish()
