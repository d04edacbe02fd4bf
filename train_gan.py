"""Train a StyleGAN3 on a zip or folder of square pictures.

python train_gan.py --data faces.zip --outdir runs --batch 32 --gamma 2
"""

from __future__ import annotations

import json
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import runtime

if TYPE_CHECKING:
    from stylegan.training import Trainer, TrainStep

GRID = 8  # rows and columns of a sample sheet
KEPT_STATES = 2
STATISTICS = "stats.jsonl"
BY_CFG = "[by --cfg]"


@click.command(cls=runtime.Verb, epilog="Options have the names that StyleGAN users know.")
@click.option("--data", type=runtime.UserPath(), required=True, help="Zip or folder of pictures.")
@click.option("--outdir", type=runtime.UserPath(), default=Path("runs"), show_default=True)
@click.option(
    "--cfg",
    type=click.Choice(["t", "r", "t-64", "t-128", "t-256-small"]),
    default="t",
    show_default=True,
    help="Translation or rotation equivariant; or a small network for two CPU cores.",
)
@click.option("--batch", type=click.IntRange(1), help=BY_CFG)
@click.option(
    "--gamma", type=click.FloatRange(0), help="R1 weight [by --cfg; t, r: 2 (res/256)^2 32/batch]."
)
@click.option("--mirror", type=bool, default=True, show_default=True, help="Flip at random.")
@click.option(
    "--kimg",
    type=click.FloatRange(0, min_open=True),
    default=25_000,
    show_default=True,
    help="Length of the whole run in thousands of pictures.",
)
@click.option("--steps", type=click.IntRange(1), help="Length in steps, instead of --kimg.")
@click.option(
    "--tick",
    type=click.FloatRange(0, min_open=True),
    default=4,
    show_default=True,
    help="Thousands of pictures between two lines of statistics.",
)
@click.option(
    "--snap",
    type=click.IntRange(1),
    default=50,
    show_default=True,
    help="Ticks between two snapshots and states.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--cbase", type=click.IntRange(1), help=BY_CFG)
@click.option("--cmax", type=click.IntRange(1), help=BY_CFG)
@click.option("--num-layers", type=click.IntRange(3), help=BY_CFG)
@click.option("--z-dim", type=click.IntRange(1), help=BY_CFG)
@click.option("--w-dim", type=click.IntRange(1), help=BY_CFG)
@click.option("--map-depth", type=click.IntRange(1), default=2, show_default=True)
@click.option("--margin", type=click.IntRange(0), help=BY_CFG)
@click.option("--first-cutoff", type=float, help=BY_CFG)
@click.option("--first-stopband", type=float, help=BY_CFG)
@click.option("--mbstd-group", type=click.IntRange(1), default=4, show_default=True)
@click.option("--glr", type=click.FloatRange(0), default=2.5e-3, show_default=True)
@click.option("--dlr", type=click.FloatRange(0), default=2e-3, show_default=True)
@click.option(
    "--anneal",
    type=click.FloatRange(0, 1),
    default=0.3,
    show_default=True,
    help="Last share of the run in which learning rates fall.",
)
@click.option("--lr-floor", type=click.FloatRange(0, 1), default=0.25, show_default=True)
@click.option("--aug", type=click.Choice(["noaug", "ada", "fixed"]), help=BY_CFG)
@click.option("--target", type=click.FloatRange(-1, 1), default=0.6, help="Of ada. [default: 0.6]")
@click.option("--p", type=click.FloatRange(0, 1), default=0.0, help="Of fixed; ada starts there.")
@click.option("--fp32", type=bool, help="No 16-bit signals [where the CPU has no bfloat16].")
@click.option("--resume", type=runtime.UserPath(), help="Run folder to continue.")
@click.option("--desc", default="", help="Words to add to the run folder's name.")
@click.option("-n", "--dry-run", is_flag=True, help="Print the options and stop.")
def main(**options: Any) -> None:
    """Train a StyleGAN3 generator on your own faces."""
    from custom_ops.allocator import keep_freed_memory
    from data.dataset import ImageDataset
    from data.loader import Loader, LoaderConfig
    from stylegan.presets import (
        build_trainer,
        continued,
        generator_config,
        resolve,
        training_config,
    )
    from stylegan.training import train

    keep_freed_memory()
    dataset = ImageDataset(options["data"])
    resolution = dataset.resolution
    options = resolve(options)
    if options["resume"] is not None:
        options = continued(options, given_options(), stored_options(options["resume"]))
    if options["dry_run"]:
        g_config, config = (
            generator_config(options, resolution),
            training_config(options, resolution),
        )
        facts = {**options, **g_config.to_dict(), "gamma": config.gamma}
        click.echo(json.dumps(facts, indent=1, default=str))
        return
    trainer = build_trainer(options, resolution)
    config = trainer.config
    run = open_run(options, dataset.name, trainer, dataset.digest())
    runtime.setup_logging(run / "log.txt")
    loader = Loader(dataset, LoaderConfig(seed=config.seed, mirror=options["mirror"]))
    stream = loader.batches(
        lambda k: range(k * config.batch, (k + 1) * config.batch), trainer.step_count
    )
    if trainer.step_count == 0:
        save_reals(run, dataset)
        save_fakes(run / "fakes_init.png", trainer)
    reporter = Reporter(run, trainer, dataset.digest(), options["tick"], options["snap"])
    try:
        for step in train(trainer, (batch.images for batch in stream)):
            reporter.observe(step)
    finally:
        reporter.snapshot()


