"""Train a StyleGAN3 on a zip or folder of square pictures.

python train_gan.py --data faces.zip --outdir runs --batch 32 --gamma 2
torchrun --standalone --nproc-per-node 8 train_gan.py ...
"""

from __future__ import annotations

import functools
import itertools
import json
import logging
import resource
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import runtime

if TYPE_CHECKING:
    from torch import Tensor

    from data.dataset import ImageDataset
    from data.loader import Loader
    from engine.ranks import Ranks
    from stylegan.reporting import Outlets
    from stylegan.training import Trainer

METRIC_IMAGES = 2000
OPTIONS = "training_options.json"
BY_CFG = "[by --cfg]"
option = functools.partial(click.option, show_default=True)
POSITIVE = click.FloatRange(0, min_open=True)
SHARE = click.FloatRange(0, 1)
COUNT = click.IntRange(1)


@click.command(cls=runtime.Verb, epilog="Options have the names that StyleGAN users know.")
@option("--data", type=runtime.UserPath(), help="Zip or folder of pictures.")
@option("--outdir", type=runtime.UserPath(), default=Path("runs"))
@option(
    "--cfg",
    type=click.Choice(["t", "r", "t-64", "t-128", "t-256-small"]),
    default="t",
    help="Translation or rotation equivariant; or a small network for two CPU cores.",
)
@option("--batch", type=COUNT, help=f"Pictures per step, of all processes together. {BY_CFG}")
@option("--batch-gpu", type=COUNT, help="Pictures that a process handles at a time. [all of its]")
@option(
    "--gamma", type=click.FloatRange(0), help="R1 weight [by --cfg; t, r: 2 (res/256)^2 32/batch]."
)
@option("--cond", type=bool, default=False, help="Learn from the labels of the pictures.")
@option("--mirror", type=bool, default=True, help="Flip at random.")
@option("--kimg", type=POSITIVE, default=25_000, help="Length of the whole run, 1000 pictures.")
@option("--steps", type=COUNT, help="Length in steps, instead of --kimg.")
@option("--tick", type=POSITIVE, default=4, help="1000 pictures between two rows of statistics.")
@option("--snap", type=COUNT, default=50, help="Ticks between two snapshots.")
@option("--ckpt-minutes", type=POSITIVE, default=10, help="Between two states, at most.")
@option(
    "--metrics",
    type=click.Choice(["none", "fd_pixels16"]),
    default="none",
    help="Frechet distance to measure at every snapshot.",
)
@option("--seed", type=click.IntRange(0), default=0)
@option("--cbase", type=COUNT, help=BY_CFG)
@option("--cmax", type=COUNT, help=BY_CFG)
@option("--num-layers", type=click.IntRange(3), help=BY_CFG)
@option("--z-dim", type=COUNT, help=BY_CFG)
@option("--w-dim", type=COUNT, help=BY_CFG)
@option("--map-depth", type=COUNT, default=2)
@option("--margin", type=click.IntRange(0), help=BY_CFG)
@option("--first-cutoff", type=float, help=BY_CFG)
@option("--first-stopband", type=float, help=BY_CFG)
@option("--mbstd-group", type=COUNT, default=4)
@option("--freezed", type=click.IntRange(0), default=0, help="First layers of D to leave as is.")
@option("--glr", type=click.FloatRange(0), default=2.5e-3)
@option("--dlr", type=click.FloatRange(0), default=2e-3)
@option("--anneal", type=SHARE, default=0.3, help="Last share, in which learning rates fall.")
@option("--lr-floor", type=SHARE, default=0.25)
@option("--aug", type=click.Choice(["noaug", "ada", "fixed"]), help=BY_CFG)
@option("--target", type=click.FloatRange(-1, 1), default=0.6, help="Of ada.")
@option("--p", type=SHARE, default=0.0, help="Of fixed; ada starts there.")
@option("--fp32", type=bool, help="No 16-bit signals [where the processor has none].")
@option("--transfer", type=runtime.UserPath(), help="Model or run to take the weights from.")
@option("--resume", type=runtime.UserPath(), help="Run or state to go on from; auto: the newest.")
@option("--allow-data-change", type=bool, default=False, help="Resume with other pictures.")
@option("--workers", type=click.IntRange(0), default=1, help="Threads that load pictures.")
@option("--data-timeout", type=POSITIVE, default=120, help="Seconds to wait for a picture.")
@option("--on-bad-image", type=click.Choice(["fail", "skip"]), default="fail")
@option("--bad-budget", type=SHARE, default=0.001, help="Share of pictures that may be skipped.")
@option("--hang-timeout", type=click.FloatRange(0), default=1800, help="Seconds; 0: never.")
@option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto")
@option("--desc", default="", help="Words to add to the run folder's name.")
@option("-n", "--dry-run", is_flag=True, help="Print the options and the memory, and stop.")
def main(**options: Any) -> None:
    """Train a StyleGAN3 generator on your own faces."""
    if options["data"] is None and str(options["resume"]) in ("None", "auto"):
        raise click.UsageError("Missing option '--data'.")
    from custom_ops.allocator import keep_freed_memory
    from engine.ranks import joined
    from stylegan.device import pick_device

    keep_freed_memory()
    options["device"] = pick_device(options["device"])
    with joined(options["device"]) as ranks:
        if not ranks.is_first:
            logging.disable(logging.INFO)  # one process's notes are enough
        start(options, ranks)


