"""What a training of an encoder leaves behind: figures, curves and weights."""

import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

import torch
from torch import Tensor

from encoder.examination import examine, set_residual_covariance
from encoder.examples import Batch
from encoder.model import save_encoder
from encoder.training import EncoderTrainer, Losses
from engine.rows import Row, append_row, forget_rows, read_rows

STATISTICS, CURVES, WEIGHTS = "stats.jsonl", "curves.png", "encoder.safetensors"
SHOWN = ("train_mean", "train_flow", "r2_v", "flow_loss")  # of a row, on the terminal


class Reporter:
    """Measure the encoder on held-out renders, in the first process, and write what was found.

    Args:
        run: the folder.
        trainer: the trainer.
        exams: held-out examples by what their figures are called before their own names. The first
            are those whose errors make the encoder's covariance.
        to_ws: v, delta -> ws `[N, num_ws, w_dim]`.
        every: steps between two measurements.
        draw_curves: rows, file -> nothing.
        say: prints a line.
    """

    def __init__(
        self,
        run: Path,
        trainer: EncoderTrainer,
        exams: Mapping[str, Batch],
        to_ws: Callable[[Tensor, Tensor], Tensor],
        every: int,
        draw_curves: Callable[[list[Row], Path], None],
        say: Callable[[str], None],
    ) -> None:
        self.run, self.trainer, self.exams, self.to_ws = run, trainer, exams, to_ws
        self.every, self.draw_curves, self.say = every, draw_curves, say
        self.losses: list[Losses] = []
        self.started = time.monotonic()

    def begin(self) -> None:
        """Take up the figures of a run that is resumed."""
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
        encoder = self.trainer.encoder
        marks: Row = {}
        for name, batch in self.exams.items():
            found, errors = examine(encoder, batch, self.to_ws)
            if not marks:
                set_residual_covariance(encoder, errors)
            marks |= {f"{name}{key}": value for key, value in found.items()}
        means = torch.stack([torch.stack(losses) for losses in self.losses]).mean(0).tolist()
        names = [f"train_{name}" for name in Losses._fields]
        self.losses.clear()
        self._write({**dict(zip(names, means, strict=True)), **marks})

    def _write(self, row: Row) -> None:
        step, path = self.trainer.step_count, self.run / STATISTICS
        save_encoder(self.run / WEIGHTS, self.trainer.encoder, trained_steps=step, **row)
        append_row(path, {"step": step, **row})
        self.draw_curves(read_rows(path), self.run / CURVES)
        elapsed = str(timedelta(seconds=round(time.monotonic() - self.started)))
        shown = (f"{name} {value:.4f}" for name, value in row.items() if name.endswith(SHOWN))
        self.say(f"step {step:<7d} time {elapsed:<9} " + "  ".join(shown))
