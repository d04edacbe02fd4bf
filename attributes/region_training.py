"""Train a reader of regions on drawn faces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from attributes.region_examples import RegionExamples
from attributes.regions import RegionsNetwork, RegionsReader, regions_loss, save_regions
from attributes.training import Trainer
from data.image_io import from_uint8
from engine.fitting import Reporter
from engine.rows import Row

WEIGHTS = "regions.safetensors"


class RegionsTrainer(Trainer):
    """A network of regions and its optimiser."""

    network: RegionsNetwork

    def loss(self, examples: RegionExamples) -> Tensor:
        """Return the cross-entropy between the network's shares and the drawing's."""
        greys, shares = from_uint8(examples.greys), _planes(examples)
        with self.autocast():
            logits = self.network(greys.to(self.device))
        return regions_loss(logits.float(), shares.to(self.device))


def _planes(examples: RegionExamples) -> Tensor:
    return torch.from_numpy(examples.shares).permute(0, 3, 1, 2)


def overlap(reader: RegionsReader, papers: Sequence[RegionExamples]) -> dict[str, float]:
    """Return for each region how far what was read and what was drawn overlap.

    The sum over all places of the smaller share, by that of the larger one (a soft Jaccard index).
    """
    both, either = (torch.zeros(len(reader.names)) for _ in range(2))
    for paper in papers:
        read, drawn = reader.read(from_uint8(paper.greys)), _planes(paper)
        both += torch.minimum(read, drawn).sum((0, 2, 3))
        either += torch.maximum(read, drawn).sum((0, 2, 3))
    return dict(zip(reader.names, (both / either).tolist(), strict=True))


class RegionsReporter(Reporter):
    """Measure the overlap on held-out pictures; write figures, the curves and weights.

    Args:
        run, trainer, every, draw_curves, say: as for every `Reporter`.
        papers: what it is examined on.
    """

    trainer: RegionsTrainer
    reports_stops = False  # an examination takes longer than a stop may

    def __init__(
        self,
        run: Path,
        trainer: RegionsTrainer,
        every: int,
        draw_curves: Callable[[list[Row], Path], None],
        say: Callable[[str], None],
        *,
        papers: Sequence[RegionExamples],
    ) -> None:
        super().__init__(run, trainer, every, draw_curves, say)
        self.papers = papers

    def snapshot(self) -> None:
        """Examine, and write everything."""
        network, step = self.trainer.network, self.trainer.step_count
        marks = overlap(RegionsReader(network), self.papers)
        save_regions(self.run / WEIGHTS, network, trained_steps=step, overlap=str(marks))
        loss = self.mean_loss().item()
        told = "  ".join(f"{name} {mark:.3f}" for name, mark in marks.items())
        figures = {f"overlap_{name}": mark for name, mark in marks.items()}
        self.write({"train_loss": loss, **figures}, f"train loss {loss:.4f}   overlap: {told}")
