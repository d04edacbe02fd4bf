"""What `benchmarks.inversion` says of candidates: agreement, likeness to the truth, spread.

Agreement is measured again on the finished pixels; the solver is believed only in what it says
of its picture before projection.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from evaluation.diversity import ciede2000, pairwise_ciede2000, rgb_to_lab

if TYPE_CHECKING:
    from attributes.reader import Reader
    from inversion.operators import GreySmall
    from inversion.pipeline import Candidates

Scores = dict[str, list[float]]  # of one face: one number per candidate, or one of all
Faces = list[list[float]]


def _median(faces: Faces) -> float:
    return float(np.median(np.concatenate(faces)))


def _worst(faces: Faces) -> float:
    return float(np.max(np.concatenate(faces)))


def _mean(faces: Faces) -> float:
    return float(np.mean(np.concatenate(faces)))


def _mean_of(best: Callable[[list[float]], float]) -> Callable[[Faces], float]:
    return lambda faces: float(np.mean([best(face) for face in faces]))


COLUMNS: dict[str, tuple[str, Callable[[Faces], float]]] = {  # column: of which scores, and how
    "residual_before_rms_255": ("before", _median),
    "residual_rms_255": ("rms", _median),
    "residual_max_255": ("max", _worst),
    "within_1": ("within_1", _mean),
    "correction_rms_255": ("correction", _median),
    "psnr_best": ("psnr", _mean_of(max)),
    "psnr_mean": ("psnr", _mean),
    "de2000_best": ("de2000", _mean_of(min)),
    "de2000_mean": ("de2000", _mean),
    "pairwise_de2000": ("pairwise", _mean),
    "attr_distance": ("attr_distance", _mean),
    "attribute_agreement": ("attribute_agreement", _mean),
    "lpips": ("lpips", _mean),
    "generator_evaluations": ("evaluations", _mean),
    "seconds": ("seconds", _mean),
    "peak_memory_mb": ("peak_memory_mb", _worst),
}


def summary(faces: list[Scores]) -> dict[str, float]:
    """Return the columns that the scores of some faces allow."""
    return {
        column: round(reduce([face[name] for face in faces]), 4)
        for column, (name, reduce) in COLUMNS.items()
        if name in faces[0]
    }


@dataclass(frozen=True)
class Judges:
    """Those who compare pictures `[N, 3, P, P]` in [-1, 1]; both may be missing."""

    reader: Reader | None
    lpips: Callable[[Tensor, Tensor], Tensor] | None

    def __call__(self, x: Tensor, y: Tensor, found: Tensor) -> Scores:
        """Compare candidates with the truth `x [1, 3, P, P]` and with the input `y`."""
        scores = {}
        if self.lpips:
            scores["lpips"] = self.lpips(found, x.expand_as(found)).tolist()
        if self.reader:
            from attributes.reader import agreement

            features = self.reader.features(found)
            apart = features - self.reader.features(x)
            scores["attr_distance"] = apart.norm(dim=1).tolist()
            fit = agreement(self.reader.read_features(features), self.reader.read(y))
            scores["attribute_agreement"] = torch.stack(list(fit.values())).mean(0).tolist()
        return scores


def score(x: Tensor, y: Tensor, A: GreySmall, found: list[Candidates], judges: Judges) -> Scores:
    """Return the scores of one face's candidates.

    Args:
        x: the truth, `[1, 3, P, P]` in [-1, 1], on the 8-bit grid.
        y: its measurement as a file, `[1, 1, h, w]`.
        A: measures pictures of side P.
        found: the candidates.
        judges: further opinions.
    """
    pixels = torch.cat([part.projection.pixels for part in found])
    error = ((A.quantised(pixels.double()) - y.double()) * 127.5).round().flatten(1)
    corrections = torch.cat([part.projection.correction_rms_255 for part in found])
    before = torch.cat([part.residual_before_rms_255 for part in found])
    pairs = pairwise_ciede2000(pixels)[tuple(torch.triu_indices(len(pixels), len(pixels), 1))]
    return {
        "before": before.tolist(),
        "rms": error.square().mean(1).sqrt().tolist(),
        "max": error.abs().amax(1).tolist(),
        "within_1": (error.abs() <= 1).double().mean(1).tolist(),
        "correction": corrections.tolist(),
        "psnr": psnr(pixels, x).tolist(),
        "de2000": ciede2000(_lab(pixels), _lab(x)).mean((1, 2)).tolist(),
        "pairwise": pairs.tolist(),
        **judges(x, y, pixels),
    }


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """Return 10 log10(4 / mean squared difference) of pictures in [-1, 1], in dB, `[N]`."""
    return 10 * (4 / (a - b).double().square().flatten(1).mean(1)).log10()


def _lab(pictures: Tensor) -> Tensor:
    return rgb_to_lab((pictures.double() + 1) / 2)
