"""Time training, split by what it is spent on, and the generator's passes in it.

    python -m benchmarks.train --json runs/train.json
    torchrun --standalone --nproc-per-node 2 -m benchmarks.train --setting L

One row per setting (L, H and 256-small are the presets `t-64`, `t-128` and `t-256-small`):
seconds per thousand pictures of a full step, R1 every 16 included, and its split: `data` (waiting
for pictures, drawing latents, copies to the device), `D`, `R1`, `G`, `Adam`, `EMA`, `reduce`
(between processes), `rest`. Then milliseconds of the generator forward and backward to its
weights, of its convolutions alone (as this network calls them), and their ratio. Pictures are drawn
faces from a zip. On a busy machine `--clock cpu` uses one thread and counts only the time that it
ran. On a GPU the whole is timed without waiting between phases, the split with it.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import click
import torch
import torch.nn.functional as F

from benchmarks.phases import PHASE_NAMES, Clock, Split
from custom_ops.allocator import keep_freed_memory
from data.dataset import ImageDataset
from data.faces.export import export_faces
from data.loader import Loader, LoaderConfig
from engine.ranks import Ranks, joined
from stylegan import Discriminator, DiscriminatorConfig, Generator, GeneratorConfig
from stylegan.device import pick_device
from stylegan.filters import plan_layers
from stylegan.generator import PRECISIONS, native_precision, signal_type
from stylegan.recipe import TrainingConfig
from stylegan.training import Trainer

NUM_FACES = 64
SMALL = {"w_dim": 128, "z_dim": 128, "margin_size": 4, "first_cutoff": 4, "first_stopband": 8}


class Setting(NamedTuple):
    """Networks and a batch."""

    img_resolution: int
    channel_base: int
    channel_max: int
    batch: int
    options: dict[str, Any]  # further ones of the generator

    def networks(self) -> tuple[Generator, Discriminator]:
        """Return new networks."""
        side, base, most, _, options = self
        plan = {"img_resolution": side, "channel_base": base, "channel_max": most}
        G = Generator(GeneratorConfig(**plan, **options))
        return G, Discriminator(DiscriminatorConfig(**plan))


SETTINGS = {
    "L": Setting(64, 2048, 128, 8, SMALL | {"num_layers": 8}),
    "H": Setting(128, 2048, 128, 8, SMALL | {"num_layers": 9}),
    "256": Setting(256, 4096, 128, 4, SMALL | {"num_layers": 10}),
    "256-small": Setting(256, 2048, 128, 8, SMALL | {"num_layers": 9, "first_stopband": 6.7}),
    "256/8192/128": Setting(256, 8192, 128, 32, {}),
    "256/32768/512": Setting(256, 32768, 512, 32, {}),
}


def due_for_r1(trainer: Trainer, due: bool) -> None:
    """Move the count of steps so that the next one has R1, or has not."""
    trainer.step_count -= trainer.step_count % trainer.config.r1_interval
    trainer.step_count += 0 if due else 1


def seconds_of_phases(
    trainer: Trainer, stream: Iterator[Any], repeats: int, clock: Clock
) -> dict[str, float]:
    """Return the seconds per thousand pictures by phase: medians of steps with and without R1."""
    split = Split(clock)
    split.attach(trainer)

    def one_step(due: bool) -> Counter[str]:
        due_for_r1(trainer, due)
        split.seconds.clear()
        with split.phase("rest"):
            with split.phase("data"):
                batch = next(stream)
            trainer.step(*batch)
        return Counter(split.seconds)

    steps = {due: [one_step(due) for _ in range(repeats + 1)][1:] for due in (True, False)}
    interval, batch = trainer.config.r1_interval, trainer.config.batch
    found = {}
    for name in PHASE_NAMES:
        lazy, plain = (median(step[name] for step in steps[due]) for due in (True, False))
        found[name] = (lazy + (interval - 1) * plain) / interval * 1000 / batch
    return found


def seconds_of_all(trainer: Trainer, stream: Iterator[Any], repeats: int, clock: Clock) -> float:
    """Return the seconds per thousand pictures; nothing waits between steps."""
    interval = trainer.config.r1_interval
    times = []
    for _ in range(repeats + 1):
        due_for_r1(trainer, True)
        start = clock()
        for _ in range(interval):
            trainer.step(*next(stream))
        times.append(clock() - start)
    return median(times[1:]) / interval * 1000 / trainer.config.batch


@contextmanager
def pictures(setting: Setting, trainer: Trainer, workers: int) -> Iterator[Iterator[Any]]:
    """Yield the batches of a trainer: drawn faces, read from a zip."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "faces.zip"
        export_faces(path, count=NUM_FACES, size=setting.img_resolution, seed=0)
        loader = Loader(ImageDataset(path), LoaderConfig(workers=workers))
        with closing(loader.batches(trainer.positions)) as stream:
            yield stream


