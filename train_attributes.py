"""Train the readers of faces on faces that are drawn on the spot.

python train_attributes.py --outdir runs
python -m pretrained.release attributes runs/00000-attributes-batch32/attributes.safetensors
python train_attributes.py --reader regions --steps 3000 --outdir runs
python -m pretrained.release regions runs/00001-regions-batch32/regions.safetensors
"""

from __future__ import annotations

import itertools
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import runtime

if TYPE_CHECKING:
    from attributes.lessons import Lesson

NUM_HELD_OUT, PAPER = 5000, 50  # pictures, and how many are drawn at a time


@click.command(cls=runtime.Verb)
@click.option(
    "--reader",
    type=click.Choice(["attributes", "regions"]),
    default="attributes",
    show_default=True,
    help="regions: where hair, skin, eyes and clothes are, for --like, --hair and --eyes.",
)
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

    from attributes.lessons import lesson_of
    from attributes.training import ReaderTrainingConfig, train
    from custom_ops.allocator import keep_freed_memory
    from engine.fitting import fit, load_newest, open_run
    from engine.ranks import ALONE
    from engine.session import Session
    from evaluation.curves import draw_curves
    from stylegan.device import pick_device
    from stylegan.generator import native_precision

    keep_freed_memory()
    device = pick_device(options["device"])
    precision = "fp32" if native_precision(options["fp32"], device) == "fp32" else "bf16"
    torch.manual_seed(options["seed"])
    recipe = ReaderTrainingConfig(options["steps"], lr=options["lr"], precision=precision)
    lesson = lesson_of(options["reader"])
    trainer = lesson.trainer(lesson.network().to(device), recipe)
    run = open_run(options, f"{options['reader']}-batch{options['batch']}", runtime.run_folder)
    with Session(run, ALONE, versions=runtime.versions()) as session:
        load_newest(session, options["resume"], trainer)
        runtime.setup_logging(run / "log.txt")
        papers, every = held_out(lesson, options), options["eval_every"]
        reporter = lesson.reporter(run, trainer, every, draw_curves, click.echo, papers=papers)
        with closing(batches(lesson, trainer.step_count, options)) as examples:
            fit(session, reporter, train(trainer, examples))


def batches(lesson: Lesson, start: int, options: dict[str, Any]) -> Generator[Any]:
    """Yield what is learned from in step `start` and those after it, drawn ahead."""
    from attributes.pictures import Task
    from data.processes import computed

    seed, num = options["seed"], options["batch"]
    tasks = (Task(seed, step * num, num) for step in itertools.count(start))
    return computed(lesson.examples, tasks, options["workers"])


def held_out(lesson: Lesson, options: dict[str, Any]) -> list[Any]:
    """Draw the pictures that training never sees."""
    from attributes.pictures import Task
    from data.processes import computed

    starts = range(0, NUM_HELD_OUT, PAPER)
    tasks = (Task(0, start, min(PAPER, NUM_HELD_OUT - start)) for start in starts)
    with closing(computed(lesson.exam, tasks, options["workers"])) as papers:
        return list(papers)


if __name__ == "__main__":
    main()