def given_options() -> set[str]:
    """Return the names of the options on the command line."""
    context = click.get_current_context()
    source = click.core.ParameterSource.COMMANDLINE
    return {name for name in context.params if context.get_parameter_source(name) == source}


def stored_options(run: Path) -> dict[str, Any]:
    """Return the options that a run was made with; none if it did not leave them."""
    try:
        return dict(json.loads((run / "training_options.json").read_text()))
    except (OSError, ValueError):
        return {}


def open_run(options: dict[str, Any], name: str, trainer: Trainer, data_digest: str) -> Path:
    """Return a new run folder, or the one to resume with its newest state loaded."""
    run: Path | None = options["resume"]
    if run is None:
        words = ["stylegan3", options["cfg"], name, f"batch{trainer.config.batch}"]
        words += [f"gamma{trainer.config.gamma:g}"] + [options["desc"]] * bool(options["desc"])
        run = runtime.run_folder(options["outdir"], "-".join(words))
        text = json.dumps(options, indent=1, default=str)
        (run / "training_options.json").write_text(text + "\n")
        return run
    from engine.states import newest_training_state
    from stylegan.checkpoint import CheckpointError

    state = newest_training_state(run)
    if "trainer" not in state:
        message = f"{run}: not a run of train_gan.py. Give one of those to --resume."
        raise CheckpointError(message, "E-MODEL-MISMATCH")
    if state["data_digest"] != data_digest:
        message = f"{options['data']}: not the pictures {run} was trained on. Give those to --data."
        raise CheckpointError(message, "E-DATA-MISMATCH")
    trainer.load_state_dict(state["trainer"])
    keep_statistics(run / STATISTICS, trainer.step_count)
    return run


