"""Train the reader of face attributes on faces that are drawn on the spot.

python train_attributes.py --outdir runs
python -m pretrained.release attributes runs/00000-attributes-batch32/attributes.safetensors
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Generator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import runtime
from engine.fitting import Reporter, fit, open_run

if TYPE_CHECKING:
    from attributes.pictures import Exam, Examples
    from attributes.training import ReaderTrainer

NUM_HELD_OUT, PAPER = 5000, 50  # pictures, and how many are drawn at a time


@click.command(cls=runtime.Verb)
@click.option("--outdir", type=runtime.UserPath(), default=Path("runs"), show_default=True)
@click.option(
    "--steps",
    type=click.IntRange(1),
    default=5000,
    show_default=True,
    help="Length of the whole run.",
)
@click.option(
    "--batch",
    type=click.IntRange(1),
    default=32,
    show_default=True,
    help="Faces per step; each is seen twice, in colour and in grey.",
)
@click.option("--lr", type=click.FloatRange(0, min_open=True), default=2e-3, show_default=True)
@click.option(
    "--eval-every",
    type=click.IntRange(1),
    default=1000,
    show_default=True,
    help="Steps between two looks at the held-out pictures.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--fp32", type=bool, help="No 16-bit arithmetic [where the CPU has no bfloat16].")
@click.option(
    "--workers",
    type=click.IntRange(0, 256),
    default=1,
    show_default=True,
    help="Processes that draw; 0: the trainer does.",
)
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
)
@click.option("--resume", type=runtime.UserPath(), help="Run or state to go on from.")
def main(**options: Any) -> None:
    """Train a small network to read hair, eyes, expression, turn and more from a picture."""
    import torch

    from attributes.network import Network, ReaderConfig
    from attributes.training import ReaderTrainer, ReaderTrainingConfig, train
    from custom_ops.allocator import keep_freed_memory
    from engine.ranks import ALONE
    from engine.session import Session
    from stylegan.device import pick_device
    from stylegan.generator import native_precision

    keep_freed_memory()
    device = pick_device(options["device"])
    precision = "fp32" if native_precision(options["fp32"], device) == "fp32" else "bf16"
    torch.manual_seed(options["seed"])
    recipe = ReaderTrainingConfig(options["steps"], lr=options["lr"], precision=precision)
    trainer = ReaderTrainer(Network(ReaderConfig()).to(device), recipe)
    name = f"attributes-batch{options['batch']}"
    run = open_run(options, trainer, lambda: runtime.run_folder(options["outdir"], name))
    with Session(run, ALONE, versions=runtime.versions()) as session:
        runtime.setup_logging(run / "log.txt")
        reporter = ReaderReporter(run, trainer, options)
        with closing(batches(trainer.step_count, options)) as examples:
            fit(session, reporter, train(trainer, examples))


def batches(start: int, options: dict[str, Any]) -> Generator[Examples]:
    """Yield what is learned from in step `start` and those after it, drawn ahead."""
    from attributes.pictures import Task, training_examples
    from data.processes import computed

    seed, num = options["seed"], options["batch"]
    tasks = (Task(seed, step * num, num) for step in itertools.count(start))
    return computed(training_examples, tasks, options["workers"])


def held_out(options: dict[str, Any]) -> list[Exam]:
    """Draw the pictures that training never sees."""
    from attributes.pictures import Task, exam
    from data.processes import computed

    starts = range(0, NUM_HELD_OUT, PAPER)
    tasks = (Task(0, start, min(PAPER, NUM_HELD_OUT - start)) for start in starts)
    with closing(computed(exam, tasks, options["workers"])) as papers:
        return list(papers)


class ReaderReporter(Reporter):
    """Examine the reader on held-out pictures; write figures, the curves and weights."""

    trainer: ReaderTrainer
    reports_stops = False  # an examination takes longer than a stop may

    def __init__(self, run: Path, trainer: ReaderTrainer, options: dict[str, Any]) -> None:
        super().__init__(run, trainer, options["eval_every"])
        self.papers = held_out(options)

    def snapshot(self) -> None:
        """Examine, and write everything."""
        from attributes.examination import examine, mean_accuracy, table
        from attributes.reader import Reader, save_reader
        from evaluation.curves import draw_curves

        marks = examine(Reader(self.trainer.network), self.papers)
        mean, loss, step = mean_accuracy(marks), self.mean_loss(), self.trainer.step_count
        facts = {"accuracy": mean.colour, "accuracy_grey": mean.grey}
        draw_curves(self.add_row({"train_loss": loss, **facts}), self.run / "curves.png")
        text = json.dumps({name: mark._asdict() for name, mark in marks.items()})
        weights = self.run / "attributes.safetensors"
        save_reader(weights, self.trainer.network, trained_steps=step, marks=text, **facts)
        (self.run / "marks.md").write_text(table(marks) + "\n")
        elapsed = str(timedelta(seconds=round(time.monotonic() - self.started)))
        click.echo(
            f"step {step:<7d} time {elapsed:<9} train loss {loss:.4f}   held-out accuracy "
            f"{mean.colour:.4f} in colour, {mean.grey:.4f} small and grey"
        )
        if step == self.trainer.config.total_steps:
            click.echo(table(marks))


if __name__ == "__main__":
    main()
