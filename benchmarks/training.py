"""Time a training step on two cores, and the generator's passes in it against bare convolutions.

    python -m benchmarks.training --json runs/training.json

One row per setting (of the table in pretrained/MODEL_CARD.md and its larger kin): pictures per
second of a full step, R1 every 16 steps included; milliseconds of the generator forward and
backward to its weights, of its convolutions alone (forward, input and weight gradients, as this
network calls them) and of the ratio. Medians of interleaved runs. On a busy machine `--clock cpu`
uses one thread and counts only the time that it ran.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

import click
import torch
import torch.nn.functional as F

from custom_ops.allocator import keep_freed_memory
from stylegan import Discriminator, DiscriminatorConfig, Generator, GeneratorConfig
from stylegan.filters import plan_layers
from stylegan.generator import PRECISIONS, native_precision
from stylegan.recipe import TrainingConfig
from stylegan.training import Trainer

PLAIN = {"w_dim": 128, "z_dim": 128, "margin_size": 4, "first_cutoff": 4, "first_stopband": 8}


class Setting(NamedTuple):
    """A network that two cores can train."""

    img_resolution: int
    channel_base: int
    num_layers: int
    batch: int

    def generator(self) -> Generator:
        """Return a new generator."""
        side, base, layers, _ = self
        plan = {"img_resolution": side, "channel_base": base, "num_layers": layers}
        return Generator(GeneratorConfig(**plan, channel_max=128, **PLAIN))

    def trainer(self, precision: str) -> Trainer:
        """Return a trainer of new networks."""
        side, base, _, batch = self
        plan = {"img_resolution": side, "channel_base": base, "channel_max": 128}
        D = Discriminator(DiscriminatorConfig(**plan))
        config = TrainingConfig(total_steps=10**6, batch=batch, precision=precision)
        return Trainer(self.generator(), D, config)


SETTINGS = {
    "L": Setting(64, 2048, 8, 8),
    "H": Setting(128, 2048, 9, 8),
    "256": Setting(256, 4096, 10, 4),
}


def convolutions(config: GeneratorConfig, batch: int, precision: str) -> Callable[[], None]:
    """Return a forward and backward pass of the convolutions alone, padded beforehand."""
    pairs = []
    for layer in plan_layers(config):
        grow = layer.conv_kernel - 1  # half of the padding is there already
        shape = (batch, layer.source.channels, layer.source.size + grow, layer.source.size + grow)
        weight = torch.randn(layer.target.channels, shape[1], layer.conv_kernel, layer.conv_kernel)
        pair = [
            t.to(PRECISIONS[precision]).contiguous(memory_format=torch.channels_last)
            for t in (torch.randn(shape), weight)
        ]
        pairs.append([t.requires_grad_() for t in pair])

    def run() -> None:
        for x, weight in pairs:
            y = F.conv2d(x, weight, padding=weight.shape[-1] // 2)
            torch.autograd.grad(y, (x, weight), torch.ones_like(y))

    return run


def generator_passes(G: Generator, batch: int, precision: str) -> Callable[[], None]:
    """Return a forward pass and the gradient to all weights."""
    z = torch.randn(batch, G.config.z_dim)

    def run() -> None:
        loss = G.synthesis(G.mapping(z), precision=precision).square().sum()
        torch.autograd.grad(loss, list(G.parameters()))

    return run


def row(
    setting: Setting, precision: str, repeats: int, batch: int, clock: Callable[[], float]
) -> dict[str, float]:
    """Measure one setting; `batch` is that of the generator's passes alone."""
    torch.manual_seed(0)
    trainer, G = setting.trainer(precision), setting.generator()
    side = setting.img_resolution
    reals = torch.rand(setting.batch, 3, side, side) * 2 - 1
    interval = trainer.config.r1_interval

    def steps() -> None:
        for _ in range(interval):
            trainer.step(reals)

    parts = {
        "steps": steps,
        "generator": generator_passes(G, batch, precision),
        "convolutions": convolutions(G.config, batch, precision),
    }
    times: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(repeats + 1):
        for name, function in parts.items():
            start = clock()
            function()
            times[name].append(1000 * (clock() - start))
    found = {name: median(values[1:]) for name, values in times.items()}
    rate = 1000 * interval * setting.batch / found.pop("steps")
    return {"images_per_s": rate, **found, "ratio": found["generator"] / found["convolutions"]}


@click.command()
@click.option("--setting", "names", type=click.Choice(list(SETTINGS)), multiple=True)
@click.option("--precision", type=click.Choice(list(PRECISIONS)), help="Default: the native one.")
@click.option("--batch", default=16, show_default=True, help="Of the generator alone.")
@click.option("--repeats", default=5, show_default=True)
@click.option("--clock", type=click.Choice(["wall", "cpu"]), default="wall", show_default=True)
@click.option("--json", "report", type=Path, help="Write the numbers as JSON.")
def main(
    names: tuple[str, ...],
    precision: str | None,
    batch: int,
    repeats: int,
    clock: str,
    report: Path | None,
) -> None:
    """Print one row per setting."""
    if clock == "cpu":
        torch.set_num_threads(1)
    timer = time.process_time if clock == "cpu" else time.perf_counter
    keep_freed_memory()
    precision = precision or native_precision()
    rows = {}
    print(f"{torch.get_num_threads()} threads, {precision}; generator at batch {batch}, ms")
    for name in names or SETTINGS:
        rows[name] = found = row(SETTINGS[name], precision, repeats, batch, timer)
        print(f"{name:4}", "  ".join(f"{k} {v:.2f}" for k, v in found.items()), flush=True)
    if report:
        report.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
