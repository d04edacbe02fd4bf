"""What a training of an encoder leaves behind: figures, curves and weights."""

from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor

from encoder.examination import examine, set_residual_covariance
from encoder.examples import Batch
from encoder.model import save_encoder
from encoder.training import EncoderTrainer, Losses
from engine.fitting import Reporter
from engine.rows import Row

WEIGHTS = "encoder.safetensors"
SHOWN = ("train_mean", "train_flow", "r2_v", "flow_loss")  # of a row, on the terminal


class EncoderReporter(Reporter):
    """Measure the encoder on held-out renders, in the first process, and write what was found.

    Args:
        run, trainer, every, draw_curves, say: as for every `Reporter`.
        exams: held-out examples by what their figures are called before their own names. The first
            are those whose errors make the encoder's covariance.
        to_ws: v, delta -> ws `[N, num_ws, w_dim]`.
    """

    trainer: EncoderTrainer

    def __init__(
        self,
        run: Path,
        trainer: EncoderTrainer,
        every: int,
        draw_curves: Callable[[list[Row], Path], None],
        say: Callable[[str], None],
        *,
        exams: Mapping[str, Batch],
        to_ws: Callable[[Tensor, Tensor], Tensor],
    ) -> None:
        super().__init__(run, trainer, every, draw_curves, say)
        self.exams, self.to_ws = exams, to_ws

    def snapshot(self) -> None:
        """Measure on the held-out renders and write everything."""
        if not self.trainer.ranks.is_first:
            return
        encoder = self.trainer.encoder
        marks: Row = {}
        for name, batch in self.exams.items():
            found, errors = examine(encoder, batch, self.to_ws)
            if not marks:
                set_residual_covariance(encoder, errors)
            marks |= {f"{name}{key}": value for key, value in found.items()}
        names = [f"train_{name}" for name in Losses._fields]
        row = {**dict(zip(names, self.mean_loss().tolist(), strict=True)), **marks}
        save_encoder(self.run / WEIGHTS, encoder, trained_steps=self.trainer.step_count, **row)
        shown = (f"{name} {value:.4f}" for name, value in row.items() if name.endswith(SHOWN))
        self.write(row, "  ".join(shown))
