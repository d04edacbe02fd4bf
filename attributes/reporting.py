"""What a training of a reader leaves behind: figures, curves and weights."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from attributes.examination import examine, mean_accuracy, table
from attributes.pictures import Exam
from attributes.reader import Reader, save_reader
from attributes.training import ReaderTrainer
from engine.fitting import Reporter
from engine.rows import Row

WEIGHTS = "attributes.safetensors"


class ReaderReporter(Reporter):
    """Examine the reader on held-out pictures; write figures, the curves and weights.

    Args:
        run, trainer, every, draw_curves, say: as for every `Reporter`.
        papers: what it is examined on.
    """

    trainer: ReaderTrainer
    reports_stops = False  # an examination takes longer than a stop may

    def __init__(
        self,
        run: Path,
        trainer: ReaderTrainer,
        every: int,
        draw_curves: Callable[[list[Row], Path], None],
        say: Callable[[str], None],
        *,
        papers: Sequence[Exam],
    ) -> None:
        super().__init__(run, trainer, every, draw_curves, say)
        self.papers = papers

    def snapshot(self) -> None:
        """Examine, and write everything."""
        marks = examine(Reader(self.trainer.network), self.papers)
        mean, step = mean_accuracy(marks), self.trainer.step_count
        facts = {"accuracy": mean.colour, "accuracy_grey": mean.grey}
        text = json.dumps({name: mark._asdict() for name, mark in marks.items()})
        save_reader(
            self.run / WEIGHTS, self.trainer.network, trained_steps=step, marks=text, **facts
        )
        (self.run / "marks.md").write_text(table(marks) + "\n")
        loss = self.mean_loss().item()
        told = f"{mean.colour:.4f} in colour, {mean.grey:.4f} small and grey"
        self.write(
            {"train_loss": loss, **facts}, f"train loss {loss:.4f}   held-out accuracy {told}"
        )
        if step == self.trainer.config.total_steps:
            self.say(table(marks))
