"""Train an encoder for a generator, on examples that the generator itself makes.

python train_encoder.py --generator runs/00000-.../generator.safetensors --outdir runs
torchrun --standalone --nproc-per-node 8 -- train_encoder.py ...
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import runtime

if TYPE_CHECKING:
    from torch import Tensor

    from data.degrade import Degradation
    from encoder.examples import Batch, Examples
    from encoder.reporting import EncoderReporter
    from encoder.training import EncoderTrainer
    from engine.ranks import Ranks
    from inversion.operators import GreySmall
    from stylegan import Generator

NUM_HELD_OUT = 2000
NATIVE = 32  # side of the plain held-out pictures
NUM_PROBES = 512  # of the curvature that the solver starts with
option = functools.partial(click.option, show_default=True)
COUNT = click.IntRange(1)


@click.command(cls=runtime.Verb)
@option("--generator", type=runtime.UserPath(), required=True, help="generator.safetensors")
@option("--outdir", type=runtime.UserPath(), default=Path("runs"))
@option("--data", type=runtime.UserPath(), help="Zip or folder of pictures to learn from as well.")
@option("--lpips", type=runtime.UserPath(), help="Weights of LPIPS, for the pictures of --data.")
@option("--steps", type=COUNT, default=20_000, help="Length of the whole run.")
@option("--batch", type=COUNT, default=16, help="Examples per step, of all processes together.")
@option("--lr", type=click.FloatRange(0, min_open=True), default=1e-3)
@option("--passes", type=click.IntRange(0, 4), default=1, help="Corrections of a guess to train.")
@option("--eval-every", type=COUNT, default=1000, help="Steps between two looks at the held-out.")
@option("--seed", type=click.IntRange(0), default=0)
@option("--fp32", type=bool, help="No 16-bit arithmetic [where the processor has none].")
@option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto")
@option("--resume", type=runtime.UserPath(), help="Run or state to go on from; auto: the newest.")
def main(**options: Any) -> None:
    """Train a ResNet-50 to guess the latents that a small grey picture may come from."""
    import torch

    from custom_ops.allocator import keep_freed_memory
    from encoder.training import train
    from engine.fitting import fit, load_newest, open_run
    from engine.ranks import joined
    from engine.session import Session
    from stylegan.device import pick_device

    keep_freed_memory()
    options["device"] = pick_device(options["device"])
    with joined(options["device"]) as ranks:
        examples = make_examples(options)
        torch.set_num_threads(max(torch.get_num_threads() // 2, 1))  # half renders, half learns
        trainer = make_trainer(options, examples, ranks)
        name = f"encoder-batch{options['batch']}"
        run = open_run(options, name, runtime.run_folder, ranks)
        with Session(run, ranks, versions=runtime.versions()) as session:
            load_newest(session, options["resume"], trainer)
            if ranks.is_first:
                runtime.setup_logging(run / "log.txt")
            reporter = make_reporter(options, run, trainer, examples)
            fit(session, reporter, train(trainer, functools.partial(examples.batch, "training")))


def make_examples(options: dict[str, Any]) -> Examples:
    """Load the generator and return what makes examples of it."""
    from encoder.examples import Examples
    from inversion.latent import LatentPrior
    from stylegan import load_generator
    from stylegan.generator import native_precision

    seed, device = options["seed"], options["device"]
    G = load_generator(options["generator"], device)
    precision = native_precision(options["fp32"], device)
    pictures = options["data"] and real_pictures(options["data"], G, seed)
    return Examples(G, LatentPrior.fit(G), Spoiler(G, seed), seed, precision, pictures)


def make_trainer(options: dict[str, Any], examples: Examples, ranks: Ranks) -> EncoderTrainer:
    """Return a new encoder and its optimiser, the same in all processes."""
    import torch

    from data.degrade import NUM_TOLD
    from encoder import Encoder, EncoderConfig
    from encoder.losses import ImageLoss
    from encoder.training import EncoderTrainer, EncoderTrainingConfig
    from engine.files import file_sha256
    from evaluation.perceptual import load_lpips
    from inversion.config import InversionConfig

    G, prior = examples.G, examples.prior
    sha256 = file_sha256(options["generator"])
    config = EncoderConfig(prior.dim, G.config.num_ws, sha256, NUM_TOLD)
    recipe = EncoderTrainingConfig(
        options["steps"],
        batch=options["batch"],
        passes=options["passes"],
        lr=options["lr"],
        precision="fp32" if examples.precision == "fp32" else "bf16",
        seed=options["seed"],
    )
    side = G.config.img_resolution
    measure = exact(side, InversionConfig().finished_side(side), NATIVE)
    perceptual = options["lpips"] and load_lpips(options["lpips"], options["device"])
    loss = ImageLoss(examples.render, measure, perceptual)
    torch.manual_seed(options["seed"])
    return EncoderTrainer(Encoder(config).to(options["device"]), recipe, ranks, loss)


class Spoiler:
    """Degrade a generator's pictures: as drawn for each example, or plainly, to one size."""

    def __init__(self, G: Generator, seed: int, plain_size: int | None = None) -> None:
        from inversion.config import InversionConfig

        self.side = InversionConfig().finished_side(G.config.img_resolution)
        self.seed, self.plain_size = seed, plain_size

    def __call__(
        self, x: Tensor, stream: str, indices: Sequence[int], of_guess: bool = False
    ) -> list[tuple[Tensor, Tensor]]:
        """Return y and what is told of it for each picture (`encoder.examples.Spoiler`)."""
        from data.degrade import Degradation, degrade
        from inversion.operators import sample_at

        drawn = [self._draw(stream, index) for index in indices]
        told = [d.told(known) for d, known in drawn]
        done = [d for d, _ in drawn]
        if of_guess:
            done = [replace(d, noise=0.0) if known else Degradation(d.size) for d, known in drawn]
        finished = sample_at(x.clamp(-1, 1), self.side).clamp(-1, 1)
        return list(zip(degrade(finished, done, self._measure), told, strict=True))

    def _draw(self, stream: str, index: int) -> tuple[Degradation, bool]:
        import torch

        from data.degrade import SIZES, Degradation, draw_degradation
        from engine.seeding import derive_generator

        if self.plain_size:
            return Degradation(min(self.plain_size, self.side)), True
        generator = derive_generator(self.seed, stream, index)
        is_told = bool(torch.rand([], generator=generator) < 0.5)
        return draw_degradation(generator, min(SIZES[1], self.side)), is_told

    def _measure(self, x: Tensor, size: int) -> Tensor:
        return exact(self.side, self.side, size).quantised(x)


