"""What a training of a colouriser leaves behind: figures, curves, pictures and weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from baselines.colorizer import Colorizer, save_colorizer
from baselines.examination import colour, marks_of
from baselines.training import ColorizerTrainer, Losses
from engine.fitting import Reporter
from engine.rows import Row
from evaluation.report import save_sheet

WEIGHTS = "colorizer.safetensors"
SHOWN = 12  # pictures on a sheet


class ColorizerReporter(Reporter):
    """Measure the colouriser on each tier, the network as it is; write everything.

    Args:
        run, trainer, every, draw_curves, say: as for every `Reporter`.
        exams: tier -> pictures `[N, 3, S, S]`; an empty one is left out.
    """

    trainer: ColorizerTrainer

    def __init__(
        self,
        run: Path,
        trainer: ColorizerTrainer,
        every: int,
        draw_curves: Callable[[list[Row], Path], None],
        say: Callable[[str], None],
        *,
        exams: Mapping[str, Tensor],
    ) -> None:
        super().__init__(run, trainer, every, draw_curves, say)
        self.exams = {tier: x for tier, x in exams.items() if len(x)}

    def snapshot(self) -> None:
        """Measure on each tier, and write everything."""
        colorizer, step = Colorizer(self.trainer.network), self.trainer.step_count
        row = dict(zip(Losses._fields, self.mean_loss().tolist(), strict=True))
        row = {f"train_{name}": value for name, value in row.items() if value}
        for tier, x in self.exams.items():
            seen, made = colour(colorizer, x)
            marks = marks_of(made, x)
            row |= {f"{name}_{tier}": value for name, value in marks._asdict().items()}
            shown = [part[:SHOWN] for part in (seen[:, :1].expand(-1, 3, -1, -1), made, x)]
            save_sheet(self.run / f"{tier}-{step:06d}.png", torch.cat(shown), len(shown[0]))
        self.trainer.network.train()
        save_colorizer(self.run / WEIGHTS, self.trainer.network, trained_steps=step, **row)
        told = (
            f"{tier} L1 {row[f'l1_{tier}']:.2f} L2 {row[f'l2_{tier}']:.0f} "
            f"chroma {row[f'chroma_{tier}']:.2f}"
            for tier in self.exams
        )
        self.write(row, "   ".join(told))
