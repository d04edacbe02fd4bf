"""The search, filmed: what the candidates look like every few steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from data.animation import save_apng
from data.image_io import to_uint8
from evaluation.report import tile
from inversion.operators import sample_at
from inversion.pipeline import Candidates, Inverter, Step

CELL = 128  # pixels of a candidate's side
COLUMNS = 4
FPS, PAUSE = 6.0, 2.0


class Film:
    """Frames of a search; hand it to `Inverter.candidates` as `on_step`."""

    def __init__(self, inverter: Inverter, every: int) -> None:
        """Film every `every` steps."""
        self.inverter, self.every = inverter, every
        self._shots: dict[int, dict[int, np.ndarray]] = {}  # by chunk and step, [N, H, W, 3]

    def __call__(self, step: Step) -> None:
        """Take a picture of a chunk, if it is time."""
        if step.number % self.every == 0:
            with torch.no_grad():
                img = self.inverter.pictures(step.ws())
            self._shots.setdefault(step.first, {})[step.number] = _cells(img)

    def frames(self, found: list[Candidates]) -> list[np.ndarray]:
        """Return all candidates side by side, step by step, and as they were finished."""
        steps = sorted({number for shots in self._shots.values() for number in shots})
        sizes = {part.first: len(part.ws) for part in found}
        frames = []
        for now in steps:
            cells = []
            for first, shots in self._shots.items():
                latest = max(number for number in shots if number <= now)
                cells.append(shots[latest][: sizes[first]])
            frames.append(tile(np.concatenate(cells), COLUMNS))
        finished = [_cells(part.projection.pixels) for part in found]
        return [*frames, tile(np.concatenate(finished), COLUMNS)]

    def save(self, path: Path, found: list[Candidates]) -> None:
        """Write the film as an animated PNG."""
        save_apng(path, self.frames(found), FPS, PAUSE)


def _cells(img: Tensor) -> np.ndarray:
    side = img.shape[-1]
    if side > CELL:
        img = torch.nn.functional.interpolate(img, (CELL, CELL), mode="bicubic", antialias=True)
    return to_uint8((sample_at(img, CELL) if side < CELL else img).clamp(-1, 1))
