"""Train an encoder for a generator, on pairs that the generator itself makes.

python train_encoder.py --generator runs/00000-.../generator.safetensors --outdir runs
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import runtime
from engine.fitting import Reporter, fit, open_run

if TYPE_CHECKING:
    from torch import Tensor

    from encoder import Encoder
    from encoder.training import EncoderTrainer, HeldOut
    from inversion.latent import LatentPrior
    from stylegan import Generator

NUM_HELD_OUT = 2000
INPUT_SIZE = 32  # side of the network's input; half of the training pairs have it


@click.command(cls=runtime.Verb)
@click.option("--generator", type=runtime.UserPath(), required=True, help="generator.safetensors")
@click.option("--outdir", type=runtime.UserPath(), default=Path("runs"), show_default=True)
@click.option(
    "--steps",
    type=click.IntRange(1),
    default=20_000,
    show_default=True,
    help="Length of the whole run.",
)
@click.option("--batch", type=click.IntRange(2), default=16, show_default=True)
@click.option("--lr", type=click.FloatRange(0, min_open=True), default=1e-3, show_default=True)
@click.option(
    "--eval-every",
    type=click.IntRange(1),
    default=1000,
    show_default=True,
    help="Steps between two looks at the held-out renders.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--fp32", type=bool, help="No 16-bit arithmetic [where the CPU has no bfloat16].")
@click.option("--resume", type=runtime.UserPath(), help="Run or state to go on from.")
def main(**options: Any) -> None:
    """Train a ResNet-50 to guess the latent of a small grey picture."""
    import torch

    from custom_ops.allocator import keep_freed_memory
    from encoder import Encoder, EncoderConfig
    from encoder.training import EncoderTrainer, EncoderTrainingConfig, train
    from engine.files import file_sha256
    from engine.ranks import ALONE
    from engine.session import Session
    from inversion.latent import LatentPrior
    from stylegan import load_generator
    from stylegan.generator import native_precision

    keep_freed_memory()
    G = load_generator(options["generator"])
    prior = LatentPrior.fit(G)
    torch.set_num_threads(max(torch.get_num_threads() // 2, 1))  # one half renders, one learns
    precision = native_precision(options["fp32"])
    renderer = Renderer(G, prior, options["seed"], precision)
    torch.manual_seed(options["seed"])
    config = EncoderConfig(prior.dim, file_sha256(options["generator"]), INPUT_SIZE)
    recipe = EncoderTrainingConfig(options["steps"], lr=options["lr"], precision=precision)
    trainer = EncoderTrainer(Encoder(config), recipe)
    name = f"encoder-batch{options['batch']}"
    run = open_run(options, trainer, lambda: runtime.run_folder(options["outdir"], name))
    with Session(run, ALONE, versions=runtime.versions()) as session:
        runtime.setup_logging(run / "log.txt")
        reporter = EncoderReporter(run, trainer, renderer, options["eval_every"])
        pairs = functools.partial(renderer.training_pairs, num=options["batch"])
        fit(session, reporter, train(trainer, pairs))


class Renderer:
    """Make pairs (y, v): latents from the prior, small grey pictures from the frozen generator."""

    def __init__(self, G: Generator, prior: LatentPrior, seed: int, precision: str) -> None:
        self.G, self.prior, self.seed, self.precision = G, prior, seed, precision
        side = G.config.img_resolution
        self.native = min(INPUT_SIZE, side)
        self.sizes = sorted({max(8, side * k // 8) for k in (2, 3, 4, 5, 6, 7, 8)})
        self.operators: dict[int, Callable[[Tensor], Tensor]] = {}

    def _measure(self, x: Tensor, size: int) -> Tensor:
        from inversion.config import InversionConfig
        from inversion.operators import GreySmall

        if size not in self.operators:
            side = self.G.config.img_resolution
            finished = InversionConfig().finished_side(side)  # as `invert.py` measures pictures
            self.operators[size] = GreySmall(side, (size, size), sampled_at=finished).quantised
        return self.operators[size](x.clamp(-1, 1))

    def _draw(self, num: int, stream: str, index: int) -> tuple[Tensor, Tensor]:
        """Return pictures x [num, 3, R, R] and their latents v [num, dim]."""
        import torch

        from engine.seeding import derive_generator

        generator = derive_generator(self.seed, stream, index)
        z = torch.randn(num, self.G.config.z_dim, generator=generator)
        ws = self.G.mapping(z)
        return self.G.synthesis(ws, precision=self.precision), self.prior.from_w(ws[:, 0])

    def training_pairs(self, step: int, num: int) -> tuple[Tensor, Tensor]:
        """Return the pairs of one step: half of `INPUT_SIZE`, the others of every size in turn.

        Sizes are mixed within a batch, for what batch normalisation learns holds for all of them.
        """
        import torch

        from encoder.model import resize_measurement

        turn = [(step * num + k) // 2 % len(self.sizes) for k in range(num)]
        sizes = [self.native if k % 2 else self.sizes[turn[k]] for k in range(num)]
        with torch.inference_mode():
            x, v = self._draw(num, "pairs", step)
            y = [
                resize_measurement(self._measure(x[k : k + 1], size), INPUT_SIZE)
                for k, size in enumerate(sizes)
            ]
        return torch.cat(y), v.clone()

    def held_out_pairs(self) -> tuple[Tensor, Tensor]:
        """Return the fixed pairs that training never sees, all of `INPUT_SIZE` or of G's size."""
        import torch

        parts = []
        with torch.inference_mode():
            for k in range(NUM_HELD_OUT // 100):
                x, v = self._draw(100, "held-out", k)
                parts.append((self._measure(x, self.native), v))
        y, v = (torch.cat(column) for column in zip(*parts, strict=True))
        return y, v


class EncoderReporter(Reporter):
    """Measure the encoder on held-out renders; write figures, the curve and weights."""

    trainer: EncoderTrainer

    def __init__(self, run: Path, trainer: EncoderTrainer, renderer: Renderer, every: int) -> None:
        super().__init__(run, trainer, every)
        self.renderer = renderer
        self.y, self.v = renderer.held_out_pairs()

    def snapshot(self) -> None:
        """Measure on the held-out renders and write everything."""
        from encoder.training import evaluate, predict, set_residual_covariance

        guess = predict(self.trainer.encoder, self.y)
        result = evaluate(guess, self.v, lambda v: self.renderer.prior.to_ws(v)[:, 0])
        set_residual_covariance(self.trainer.encoder, guess, self.v)
        self._write_weights(result)
        self._write_statistics(result)

    def _write_statistics(self, result: HeldOut) -> None:
        step, figures, loss = self.trainer.step_count, dataclasses.asdict(result), self.mean_loss()
        rows = self.add_row({"train_mse_v": loss, **figures})
        elapsed = str(timedelta(seconds=round(time.monotonic() - self.started)))
        click.echo(
            f"step {step:<7d} time {elapsed:<9} train mse_v {loss:.4f}   held-out "
            + "  ".join(f"{name} {value:.4f}" for name, value in figures.items())
        )
        draw_curve(self.run / "curve.png", rows)

    def _write_weights(self, result: HeldOut) -> None:
        from encoder.model import save_encoder

        encoder: Encoder = self.trainer.encoder
        facts = {"trained_steps": self.trainer.step_count, **dataclasses.asdict(result)}
        save_encoder(self.run / "encoder.safetensors", encoder, **facts)


def draw_curve(path: Path, rows: list[dict[str, float]]) -> None:
    """Draw the mean squared error and R^2 on held-out renders over steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    steps = [row["step"] for row in rows]
    for name, label in (("w", "w, the generator's own latent"), ("v", "v, whitened")):
        left.plot(steps, [row[f"mse_{name}"] for row in rows], label=label)
        right.plot(steps, [row[f"r2_{name}"] for row in rows], label=label)
    left.plot(steps, [row["train_mse_v"] for row in rows], "C1:", label="v, training pairs")
    left.set(xlabel="step", ylabel="latent mean squared error", yscale="log")
    right.set(xlabel="step", ylabel="$R^2$ against always answering the mean", ylim=(0, None))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    figure.suptitle("2,000 held-out renders", fontsize="medium")
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
