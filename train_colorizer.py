"""Train a colouriser of one of the source systems, to compare with.

python train_colorizer.py --cfg lab --data faces.zip --outdir runs
python train_colorizer.py --cfg cgan --input xdog --data MY_PICTURES --size 128
python train_colorizer.py --cfg ancestor --generator runs/00000-.../generator.safetensors
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

import runtime

if TYPE_CHECKING:
    from torch import Tensor

    from baselines.presets import ColorizerConfig
    from baselines.training import ColorizerTrainer
    from data.dataset import ImageDataset
    from engine.fitting import Reporter, Trainer

NUM_EXAMINED = 256  # pictures of each tier
PICTURES = 48_000  # of all steps together: less than 20 minutes on two cores
RENDERS = 32_000  # the same for the ancestor
ANCESTOR = "ancestor"
NAMES = ("convnet", "cgan", "lab", "cascade", "cue", "page", ANCESTOR)
INPUTS = ("grey", "canny", "xdog", "sketch", "lightness")
COUNT = click.IntRange(1)
option = functools.partial(click.option, show_default=True)


@click.command(cls=runtime.Verb)
@option("--cfg", type=click.Choice(NAMES), required=True, help="Which source system.")
@option("--data", type=runtime.UserPath(), help="Zip or folder of pictures of any kind.")
@option("--generator", type=runtime.UserPath(), help="What --cfg ancestor learns from.")
@option("--outdir", type=runtime.UserPath(), default=Path("runs"))
@option("--size", type=COUNT, default=64, help="Side to which pictures are cut and resized.")
@option("--input", "sees", type=click.Choice(INPUTS), help="What it sees [the preset's own].")
@option("--cue/--no-cue", default=None, help="A colour cue beside it [the preset's own].")
@option("--no-judge", is_flag=True, help="No discriminator: the pixel loss alone.")
@option("--width", type=COUNT, help="Filters of the first layer [32 up to 64 pixels, else 64].")
@option("--backbone", type=runtime.UserPath(), help="MobileNetV2's weights, for --cfg page.")
@option("--steps", type=COUNT, help="Length of the whole run [48,000 pictures; ancestor 32,000].")
@option("--batch", type=click.IntRange(2), help="Pictures per step [the preset's own].")
@option("--eval-every", type=COUNT, default=500, help="Steps between two looks at the tiers.")
@option("--seed", type=click.IntRange(0), default=0)
@option("--fp32", type=bool, help="No 16-bit arithmetic [where the CPU has no bfloat16].")
@option("--workers", type=click.IntRange(0, 256), default=1, help="Threads that load ahead.")
@option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto")
@option("--resume", type=runtime.UserPath(), help="Run or state to go on from; auto: the newest.")
def main(**options: Any) -> None:
    """Train a network to colour pictures, as one of the systems before this one did."""
    from custom_ops.allocator import keep_freed_memory
    from engine.fitting import fit, load_newest, open_run
    from engine.ranks import ALONE
    from engine.session import Session
    from stylegan.device import pick_device

    keep_freed_memory()
    options["device"] = pick_device(options["device"])
    work = (ancestor if options["cfg"] == ANCESTOR else colorizer)(options)
    run = open_run(options, work.name, runtime.run_folder)
    with Session(run, ALONE, versions=runtime.versions()) as session:
        load_newest(session, options["resume"], work.trainer)
        runtime.setup_logging(run / "log.txt")
        with closing(work.steps()) as steps:
            fit(session, work.reporter(run), steps)


class Work(NamedTuple):
    """What is to be done."""

    name: str
    trainer: Trainer
    reporter: Callable[[Path], Reporter]
    steps: Callable[[], Generator[tuple[int, Tensor]]]


def ancestor(options: dict[str, Any]) -> Work:
    """Return the training of the ancestor, which learns from what a generator makes."""
    import torch

    from baselines.ancestor import (
        AncestorReporter,
        AncestorTrainer,
        AncestorTrainingConfig,
        Renders,
        new_ancestor,
        train,
    )
    from evaluation.curves import draw_curves
    from stylegan import load_generator
    from stylegan.generator import native_precision

    if options["generator"] is None:
        raise click.UsageError("--cfg ancestor needs a --generator")
    torch.manual_seed(options["seed"])
    G = load_generator(options["generator"], options["device"])
    encoder = new_ancestor(G, options["generator"]).to(options["device"])
    batch, seed = options["batch"] or 16, options["seed"]
    steps = options["steps"] or RENDERS // batch
    config = AncestorTrainingConfig(steps, batch, precision=precision(options), seed=seed)
    rendered = native_precision(options["fp32"], options["device"])
    trainer = AncestorTrainer(encoder, config, Renders(G, seed, precision=rendered))
    every = options["eval_every"]
    return Work(
        ANCESTOR,
        trainer,
        lambda run: AncestorReporter(run, trainer, every, draw_curves, click.echo),
        lambda: train(trainer),
    )


def precision(options: dict[str, Any]) -> str:
    """Return the type of the convolutions."""
    from stylegan.generator import native_precision

    return "fp32" if native_precision(options["fp32"], options["device"]) == "fp32" else "bf16"


def colorizer(options: dict[str, Any]) -> Work:
    """Return the training of a colouriser, which learns from pictures."""
    from dataclasses import asdict

    from baselines.pictures import exam_of, sort_out
    from baselines.reporting import ColorizerReporter
    from baselines.training import train
    from data.dataset import ImageDataset
    from data.loader import Loader, LoaderConfig
    from evaluation.curves import draw_curves

    if options["data"] is None:
        raise click.UsageError(f"--cfg {options['cfg']} needs --data")
    config = make_config(options)
    dataset = ImageDataset(options["data"], side=config.side)
    tiers = sort_out(dataset, config, options["seed"])
    loading = LoaderConfig(options["seed"], config.mirror, options["workers"])
    loader = Loader(dataset.part(tiers.seen), loading)
    trainer = make_trainer(options, config, dataset)
    exams = {tier: exam_of(dataset, found, NUM_EXAMINED) for tier, found in asdict(tiers).items()}
    every = options["eval_every"]
    return Work(
        f"colorizer-{config.label}-{config.side}",
        trainer,
        lambda run: ColorizerReporter(run, trainer, every, draw_curves, click.echo, exams=exams),
        lambda: train(trainer, loader),
    )


def make_config(options: dict[str, Any]) -> ColorizerConfig:
    """Return the preset with what the user changes."""
    from baselines.presets import PRESETS

    side = options["size"]
    changes = {"sees": options["sees"], "batch": options["batch"]}
    if options["cue"] is not None:
        changes["cue"] = "blurred" if options["cue"] else "none"
    if options["no_judge"]:
        changes["judge"] = "none"
    given = {name: value for name, value in changes.items() if value is not None}
    width = options["width"] or (32 if side <= 64 else 64)
    return replace(PRESETS[options["cfg"]], side=side, width=width, **given)


def make_trainer(
    options: dict[str, Any], config: ColorizerConfig, dataset: ImageDataset
) -> ColorizerTrainer:
    """Return new networks and their optimisers."""
    import torch

    from baselines.colorizer import ColorizerNetwork
    from baselines.training import ColorizerTrainer, ColorizerTrainingConfig

    torch.manual_seed(options["seed"])
    network = ColorizerNetwork(config)
    if options["backbone"]:
        network.load_backbone(options["backbone"])
    steps = options["steps"] or PICTURES // config.batch
    recipe = ColorizerTrainingConfig(steps, dataset.digest(), precision(options), options["seed"])
    return ColorizerTrainer(network.to(options["device"]), recipe)


if __name__ == "__main__":
    main()