def start(options: dict[str, Any], ranks: Ranks) -> None:
    """Open the data and the run, new or resumed, and train."""
    from data.dataset import ImageDataset
    from engine.resume import begun_run, named_run, state_to_resume
    from engine.states import load_state
    from stylegan.presets import build_trainer, describe, plan, resolve

    options = resolve(options)
    run = named_run(options["resume"])
    options = as_before(options, run)
    dataset = ImageDataset(options["data"], skip_bad=options["on_bad_image"] == "skip")
    labels = dataset.label_table() if options["cond"] else None
    if options["dry_run"]:
        facts = plan(options, dataset.resolution, labels, ranks)
        return click.echo(json.dumps(facts, indent=1, default=str)) if ranks.is_first else None
    name = runtime.folder_name(describe(options, dataset.name, dataset.resolution, ranks.size))
    if run is None:
        run = ranks.once(lambda: begun_run(options["resume"], options["outdir"], name))
        options = as_before(options, run)
    found = ranks.once(lambda: run and state_to_resume(run, options["resume"]))
    digest = ranks.once(dataset.digest)
    state = None if found is None else checked(load_state(found), found, digest, options)
    trainer = build_trainer(options, dataset.resolution, labels, ranks, is_new=state is None)
    if state is not None:
        trainer.load_state_dict(state["trainer"])
    run = run or ranks.once(lambda: new_run(options, name))
    train_in(run, options, dataset, labels, trainer, ranks, digest)


def as_before(options: dict[str, Any], run: Path | None) -> dict[str, Any]:
    """Return the options of a run that is resumed, from those of this start."""
    from engine.states import StateError
    from stylegan.presets import continued

    if run is None:
        return options
    context = click.get_current_context()
    source = click.core.ParameterSource.COMMANDLINE
    given = {name for name in context.params if context.get_parameter_source(name) == source}
    try:
        stored = json.loads((run / OPTIONS).read_text())
    except (OSError, ValueError) as exc:
        if options["data"] is None:
            message = f"{run}: no run with its {OPTIONS} there. Give a run folder to --resume."
            raise StateError(message, "E-MODEL-MISSING") from exc
        stored = {}
    return continued(options, given, stored)


def new_run(options: dict[str, Any], name: str) -> Path:
    """Make a run folder that holds its options."""
    run = runtime.run_folder(options["outdir"], name)
    (run / OPTIONS).write_text(json.dumps(options, indent=1, default=str) + "\n")
    return run


