"""Train an encoder for a generator, on examples that the generator itself makes.

python train_encoder.py --generator runs/00000-.../generator.safetensors --outdir runs
torchrun --standalone --nproc-per-node 8 -- train_encoder.py ...
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import runtime

if TYPE_CHECKING:
    from torch import Tensor

    from data.degrade import Degradation
    from encoder.examples import Batch, Examples
    from encoder.training import EncoderTrainer, Losses
    from engine.ranks import Ranks
    from engine.session import Session
    from inversion.operators import GreySmall
    from stylegan import Generator

NUM_HELD_OUT = 2000
NATIVE = 32  # side of the plain held-out pictures
STATISTICS = "stats.jsonl"
SHOWN = ("train_mean", "train_flow", "r2_v", "flow_loss")  # of a row, on the terminal
option = functools.partial(click.option, show_default=True)
COUNT = click.IntRange(1)


@click.command(cls=runtime.Verb)
@option("--generator", type=runtime.UserPath(), required=True, help="generator.safetensors")
@option("--outdir", type=runtime.UserPath(), default=Path("runs"))
@option("--data", type=runtime.UserPath(), help="Zip or folder of pictures to learn from as well.")
@option("--steps", type=COUNT, default=20_000, help="Length of the whole run.")
@option("--batch", type=COUNT, default=16, help="Examples per step, of all processes together.")
@option("--lr", type=click.FloatRange(0, min_open=True), default=1e-3)
@option("--passes", type=click.IntRange(0, 4), default=1, help="Corrections of a guess to train.")
@option("--eval-every", type=COUNT, default=1000, help="Steps between two looks at the held-out.")
@option("--seed", type=click.IntRange(0), default=0)
@option("--fp32", type=bool, help="No 16-bit arithmetic [where the processor has none].")
@option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto")
@option("--resume", type=runtime.UserPath(), help="Run or state to go on from.")
def main(**options: Any) -> None:
    """Train a ResNet-50 to guess the latents that a small grey picture may come from."""
    import torch

    from custom_ops.allocator import keep_freed_memory
    from engine.ranks import joined
    from engine.session import Session
    from stylegan.device import pick_device

    keep_freed_memory()
    options["device"] = pick_device(options["device"])
    with joined(options["device"]) as ranks:
        examples = make_examples(options)
        torch.set_num_threads(max(torch.get_num_threads() // 2, 1))  # half renders, half learns
        trainer = make_trainer(options, examples, ranks)
        run = Path(ranks.once(lambda: str(open_run(options))))
        load_newest(options, trainer, ranks)
        with Session(run, ranks, versions=runtime.versions()) as session:
            if ranks.is_first:
                runtime.setup_logging(run / "log.txt")
            learn(session, Reporter(run, trainer, examples, options["eval_every"]))


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

    from encoder import Encoder, EncoderConfig
    from encoder.losses import ImageLoss
    from encoder.training import EncoderTrainer, EncoderTrainingConfig
    from engine.files import file_sha256
    from inversion.config import InversionConfig

    torch.manual_seed(options["seed"])
    G, prior = examples.G, examples.prior
    config = EncoderConfig(prior.dim, G.config.num_ws, file_sha256(options["generator"]))
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
    loss = ImageLoss(examples.render, measure)
    return EncoderTrainer(Encoder(config).to(options["device"]), recipe, ranks, loss)


class Spoiler:
    """Degrade finished pictures: as drawn for each example, or plainly, to one size."""

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
            return Degradation(min(self.plain_size, self.side)), False
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


def open_run(options: dict[str, Any]) -> Path:
    """Return a new run folder, or the one to resume."""
    if options["resume"] is not None:
        from engine.states import resolve_state

        return resolve_state(options["resume"]).resolve().parent
    run = runtime.run_folder(options["outdir"], f"encoder-batch{options['batch']}")
    text = json.dumps(options, indent=1, default=str) + "\n"
    (run / "training_options.json").write_text(text)
    return run


def load_newest(options: dict[str, Any], trainer: EncoderTrainer, ranks: Ranks) -> None:
    """Load the state that the run goes on from, if it is one that is resumed."""
    if options["resume"] is None:
        return
    from engine.states import load_state, resolve_state

    state = Path(ranks.once(lambda: str(resolve_state(options["resume"]))))
    trainer.load_state_dict(load_state(state))


def learn(session: Session, reporter: Reporter) -> None:
    """Train to the end, or until a signal asks to stop; save and report on the way."""
    from encoder.training import train

    trainer, examples = reporter.trainer, reporter.examples
    session.begin(trainer.step_count)
    reporter.begin()
    for step, losses in train(trainer, lambda indices: examples.batch("training", indices)):
        is_due = reporter.observe(step, losses)
        wish = session.after_step(step)
        if wish.stop:
            session.save(trainer.state_dict(), is_final=True)
            session.tell_stop(wish.stop)
        if is_due or wish.stop:
            with session.snapshot_disk.survived(f"snapshot of step {step}"):
                reporter.snapshot()
        if wish.stop:
            session.leave(wish.stop)
        if is_due or wish.save:
            session.save(trainer.state_dict())
    reporter.snapshot()
    if session.record.last_good != trainer.step_count:
        session.save(trainer.state_dict(), is_final=True)
    session.finish()


class Reporter:
    """Measure the encoder on held-out renders; write figures, the curves and weights."""

    def __init__(self, run: Path, trainer: EncoderTrainer, examples: Examples, every: int) -> None:
        self.run, self.trainer, self.examples, self.every = run, trainer, examples, every
        self.exams = self._exams() if trainer.ranks.is_first else {}
        self.losses: list[Losses] = []
        self.started = time.monotonic()

    def _exams(self) -> dict[str, Batch]:
        """Return the held-out examples: small and grey and no more, and degraded as in training."""
        plain = replace(self.examples, spoil=Spoiler(self.examples.G, 0, NATIVE))
        return {
            "": plain.held_out(NUM_HELD_OUT),
            "degraded_": self.examples.held_out(NUM_HELD_OUT // 2),
        }

    def begin(self) -> None:
        """Take up the figures of a run that is resumed."""
        from engine.rows import forget_rows

        if self.trainer.ranks.is_first:
            forget_rows(self.run / STATISTICS, self.trainer.step_count)

    def observe(self, step: int, losses: Losses) -> bool:
        """Take note of one step; return whether a snapshot is due."""
        self.losses.append(losses)
        return step % self.every == 0 or step == self.trainer.config.total_steps

    def snapshot(self) -> None:
        """Measure on the held-out renders and write everything, if there is news."""
        if not self.losses or not self.trainer.ranks.is_first:
            return
        import torch

        from encoder.examination import examine, set_residual_covariance

        encoder = self.trainer.encoder
        marks: dict[str, float] = {}
        for name, batch in self.exams.items():
            found, errors = examine(encoder, batch, self.examples.prior.to_ws)
            marks |= {f"{name}{key}": value for key, value in found.items()}
            if not name:
                set_residual_covariance(encoder, errors)
        means = [torch.stack(column).mean().item() for column in zip(*self.losses, strict=True)]
        names = (f"train_{name}" for name in self.losses[0]._fields)
        self.losses.clear()
        self._write(marks, dict(zip(names, means, strict=True)))

    def _write(self, marks: dict[str, float], means: dict[str, float]) -> None:
        from encoder.model import save_encoder
        from engine.rows import append_row, read_rows
        from evaluation.curves import draw_curves

        step, path = self.trainer.step_count, self.run / STATISTICS
        weights = self.run / "encoder.safetensors"
        save_encoder(weights, self.trainer.encoder, trained_steps=step, **marks)
        append_row(path, {"step": step, **means, **marks})
        draw_curves(read_rows(path), self.run / "curves.png")
        elapsed = str(timedelta(seconds=round(time.monotonic() - self.started)))
        shown = {k: v for k, v in {**means, **marks}.items() if k.endswith(SHOWN)}
        figures = "  ".join(f"{name} {value:.4f}" for name, value in shown.items())
        click.echo(f"step {step:<7d} time {elapsed:<9} {figures}")


if __name__ == "__main__":
    main()
