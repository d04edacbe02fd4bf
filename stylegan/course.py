"""The course of one training, from where its trainer stands to the end."""

import contextlib
from collections.abc import Generator
from typing import Any

from engine.session import Session
from stylegan.reporting import Reporter
from stylegan.training import Trainer, train


def run_training(
    trainer: Trainer,
    stream: Generator[Any],
    session: Session,
    reporter: Reporter,
    data_digest: str,
) -> None:
    """Train to the end, or until a signal asks to stop; report and save on the way.

    All processes call it, in the session's block. A state is saved at every snapshot, whenever
    one is due, on a stop and at the end.

    Args:
        trainer: as resumed, or new.
        stream: pairs of pictures and labels from the trainer's step on; it is closed.
        session: of the run folder, begun here.
        reporter: of the trainer.
        data_digest: of the pictures, which a resumed run must be given again.

    Raises:
        TrainingStopped, KeyboardInterrupt: a signal asked to stop; the state is saved.
    """
    session.begin(trainer.step_count)
    reporter.begin()
    course = _Course(trainer, session, reporter, data_digest)
    with contextlib.closing(stream):
        for step in train(trainer, stream):
            is_due = reporter.observe(step)
            wish = session.after_step(step.step)
            if is_due or wish.save:
                course.save(is_final=wish.stop > 0)
            if is_due and not wish.stop:
                course.measure()
            if is_due or wish.stop:
                with session.snapshot_disk.survived(f"{session.run}: snapshot of {step.step}"):
                    course.snapshot()
            if wish.stop:
                session.leave(wish.stop)
    if session.record.last_good != trainer.step_count:
        course.save(is_final=True)
    if course.shown_at != trainer.step_count:
        course.measure()
        course.snapshot()
    session.finish()


class _Course:
    def __init__(
        self, trainer: Trainer, session: Session, reporter: Reporter, data_digest: str
    ) -> None:
        self.trainer, self.session, self.reporter = trainer, session, reporter
        self.data_digest, self.shown_at = data_digest, -1

    def save(self, is_final: bool) -> None:
        state = {"trainer": self.trainer.state_dict(), "data_digest": self.data_digest}
        digest = self.session.save(state, is_final)
        if digest is not None:
            self.reporter.outlets.say(f"state digest: {digest}")

    def measure(self) -> None:
        def is_stopping() -> bool:
            self.session.watch.beat()
            return self.session.stop.requested is not None

        self.reporter.measure(is_stopping)

    def snapshot(self) -> None:
        if self.session.ranks.is_first:
            self.reporter.snapshot(data=self.data_digest)
        self.shown_at = self.trainer.step_count