@functools.cache
def exact(resolution: int, finished: int, size: int) -> GreySmall:
    """Return the exact measurement of pictures of side `resolution`, finished at `finished`."""
    from inversion.operators import GreySmall

    return GreySmall(resolution, (size, size), sampled_at=finished)


def measured_curvature(examples: Examples) -> Tensor:
    """Return how the misfit of a plain small picture bends, as an inverter starts with it."""
    import torch

    from encoder.model import CURVATURE_RANK
    from inversion.config import InversionConfig
    from inversion.inputs import Canvas, small_input
    from inversion.latent import LatentPrior
    from inversion.operators import Frame
    from inversion.pipeline import Inverter

    assert isinstance(examples.prior, LatentPrior)
    G, config = examples.G, InversionConfig(precision=examples.precision)
    R, side = G.config.img_resolution, config.finished_side(G.config.img_resolution)
    y = torch.zeros(1, 1, NATIVE, NATIVE, device=G.mapping.w_avg.device)
    given = small_input(y, Frame(NATIVE), Canvas(R, side, config))
    inverter = Inverter(G, examples.prior, given, lambda noise: noise, config, seed=0)
    return inverter.measured_curvature(NUM_PROBES, CURVATURE_RANK)


def real_pictures(path: Path, G: Generator, seed: int) -> Callable[[Sequence[int]], Tensor]:
    """Return what draws pictures `[N, 3, R, R]` of a data set, one for each index."""
    import torch
    import torch.nn.functional as F

    from data.dataset import ImageDataset
    from data.image_io import from_uint8
    from engine.seeding import derive_generator

    dataset, side = ImageDataset(path), G.config.img_resolution

    def draw(indices: Sequence[int]) -> Tensor:
        generators = (derive_generator(seed, "real", index) for index in indices)
        picked = [int(torch.randint(len(dataset), [], generator=g)) for g in generators]
        x = torch.cat([from_uint8(dataset[k].transpose(1, 2, 0)[None]) for k in picked])
        return F.interpolate(x, (side, side), mode="bicubic", antialias=True).clamp(-1, 1)

    return draw


def make_reporter(
    options: dict[str, Any], run: Path, trainer: EncoderTrainer, examples: Examples
) -> EncoderReporter:
    """Return what measures on held-out renders: made small and grey alone, and as in training.

    The first process's encoder gets the curvature that its file keeps.
    """
    from encoder.reporting import EncoderReporter
    from evaluation.curves import draw_curves

    exams: dict[str, Batch] = {}
    if trainer.ranks.is_first:
        plain = replace(examples, spoil=Spoiler(examples.G, 0, NATIVE))
        exams[""] = plain.held_out(NUM_HELD_OUT)
        exams["degraded_"] = examples.held_out(NUM_HELD_OUT // 2)
        trainer.encoder.curvature.copy_(measured_curvature(examples))
    every, to_ws = options["eval_every"], examples.prior.to_ws
    return EncoderReporter(run, trainer, every, draw_curves, click.echo, exams=exams, to_ws=to_ws)


if __name__ == "__main__":
    main()
