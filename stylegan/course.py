"""The course of one training, from where its trainer stands to the end."""

import contextlib
from collections.abc import Callable, Generator
from typing import Any

from engine.session import Session
from stylegan.reporting import Reporter
from stylegan.training import Trainer, TrainStep, train


class Course:
    """The course of one training; all its processes follow it alike.

    Args:
        trainer: as resumed, or new.
        session: of the run folder, within its block.
        reporter: of the trainer.
        facts: returns what else belongs to a state, plain data; called by all processes.
    """

    def __init__(
        self,
        trainer: Trainer,
        session: Session,
        reporter: Reporter,
        facts: Callable[[], dict[str, Any]],
    ) -> None:
        self.trainer, self.session, self.reporter, self.facts = trainer, session, reporter, facts
        self.measured_at = self.shown_at = -1

    def run(self, stream: Generator[Any]) -> None:
        """Train to the end, or until a signal asks to stop; report and save on the way.

        A state is saved at every snapshot, whenever one is due, on a stop and at the end.

        Args:
            stream: pairs of pictures and labels from the trainer's step on; it is closed.

        Raises:
            TrainingStopped, KeyboardInterrupt: a signal asked to stop; the state is saved.
        """
        self.session.begin(self.trainer.step_count)
        self.reporter.begin()
        with contextlib.closing(stream):
            for step in train(self.trainer, stream):
                self._after(step)
        if self.session.record.last_good != self.trainer.step_count:
            self._save(is_final=True)
        if self.measured_at != self.trainer.step_count:
            self._measure()
        if self.shown_at != self.trainer.step_count:
            self._show()
        self.session.finish()

    def _after(self, step: TrainStep) -> None:
        is_due = self.reporter.observe(step)
        wish = self.session.after_step(step.step)
        if is_due or wish.save:
            self._save(is_final=wish.stop > 0)
        if wish.stop:
            self.session.tell_stop(wish.stop)
        elif is_due:
            self._measure()
        if is_due or wish.stop:
            with self.session.snapshot_disk.survived(f"snapshot of step {step.step}"):
                self._show()
        if wish.stop:
            self.session.leave(wish.stop)

    def _save(self, is_final: bool) -> None:
        digest = self.session.save({"trainer": self.trainer.state_dict(), **self.facts()}, is_final)
        if digest is not None:
            self.reporter.outlets.say(f"state digest: {digest}")

    def _measure(self) -> None:
        def is_stopping() -> bool:
            self.session.watch.beat()
            return self.session.stop.requested is not None

        self.reporter.measure(is_stopping)
        self.measured_at = self.trainer.step_count

    def _show(self) -> None:
        if self.session.ranks.is_first:
            self.reporter.snapshot()
        self.shown_at = self.trainer.step_count
