"""Fitting a network to examples: the learning rate, the run folder, the loop with its reports."""

from __future__ import annotations

import json
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from engine.ranks import ALONE, Ranks
from engine.resume import begun_run, named_run, state_to_resume
from engine.rows import Row, append_row, forget_rows, read_rows
from engine.session import Session
from engine.states import load_state

STATISTICS, CURVES = "stats.jsonl", "curves.png"


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


def open_run(
    options: dict[str, Any],
    name: str,
    new_folder: Callable[[Path, str], Path],
    ranks: Ranks = ALONE,
) -> Path:
    """Return the run to go on with, after a look whether there is a state of it, or a new one.

    Args:
        options: those of the verb; 'resume' and 'outdir' among them.
        name: what follows the number in the name of a run folder.
        new_folder: (outdir, name) -> a folder that it makes.
        ranks: the processes; the first one looks and makes.

    Raises:
        StateError: there is no good state to resume.
    """
    resume, outdir = options["resume"], options["outdir"]
    run = named_run(resume) or ranks.once(lambda: begun_run(resume, outdir, name))
    if run is not None:
        ranks.once(lambda: state_to_resume(run, resume))
        return run
    run = ranks.once(lambda: new_folder(outdir, name))
    if ranks.is_first:
        text = json.dumps(options, indent=1, default=str)
        (run / "training_options.json").write_text(text + "\n")
    return run


def load_newest(session: Session, resume: Path | None, trainer: Trainer) -> None:
    """Load the state that the run goes on from, if there is one."""
    state = session.ranks.once(lambda: state_to_resume(session.run, resume))
    if state is not None:
        trainer.load_state_dict(load_state(state))


class Reporter(ABC):
    """Looks at what has been learned every so many steps, and at the end.

    Args:
        run: the run folder.
        trainer: what learns.
        every: steps between two snapshots.
        draw_curves: (rows, file) -> nothing.
        say: prints a line.
    """

    reports_stops = True  # whether a stop may wait for a snapshot

    def __init__(
        self,
        run: Path,
        trainer: Trainer,
        every: int,
        draw_curves: Callable[[list[Row], Path], None],
        say: Callable[[str], None],
    ) -> None:
        self.run, self.trainer, self.every = run, trainer, every
        self.draw_curves, self.say = draw_curves, say
        self.losses: list[Tensor] = []
        self.started = time.monotonic()

    def observe(self, step: int, loss: Tensor) -> bool:
        """Take note of a step's loss, or losses; return whether a snapshot is due."""
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

    def mean_loss(self) -> Tensor:
        """Return the mean over the steps since the last snapshot."""
        return torch.stack(self.losses).mean(0)

    def write(self, row: Row, told: str) -> None:
        """Write the figures of this step, draw those of all, and print a line of them."""
        step, path = self.trainer.step_count, self.run / STATISTICS
        append_row(path, {"step": step, **row})
        self.draw_curves(read_rows(path), self.run / CURVES)
        elapsed = str(timedelta(seconds=round(time.monotonic() - self.started)))
        self.say(f"step {step:<7d} time {elapsed:<9} {told}")


def fit(session: Session, reporter: Reporter, steps: Iterable[tuple[int, Tensor]]) -> None:
    """Go through (steps done, loss) to the end, or until a signal asks to stop; report and save."""
    trainer = reporter.trainer
    session.begin(trainer.step_count)
    if session.ranks.is_first:
        forget_rows(reporter.run / STATISTICS, trainer.step_count)  # of a run that is resumed
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