def convolutions(config: GeneratorConfig, batch: int, precision: str) -> Callable[[], None]:
    """Return a forward and backward pass of the convolutions alone, padded beforehand."""
    pairs = []
    for layer in plan_layers(config):
        grow = layer.conv_kernel - 1  # half of the padding is there already
        shape = (batch, layer.source.channels, layer.source.size + grow, layer.source.size + grow)
        weight = torch.randn(layer.target.channels, shape[1], layer.conv_kernel, layer.conv_kernel)
        dtype = signal_type(precision, layer.target.sampling_rate, config.img_resolution)
        pair = [
            t.to(dtype).contiguous(memory_format=torch.channels_last)
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


def milliseconds(
    setting: Setting, precision: str, batch: int, repeats: int, clock: Clock
) -> dict[str, float]:
    """Time the generator's passes against its convolutions alone, in turn."""
    G = setting.networks()[0]
    parts = {
        "generator_ms": generator_passes(G, batch, precision),
        "convolutions_ms": convolutions(G.config, batch, precision),
    }
    times: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(repeats + 1):
        for name, function in parts.items():
            start = clock()
            function()
            times[name].append(1000 * (clock() - start))
    found = {name: median(values[1:]) for name, values in times.items()}
    return found | {"ratio": found["generator_ms"] / found["convolutions_ms"]}


def row(
    setting: Setting, config: TrainingConfig, ranks: Ranks, device: str, repeats: int, clock: Clock
) -> dict[str, float]:
    """Measure the training of one setting; without a GPU the split is the whole."""
    torch.manual_seed(0)
    G, D = (network.to(device) for network in setting.networks())
    trainer = Trainer(G, D, config, ranks=ranks)
    with pictures(setting, trainer, 0 if clock is time.process_time else 1) as stream:
        whole = seconds_of_all(trainer, stream, repeats, clock) if device == "cuda" else None
        split = seconds_of_phases(trainer, stream, repeats, clock)
    whole = sum(split.values()) if whole is None else whole
    return {"s_per_kimg": whole, "images_per_s": 1000 / whole, **split}


def on_device() -> float:
    """Return the time at which the GPU has done what it was told."""
    torch.cuda.synchronize()
    return time.perf_counter()


@click.command()
@click.option(
    "--setting",
    "names",
    type=click.Choice(list(SETTINGS)),
    multiple=True,
    help="Default: all; on the CPU those that two cores can train.",
)
@click.option("--precision", type=click.Choice(list(PRECISIONS)), help="Default: the native one.")
@click.option("--batch", type=click.IntRange(1), help="Of a step, instead of the setting's own.")
@click.option("--generator-batch", default=16, show_default=True, help="Of the generator alone.")
@click.option("--repeats", default=3, show_default=True)
@click.option("--clock", type=click.Choice(["wall", "cpu"]), default="wall", show_default=True)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto")
@click.option("--json", "report", type=Path, help="Write the numbers as JSON.")
def main(
    names: tuple[str, ...],
    precision: str | None,
    batch: int | None,
    generator_batch: int,
    repeats: int,
    clock: str,
    device: str,
    report: Path | None,
) -> None:
    """Print one row per setting."""
    device = pick_device(device)
    if clock == "cpu":
        torch.set_num_threads(1)
    timer = time.process_time if clock == "cpu" else time.perf_counter
    timer = on_device if device == "cuda" else timer
    keep_freed_memory()
    precision = precision or native_precision(device=device)
    rows = {}
    with joined(device) as ranks:
        if ranks.is_first:
            click.echo(f"{ranks.size} x {torch.get_num_threads()} threads, {device}, {precision}")
        for name in names or [name for name in SETTINGS if device == "cuda" or "/" not in name]:
            setting = SETTINGS[name]._replace(**({"batch": batch} if batch else {}))
            config = TrainingConfig(total_steps=10**9, batch=setting.batch, precision=precision)
            found = row(setting, config, ranks, device, repeats, timer)
            if generator_batch:
                with torch.device(device):
                    found |= milliseconds(setting, precision, generator_batch, repeats, timer)
            rows[name] = {"batch": setting.batch, **found}
            if ranks.is_first:
                numbers = "  ".join(f"{k} {v:.3g}" for k, v in rows[name].items())
                click.echo(f"{name:12} {numbers}")
    if report and ranks.is_first:
        report.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