def read_statistics(path: Path) -> list[dict[str, float]]:
    """Return the rows of `stats.jsonl`; a last line that a kill has cut off is left out."""
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def keep_statistics(path: Path, step: int) -> None:
    """Drop the rows after `step`: the resumed run writes them again."""
    rows = [row for row in read_statistics(path) if row["step"] <= step]
    if not rows:
        return path.unlink(missing_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text("".join(json.dumps(row) + "\n" for row in rows))
    temporary.replace(path)


def save_reals(run: Path, dataset: Any) -> None:
    """Write a sheet of training pictures."""
    import numpy as np

    from data.image_io import save_png
    from evaluation.report import tile

    pictures = np.stack([dataset[i] for i in range(min(len(dataset), GRID * GRID))])
    save_png(run / "reals.png", tile(pictures.transpose(0, 2, 3, 1), GRID))


def save_fakes(path: Path, trainer: Trainer) -> None:
    """Write a sheet of the averaged generator's pictures, of the same latents every time."""
    import torch

    from data.image_io import save_png, to_uint8
    from engine.seeding import derive_generator
    from evaluation.report import tile

    generator = derive_generator(trainer.config.seed, "grid")
    z = torch.randn(GRID * GRID, trainer.G.config.z_dim, generator=generator)
    with torch.inference_mode():
        pictures = torch.cat([trainer.G_ema(part) for part in z.split(GRID)])
    save_png(path, tile(to_uint8(pictures), GRID))


class Reporter:
    """Write statistics, sample sheets, weights and states of a run as it goes."""

    def __init__(
        self, run: Path, trainer: Trainer, data_digest: str, tick_kimg: float, snap: int
    ) -> None:
        self.run, self.trainer, self.data_digest, self.snap = run, trainer, data_digest, snap
        self.tick_images = max(round(tick_kimg * 1000), 1)
        self.since_tick: list[TrainStep] = []
        self.saved_step = -1
        self.ticks, self.started, self.tick_started = 0, time.monotonic(), time.monotonic()

    def observe(self, step: TrainStep) -> None:
        """Take note of one step; every tick print a line, every `snap` ticks write a snapshot."""
        self.since_tick.append(step)
        if step.num_images % self.tick_images < self.trainer.config.batch:
            self._tick(step)
            if self.ticks % self.snap == 0:
                self.snapshot()

    def _tick(self, step: TrainStep) -> None:
        import torch

        seconds = time.monotonic() - self.tick_started
        means = {
            name: torch.stack([getattr(s, name) for s in self.since_tick]).mean().item()
            for name in ("g_loss", "d_loss", "real_sign", "g_grad_norm", "d_grad_norm")
        }
        penalties = [s.r1 for s in self.since_tick if s.r1 is not None]
        means["r1"] = torch.stack(penalties).mean().item() if penalties else 0.0
        images = len(self.since_tick) * self.trainer.config.batch
        stats = {"kimg": step.num_images / 1000, "step": step.step, **means}
        stats |= {
            "images_per_sec": images / seconds,
            "lr": self.trainer.config.lr_factor(step.step),
            "p": self.trainer.augmentation.p,
            "skipped_steps": self.trainer.guard.skipped,
        }
        with open(self.run / STATISTICS, "a") as file:
            file.write(json.dumps(stats) + "\n")
        elapsed = str(timedelta(seconds=round(time.monotonic() - self.started)))
        click.echo(
            f"kimg {stats['kimg']:<8.1f} time {elapsed:<9} images/s {images / seconds:<6.1f} "
            + " ".join(f"{name} {value:<7.3f}" for name, value in means.items())
        )
        self.since_tick, self.tick_started = [], time.monotonic()
        self.ticks += 1

    def snapshot(self) -> None:
        """Write samples, weights of the averaged generator and the training state."""
        from engine.states import prune_training_states, save_training_state
        from evaluation.curves import draw_curves
        from stylegan.checkpoint import save_generator

        trainer, kimg = self.trainer, f"{self.trainer.num_images // 1000:06d}"
        facts: dict[str, Any] = {
            "trained_kimg": trainer.num_images / 1000,
            "data": self.data_digest,
        }
        for name in (f"generator-{kimg}.safetensors", "generator.safetensors"):
            save_generator(self.run / name, trainer.G_ema, **facts)  # first: refuses NaN
        save_fakes(self.run / f"fakes{kimg}.png", trainer)
        draw_curves(read_statistics(self.run / STATISTICS), self.run / "curves.png")
        folder = self.run / f"state-{trainer.step_count:09d}"
        if self.saved_step != trainer.step_count:
            state = {"trainer": trainer.state_dict(), "data_digest": self.data_digest}
            save_training_state(folder, state)
            prune_training_states(self.run, KEPT_STATES)
            self.saved_step = trainer.step_count
        self.tick_started = time.monotonic()


if __name__ == "__main__":
    main()