def checked(
    state: dict[str, Any], folder: Path, digest: str, options: dict[str, Any]
) -> dict[str, Any]:
    """Return a state that belongs to the pictures of this digest."""
    from engine.states import StateError

    if not {"trainer", "data_digest"} <= state.keys():
        message = f"{folder}: not a state of train_gan.py. Give one of those to --resume."
        raise StateError(message, "E-MODEL-MISMATCH")
    if state["data_digest"] != digest and not options["allow_data_change"]:
        what = f"{options['data']}: not the pictures {folder.parent} was trained on"
        raise StateError(f"{what}. Give those, or --allow-data-change 1.", "E-DATA-MISMATCH")
    return state


def train_in(
    run: Path,
    options: dict[str, Any],
    dataset: ImageDataset,
    labels: Tensor | None,
    trainer: Trainer,
    ranks: Ranks,
    digest: str,
) -> None:
    """Train in a run folder to the end, or until a signal asks to stop."""
    from data.loader import Loader, LoaderConfig
    from engine.session import Session
    from stylegan.course import run_training
    from stylegan.reporting import Reporter

    loading = LoaderConfig(
        seed=trainer.config.seed,
        mirror=options["mirror"],
        workers=options["workers"],
        timeout=options["data_timeout"],
        bad_budget=options["bad_budget"],
    )
    loader = Loader(dataset, loading, labels)
    minutes, patience = options["ckpt_minutes"], options["hang_timeout"]
    with Session(run, ranks, minutes, patience, runtime.versions()) as session:
        if ranks.is_first:
            runtime.setup_logging(run / "log.txt")
            if trainer.step_count == 0:
                save_sheet(run / "reals.png", first_pictures(dataset))
        outlets = make_outlets(run, options, dataset, loader, trainer, ranks)
        reporter = Reporter(run, trainer, ranks, options["tick"], options["snap"], outlets)
        stream = loader.batches(trainer.positions, trainer.step_count)
        run_training(trainer, stream, session, reporter, digest)


def make_outlets(
    run: Path,
    options: dict[str, Any],
    dataset: ImageDataset,
    loader: Loader,
    trainer: Trainer,
    ranks: Ranks,
) -> Outlets:
    """Return where the reports of a training go."""
    from evaluation.tensorboard import writer
    from stylegan.reporting import Outlets

    name, measure = options["metrics"], None
    if name != "none":
        from evaluation.fidelity import TrainingMetric

        metric = TrainingMetric(
            name,
            dataset,
            mirror=options["mirror"],
            rank=ranks.rank,
            size=ranks.size,
            total=ranks.sum_,
        )
        measure = functools.partial(metric.row, num=METRIC_IMAGES)

    show_row = writer(run, trainer.step_count).write if ranks.is_first else print

    def say(line: str) -> None:
        click.echo(line)
        with open(run / "log.txt", "a") as log:
            log.write(line + "\n")

    def extra() -> dict[str, float]:
        bad = set().union(*ranks.all(loader.bad))
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        return {"bad_images": len(bad), "cpu_mem_gb": memory}

    return Outlets(say, save_sheet, draw_run, show_row, extra, measure, name)


def save_sheet(path: Path, pictures: Tensor) -> None:
    """Write pictures [64, 3, R, R] as one PNG."""
    from data.image_io import save_png, to_uint8
    from evaluation.report import tile
    from stylegan.reporting import GRID

    save_png(path, tile(to_uint8(pictures), GRID))


def first_pictures(dataset: ImageDataset) -> Tensor:
    """Return the first pictures of a data set that can be used."""
    import numpy as np

    from data.image_io import from_uint8
    from stylegan.reporting import GRID

    found = itertools.islice(dataset.pictures(range(len(dataset))), GRID * GRID)
    return from_uint8(np.stack(list(found)).transpose(0, 2, 3, 1))


def draw_run(run: Path) -> None:
    """Draw the statistics and metrics of a run."""
    from engine.rows import read_rows
    from evaluation.curves import draw_curves
    from stylegan.reporting import STATISTICS

    metrics = [read_rows(path) for path in sorted(run.glob("metric-*.jsonl"))]
    draw_curves(read_rows(run / STATISTICS), run / "curves.png", metrics)


if __name__ == "__main__":
    main()
