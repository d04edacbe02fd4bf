"""What happens round the steps of a training, by all its processes together.

    with Session(run, ranks) as session:
        session.begin(trainer.step_count)
        for step in train(...):
            wish = session.after_step(step)
            if wish.stop: ...

The first process writes; all agree after every step on whether to save or to stop.
"""

import contextlib
import signal
import time
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from engine.digest import state_digest
from engine.disk import FullDisk
from engine.failpoints import hit
from engine.lock import run_lock
from engine.ranks import RankError, Ranks
from engine.record import RunRecord, read_record
from engine.states import forget_later_states, publish_state, remove_leftovers
from engine.stop import StopRequest, stopped_by
from engine.watch import HangWatch

SAVE = 1  # what is wished for after a step, as one number: nothing, SAVE, or SAVE + a signal


class Wish(NamedTuple):
    """What all processes do after a step."""

    save: bool  # publish a state
    stop: int  # and then leave, for this signal; 0: go on


class Session:
    """Lock, record, stop request, hang watch and states of a run, for the length of a block.

    Args:
        run: the folder, which exists.
        ranks: the processes.
        save_minutes: wall time after which a state is due, whatever the step.
        hang_timeout: seconds without a step after which the process is ended; 0: never.
        versions: of the packages, for the record.

    Raises:
        LockError: another training is in the folder, or it cannot be written.
    """

    def __init__(
        self,
        run: Path,
        ranks: Ranks,
        save_minutes: float = 10,
        hang_timeout: float = 0,
        versions: dict[str, str] | None = None,
    ) -> None:
        self.run, self.ranks, self.step = run, ranks, 0
        self.is_begun = False  # before, the record is about an earlier part of the run
        self.is_told = False  # whether it says already how the run ends
        self.save_seconds = save_minutes * 60
        self.saved_at = time.monotonic()
        self.record = RunRecord(run, ranks.rank, versions)
        self.stop = StopRequest()
        self.state_disk, self.snapshot_disk = FullDisk(), FullDisk()
        self.watch = HangWatch(run, hang_timeout, ranks.rank, self._note_hang)

    def __enter__(self) -> "Session":
        with contextlib.ExitStack() as stack:
            if self.ranks.is_first:
                stack.enter_context(run_lock(self.run))
                remove_leftovers(self.run)
            stack.enter_context(self.stop)
            stack.enter_context(self.watch)
            self.ranks.largest(0)  # nobody comes in unless the first has the lock
            self.resources = stack.pop_all()
        return self

    def begin(self, step: int) -> None:
        """Say that the run goes on from `step`, that of the state it resumes if it is not 0."""
        self.step, self.record.last_good = step, step or None
        if self.ranks.is_first:
            forget_later_states(self.run, step)
            self.record.start(step, self.record.last_good)
        self.ranks.largest(0)  # no process fails before the record says that the run has begun
        self.is_begun = True

    def after_step(self, step: int) -> Wish:
        """Return what all processes do now that a step is done."""
        self.step = step
        self.watch.beat()
        hit("step", step)
        wish = SAVE + self.stop.requested if self.stop.requested else 0
        if self.ranks.is_first and time.monotonic() - self.saved_at > self.save_seconds:
            wish = max(wish, SAVE)
        agreed = self.ranks.largest(wish)
        return Wish(agreed > 0, max(agreed - SAVE, 0))

    def save(self, state: dict[str, Any], is_final: bool = False) -> str | None:
        """Publish the state after the last step, and return its digest if this process did.

        Where the disk is full the training goes on, for a while, unless the state is the final one.

        Raises:
            RankError: the processes' states differ; nothing is published.
            StateError: the state is not finite, or cannot be written.
        """
        if self.ranks.size > 1 and len(set(self.ranks.all(state_digest(state)))) > 1:
            message = (
                f"{self.run}: the processes no longer agree on the weights at step {self.step}"
            )
            raise RankError(f"{message}. Resume; check the machines' memory.", "E-INTERNAL-RANKS")
        digest = None
        if self.ranks.is_first:
            survived = self.state_disk.survived(f"{self.run}: state of step {self.step}")
            with contextlib.nullcontext() if is_final else survived:
                digest = publish_state(self.run, self.step, state)
                self.record.last_good = self.step
            self.record.update("running", self.step, self.state_disk.trouble)
        self.record.last_good = self.ranks.of_first(self.record.last_good)
        self.saved_at = time.monotonic()
        self.watch.beat()
        return digest

    def finish(self) -> None:
        """Say that the run has reached its end."""
        if self.ranks.is_first:
            self.record.update("done", self.step)

    def tell_stop(self, number: int) -> None:
        """Say that a signal has stopped the run, whose state is saved."""
        if self.ranks.is_first:
            self.record.update("preempted", self.step, signal.Signals(number).name)
        self.is_told = True

    def leave(self, number: int) -> None:
        """Raise what ends the processes that a signal has stopped, in all of them together."""
        self.ranks.largest(0)
        raise stopped_by(number, self.run, self.step)

    def _note_hang(self, reason: str) -> None:
        self.record.update("failed", self.step, reason)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None and self.is_begun and not self.is_told:
            self._note_failure(error)
        self.resources.__exit__(kind, error, traceback)

    def _note_failure(self, error: BaseException) -> None:
        is_lost = isinstance(error, RankError) and error.code == "E-TRAIN-LOST"
        if is_lost and read_record(self.run).get("status") != "running":
            return  # the process that is gone said why
        status = "preempted" if isinstance(error, KeyboardInterrupt) else "failed"
        what = f"rank {self.ranks.rank}: {type(error).__name__}: {error}".rstrip(": ")
        what = str(error) if isinstance(error, RankError) else what
        self.record.update(status, self.step, what)
