"""Train a StyleGAN3 on a zip or folder of square pictures.

python train_gan.py --data faces.zip --outdir runs --batch 32 --gamma 2
torchrun --standalone --nproc-per-node 8 -- train_gan.py ...
"""

from __future__ import annotations

import functools
import json
import logging
import resource
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import runtime

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from data.dataset import ImageDataset
    from data.loader import Loader
    from engine.ranks import Ranks
    from engine.session import Session
    from stylegan.reporting import Outlets
    from stylegan.training import Trainer

METRIC_IMAGES = 2000
OPTIONS = "training_options.json"
BY_CFG = "[by --cfg]"
option = functools.partial(click.option, show_default=True)
ANY, POSITIVE = click.FloatRange(0), click.FloatRange(0, min_open=True)
SHARE, COUNT = click.FloatRange(0, 1), click.IntRange(1)


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
@option("--gamma", type=ANY, help="R1 weight [by --cfg; t, r: 2 (res/256)^2 32/batch].")
@option("--cond", type=bool, default=False, help="Learn from the labels of the pictures.")
@option("--mirror", type=bool, default=True, help="Flip at random.")
@option("--kimg", type=POSITIVE, default=25_000, help="Length of the whole run, 1000 pictures.")
@option("--steps", type=COUNT, help="Length in steps, instead of --kimg.")
@option("--tick", type=POSITIVE, default=4, help="1000 pictures between two rows of statistics.")
@option("--snap", type=COUNT, default=50, help="Ticks between two snapshots.")
@option("--ckpt-minutes", type=POSITIVE, default=10, help="Between two states, at most.")
@option(
    "--metrics",
    type=click.Choice(["none", "fd_pixels16", "fd_attr"]),
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
@option("--glr", type=ANY, default=2.5e-3)
@option("--dlr", type=ANY, default=2e-3)
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
@option("--hang-timeout", type=ANY, default=1800, help="Seconds; 0: never.")
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
    patience = timedelta(seconds=2 * options["hang_timeout"]) or timedelta(days=7)
    with joined(options["device"], patience=patience) as ranks:
        if not ranks.is_first:
            logging.disable(logging.INFO)  # one process's notes are enough
        start(options, ranks)


def start(options: dict[str, Any], ranks: Ranks) -> None:
    """Open the data and the run, new or resumed, and train."""
    from data.dataset import ImageDataset
    from engine.resume import named_run, state_to_resume
    from engine.session import Session
    from stylegan.presets import build_trainer, plan, resolve

    options = resolve(options)
    run = named_run(options["resume"]) or ranks.once(lambda: unnamed_run(options, ranks))
    options = ranks.once(lambda: as_before(options, run))
    dataset = ImageDataset(options["data"], skip_bad=options["on_bad_image"] == "skip")
    labels = dataset.label_table() if options["cond"] else None
    if options["dry_run"]:
        facts = plan(options, dataset.resolution, labels, ranks)
        return ranks.once(lambda: click.echo(json.dumps(facts, indent=1, default=str)))
    found = ranks.once(lambda: run and state_to_resume(run, options["resume"]))
    trainer = build_trainer(options, dataset.resolution, labels, ranks, is_new=found is None)
    name = run_name(options, dataset, ranks)
    run = run or ranks.once(lambda: runtime.run_folder(options["outdir"], name))
    minutes, patience = options["ckpt_minutes"], options["hang_timeout"]
    with Session(run, ranks, minutes, patience, runtime.versions()) as session:
        go_on(session, options, dataset, labels, trainer)


def run_name(options: dict[str, Any], dataset: ImageDataset, ranks: Ranks) -> str:
    """Return what follows the number in the name of a run folder."""
    from stylegan.presets import describe

    return runtime.folder_name(describe(options, dataset.name, dataset.resolution, ranks.size))


def unnamed_run(options: dict[str, Any], ranks: Ranks) -> Path | None:
    """Return the run that `--resume auto` or a restart means, if it was begun."""
    from data.dataset import ImageDataset
    from engine.resume import begun_run

    dataset = ImageDataset(options["data"], skip_bad=True)
    return begun_run(options["resume"], options["outdir"], run_name(options, dataset, ranks))


def as_before(options: dict[str, Any], run: Path | None) -> dict[str, Any]:
    """Return the options of a run that is resumed, from those of this start."""
    from engine.states import StateError, list_states
    from stylegan.presets import continued

    if run is None:
        return options
    context = click.get_current_context()
    source = click.core.ParameterSource.COMMANDLINE
    given = {k for k in context.params if context.get_parameter_source(k) == source}
    try:
        stored = json.loads((run / OPTIONS).read_text())
    except (OSError, ValueError) as exc:
        if options["data"] is None or list_states(run):
            message = f"{run}: no run with its {OPTIONS} there. Give a run folder to --resume."
            raise StateError(message, "E-MODEL-MISSING") from exc
        return options  # killed before it began
    return continued(options, given, stored)


def go_on(
    session: Session,
    options: dict[str, Any],
    dataset: ImageDataset,
    labels: Tensor | None,
    trainer: Trainer,
) -> None:
    """Train in a run folder that is locked, from its state, if it has one, to the end."""
    from data.loader import Loader, LoaderConfig
    from evaluation.report import save_sheet
    from stylegan.course import Course
    from stylegan.reporting import GRID, Reporter

    run, ranks = session.run, session.ranks
    digest = ranks.once(dataset.digest)
    loading = LoaderConfig(
        seed=trainer.config.seed,
        mirror=options["mirror"],
        workers=options["workers"],
        timeout=options["data_timeout"],
        bad_budget=options["bad_budget"],
    )
    loader = Loader(dataset, loading, labels)
    load_newest(session, options, digest, trainer, loader)
    if ranks.is_first:
        runtime.setup_logging(run / "log.txt")
        write_options(run, options)
        if trainer.step_count == 0:
            save_sheet(run / "reals.png", dataset.first(GRID * GRID), GRID)
    outlets = make_outlets(session, options, digest, loader, trainer)
    reporter = Reporter(run, trainer, ranks, options["tick"], options["snap"], outlets)

    def facts() -> dict[str, Any]:
        return {"data_digest": digest, "bad_pictures": loader.all_bad(ranks.all)}

    stream = loader.batches(trainer.positions, trainer.step_count)
    Course(trainer, session, reporter, facts).run(stream)


def load_newest(
    session: Session, options: dict[str, Any], digest: str, trainer: Trainer, loader: Loader
) -> None:
    """Load the state that the run goes on from, if there is one, and check that it belongs here."""
    from engine.resume import state_to_resume
    from engine.states import StateError, load_state

    folder = session.ranks.once(lambda: state_to_resume(session.run, options["resume"]))
    if folder is None:
        return
    state = load_state(folder)
    if not {"trainer", "data_digest", "bad_pictures"} <= state.keys():
        message = f"{folder}: not a state of train_gan.py. Give one of those to --resume."
        raise StateError(message, "E-MODEL-MISMATCH")
    if state["data_digest"] != digest and not options["allow_data_change"]:
        what = f"{options['data']}: not the pictures {session.run} was trained on"
        raise StateError(f"{what}. Give those, or --allow-data-change 1.", "E-DATA-MISMATCH")
    trainer.load_state_dict(state["trainer"])
    loader.bad |= set(state["bad_pictures"]) if state["data_digest"] == digest else set()


def write_options(run: Path, options: dict[str, Any]) -> None:
    """Keep the options in the run folder, for a start that resumes it."""
    from engine.files import atomic_file

    with atomic_file(run / OPTIONS) as temporary:
        temporary.write_text(json.dumps(options, indent=1, default=str) + "\n")


def make_outlets(
    session: Session, options: dict[str, Any], digest: str, loader: Loader, trainer: Trainer
) -> Outlets:
    """Return where the reports of a training go."""
    from engine.disk import is_full
    from engine.rows import append_line
    from evaluation.curves import draw_curves
    from evaluation.report import save_sheet
    from evaluation.tensorboard import Board, writer
    from stylegan.reporting import GRID, Outlets

    run, ranks = session.run, session.ranks
    board = writer(run, trainer.step_count) if ranks.is_first else Board(None)

    def say(line: str) -> None:
        append_line(run / "log.txt", line)
        try:
            click.echo(line)
        except OSError as error:
            if not is_full(error):
                raise

    def extra() -> dict[str, float]:
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        return {"bad_images": len(loader.all_bad(ranks.all)), "cpu_mem_gb": memory}

    return Outlets(
        say=say,
        save_sheet=functools.partial(save_sheet, columns=GRID),
        draw_curves=draw_curves,
        show_row=board.write,
        extra=extra,
        measure=measure_of(options, loader.dataset, ranks),
        metric=options["metrics"],
        data_digest=digest,
    )


def measure_of(
    options: dict[str, Any], dataset: ImageDataset, ranks: Ranks
) -> Callable[..., dict[str, float]] | None:
    """Return what measures a generator by its pictures, if the options ask for it."""
    if options["metrics"] == "none":
        return None
    from evaluation.fidelity import TrainingMetric

    metric = TrainingMetric(
        options["metrics"],
        dataset,
        mirror=options["mirror"],
        rank=ranks.rank,
        size=ranks.size,
        total=ranks.sum_,
    )
    return functools.partial(metric.row, num=METRIC_IMAGES)


if __name__ == "__main__":
    main()
