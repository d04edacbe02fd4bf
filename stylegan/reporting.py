"""What a training leaves behind as it goes: statistics, sample sheets, weights, curves."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.ranks import Ranks
from engine.rows import Row, append_row, forget_rows, read_rows
from engine.seeding import derive_generator
from stylegan.alarms import new_alarms
from stylegan.batching import draw_labels, draw_latents
from stylegan.checkpoint import save_discriminator, save_generator
from stylegan.training import Trainer, TrainStep

_log = logging.getLogger(__name__)
GRID = 8  # rows and columns of a sample sheet
STATISTICS = "stats.jsonl"
MEANS = ("g_loss", "d_loss", "real_sign", "fake_sign", "g_grad_norm", "d_grad_norm")  # of a tick
SHOWN = ("g_loss", "d_loss", "real_sign", "g_grad_norm", "d_grad_norm", "r1")


def sample_grid(trainer: Trainer) -> Tensor:
    """Return pictures `[64, 3, R, R]` of the averaged generator, of the same latents every time."""
    num = GRID * GRID
    device = trainer.G_ema.mapping.w_avg.device
    generator = derive_generator(trainer.config.seed, "grid")
    z = torch.randn(num, trainer.G.config.z_dim, generator=generator)
    c = draw_labels(trainer.config.seed, "grid", range(num), trainer.labels)
    parts = zip(z.split(GRID), [None] * GRID if c is None else c.split(GRID), strict=True)
    with torch.inference_mode():
        return torch.cat([_generate(trainer, *part, device) for part in parts])


def _generate(trainer: Trainer, z: Tensor, c: Tensor | None, device: torch.device) -> Tensor:
    return trainer.G_ema(z.to(device), None if c is None else c.to(device))


def sample_indices(trainer: Trainer, indices: Sequence[int]) -> Tensor:
    """Return pictures `[N, 3, R, R]` of the averaged generator, to measure it by."""
    device, seed = trainer.G_ema.mapping.w_avg.device, trainer.config.seed
    z = draw_latents(seed, "metric", indices, trainer.G.config.z_dim)
    c = draw_labels(seed, "metric", indices, trainer.labels)
    with torch.inference_mode():
        return _generate(trainer, z, c, device)


@dataclass(frozen=True)
class Outlets:
    """Where reports go. `measure` and `extra` are for all processes, the others for the first."""

    say: Callable[[str], None]  # a line for the user
    save_sheet: Callable[[Path, Tensor], None]  # a file of pictures [64, 3, R, R]
    draw_curves: Callable[[list[Row], Path, list[list[Row]]], None]  # of statistics and metrics
    show_row: Callable[[Row], None]  # one row more, of statistics or of a metric
    extra: Callable[[], Row]  # more numbers for a row of statistics
    measure: Callable[[Callable[[Sequence[int]], Tensor]], Row] | None  # by pictures of indices
    metric: str  # its name
    data_digest: str  # of the pictures, to be kept in the models


class Reporter:
    """Takes note of every step; tells of a tick in a row and a line, of a snapshot in files.

    All processes of a training have one and call it alike; the first one writes.

    Args:
        run: the run folder.
        trainer: what is reported on.
        ranks: the processes.
        tick_kimg: thousands of pictures between two rows.
        snap: ticks between two snapshots.
        outlets: where reports go.
    """

    def __init__(
        self,
        run: Path,
        trainer: Trainer,
        ranks: Ranks,
        tick_kimg: float,
        snap: int,
        outlets: Outlets,
    ) -> None:
        self.run, self.trainer, self.ranks, self.snap = run, trainer, ranks, snap
        self.outlets = outlets
        self.tick_steps = max(round(tick_kimg * 1000 / trainer.config.batch), 1)
        self.since_tick: list[TrainStep] = []
        self.rows: list[Row] = []
        self.started = self.tick_started = time.monotonic()

    def begin(self) -> None:
        """Take up the rows of a run that is resumed; show what a new one starts from."""
        if self.ranks.is_first:
            for path in (self.run / STATISTICS, *self.run.glob("metric-*.jsonl")):
                forget_rows(path, self.trainer.step_count)
            if self.trainer.step_count == 0:
                self.outlets.save_sheet(self.run / "fakes_init.png", sample_grid(self.trainer))
        self.rows = read_rows(self.run / STATISTICS)
        self.tick_started = time.monotonic()

    def observe(self, step: TrainStep) -> bool:
        """Take note of one step; return whether a snapshot is due."""
        self.since_tick.append(step)
        tick, rest = divmod(step.step, self.tick_steps)
        if rest:
            return False
        row = {**self._row(step), **self.outlets.extra()}
        if self.ranks.is_first:
            self._tell(tick, row)
        self.since_tick, self.tick_started = [], time.monotonic()
        return tick % self.snap == 0

    def _row(self, step: TrainStep) -> Row:
        trainer, steps = self.trainer, self.since_tick
        means = {name: _mean([getattr(s, name) for s in steps]) for name in MEANS}
        penalties = [s.r1 for s in steps if s.r1 is not None]
        images = len(steps) * trainer.config.batch
        seconds = time.monotonic() - self.tick_started  # after the numbers above are there
        return {
            "kimg": step.num_images / 1000,
            "step": step.step,
            **means,
            "r1": _mean(penalties) if penalties else 0.0,
            "images_per_sec": images / seconds,
            "sec_per_kimg": 1000 * seconds / images,
            "lr": trainer.config.lr_factor(step.step),
            "p": trainer.augmentation.p,
            "skipped_steps": trainer.guard.skipped,
        }

    def _tell(self, tick: int, row: Row) -> None:
        self.rows.append(row)
        append_row(self.run / STATISTICS, row)
        self.outlets.show_row(row)
        elapsed = str(timedelta(seconds=round(time.monotonic() - self.started)))
        facts = f"tick {tick:<5d} kimg {row['kimg']:<8.1f} time {elapsed:<9}"
        facts += f" s/kimg {row['sec_per_kimg']:<7.1f} augment {row['p']:<6.3f} "
        self.outlets.say(facts + " ".join(f"{name} {row[name]:<7.3f}" for name in SHOWN))
        for alarm in new_alarms(self.rows):
            _log.warning("kimg %g: %s", row["kimg"], alarm)

    def measure(self, is_stopping: Callable[[], bool]) -> None:
        """Measure the averaged generator, by all processes, if that is wished for.

        Once one of them `is_stopping` it makes no more pictures, and nobody is told the number.
        """
        if self.outlets.measure is None:
            return

        def sample(indices: Sequence[int]) -> Tensor:
            if is_stopping():
                return torch.full((len(indices), 3, GRID, GRID), torch.nan)
            return sample_indices(self.trainer, indices)

        found = self.outlets.measure(sample)
        row = {"kimg": self.trainer.num_images / 1000, "step": self.trainer.step_count, **found}
        is_cut = self.ranks.largest(is_stopping())
        if self.ranks.is_first and not is_cut:
            append_row(self.run / f"metric-{self.outlets.metric}.jsonl", row)
            self.outlets.show_row(row)
            self.outlets.say(f"kimg {row['kimg']:<8.1f} " + _words(found))

    def snapshot(self) -> None:
        """Write the averaged generator, under its age and as the newest, D, samples and curves.

        By the first process alone.

        Raises:
            CheckpointError: weights are not finite.
        """
        trainer, kimg = self.trainer, f"{self.trainer.num_images // 1000:06d}"
        facts: dict[str, Any] = {"trained_kimg": trainer.num_images / 1000}
        facts["data"] = self.outlets.data_digest
        for name in (f"generator-{kimg}.safetensors", "generator.safetensors"):
            save_generator(self.run / name, trainer.G_ema, **facts)
        save_discriminator(self.run / "discriminator.safetensors", trainer.D, **facts)
        self.outlets.save_sheet(self.run / f"fakes{kimg}.png", sample_grid(trainer))
        metrics = [read_rows(path) for path in sorted(self.run.glob("metric-*.jsonl"))]
        self.outlets.draw_curves(self.rows, self.run / "curves.png", metrics)
        self.tick_started = time.monotonic()


def _mean(numbers: list[Tensor]) -> float:
    """Return the mean of those that are finite: the steps of the others were left out."""
    values = torch.stack(numbers)
    return values[values.isfinite()].mean().item()


def _words(row: Row) -> str:
    return " ".join(f"{name} {value:.4g}" for name, value in row.items())
