"""What is said of candidates whose truth is known: agreement, likeness, spread, calibration.

Everything is measured on pictures as files hold them; a method is believed only in what it says of
its work before it was finished.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from evaluation.diversity import ciede2000, pairwise_ciede2000, rgb_to_lab
from evaluation.similarity import l1, l2, psnr, ssim

if TYPE_CHECKING:
    from attributes.reader import Reader

Scores = dict[str, list[float]]  # of one face: one number per candidate, or one of all
Faces = list[list[float]]
RANKED = {"rank_a": 1, "rank_b": 2}  # channels of CIELAB: green to red, blue to yellow


def _median(faces: Faces) -> float:
    return float(np.median(np.concatenate(faces)))


def _worst(faces: Faces) -> float:
    return float(np.max(np.concatenate(faces)))


def _mean(faces: Faces) -> float:
    found = np.concatenate(faces)
    return float(found.mean()) if len(found) else float("nan")


def _sum(faces: Faces) -> float:
    return float(np.sum(np.concatenate(faces)))


def _mean_of(best: Callable[[list[float]], float]) -> Callable[[Faces], float]:
    return lambda faces: float(np.mean([best(face) for face in faces]))


def calibration(faces: Faces) -> float:
    """Return the chance that calibrated candidates give ranks at least as uneven, nan for few.

    The truth of calibrated candidates is like one more of them, and its rank uniform. Cramer and
    von Mises's test of the ranks, spread at random over their steps.

    Args:
        faces: of each (candidates below the truth, equal to it, all).
    """
    from scipy.stats import cramervonmises

    below, equal, num = np.array(faces).T
    if len(faces) < 5 or num.min() < 2:
        return float("nan")
    within = np.random.default_rng(0).random(len(faces)) * (equal + 1)
    return float(cramervonmises((below + within) / (num + 1), "uniform").pvalue)


COLUMNS: dict[str, tuple[str, Callable[[Faces], float]]] = {  # column: of which scores, and how
    "failed": ("failed", _sum),
    "residual_before_rms_255": ("before", _median),
    "residual_rms_255": ("rms", _median),
    "residual_max_255": ("max", _worst),
    "within_1": ("within_1", _mean),
    "correction_rms_255": ("correction", _median),
    "psnr_best": ("psnr", _mean_of(max)),
    "psnr_mean": ("psnr", _mean),
    "ssim_best": ("ssim", _mean_of(max)),
    "ssim_mean": ("ssim", _mean),
    "lpips_best": ("lpips", _mean_of(min)),
    "lpips_mean": ("lpips", _mean),
    "l1_best": ("l1", _mean_of(min)),
    "l1_mean": ("l1", _mean),
    "l2_best": ("l2", _mean_of(min)),
    "l2_mean": ("l2", _mean),
    "de2000_best": ("de2000", _mean_of(min)),
    "de2000_mean": ("de2000", _mean),
    "de2000_energy": ("energy", _mean),
    "pairwise_de2000": ("pairwise", _mean),
    "attr_distance": ("attr_distance", _mean),
    "attribute_agreement": ("attribute_agreement", _mean),
    "generator_evaluations": ("evaluations", _mean),
    "seconds": ("seconds", _mean),
    "peak_memory_mb": ("peak_memory_mb", _worst),
}
OF_SETS = {f"{name}_p": (name, calibration) for name in RANKED}  # columns of several faces


def summary(faces: list[Scores]) -> dict[str, float]:
    """Return the columns that the scores of some faces allow."""
    columns = COLUMNS if len(faces) == 1 else COLUMNS | OF_SETS
    found = {
        column: round(reduce([face[name] for face in faces if name in face]), 4)
        for column, (name, reduce) in columns.items()
        if any(name in face for face in faces)
    }
    return {column: value for column, value in found.items() if not math.isnan(value)}


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


def score(
    x: Tensor, y: Tensor, found: Tensor, measure: Callable[[Tensor], Tensor], judges: Judges
) -> Scores:
    """Return the scores of one face's candidates.

    Args:
        x: the truth, `[1, 3, P, P]` in [-1, 1], on the 8-bit grid.
        y: its measurement as a file, `[1, 1, h, w]`.
        found: the candidates, `[K, 3, P, P]`, on the 8-bit grid.
        measure: makes `[K, 1, h, w]` of those, as a file.
        judges: further opinions.
    """
    error = ((measure(found.double()) - y.double()) * 127.5).round().flatten(1)
    pairs = pairwise_ciede2000(found)[tuple(torch.triu_indices(len(found), len(found), 1))]
    lab, lab_of_truth = _lab(found), _lab(x)
    apart = ciede2000(lab, lab_of_truth).mean((1, 2))
    spread = pairs.mean() / 2 if len(pairs) else 0.0
    return {
        "rms": error.square().mean(1).sqrt().tolist(),
        "max": error.abs().amax(1).tolist(),
        "within_1": (error.abs() <= 1).double().mean(1).tolist(),
        "psnr": psnr(found, x).tolist(),
        "ssim": ssim(found, x).tolist(),
        "l1": l1(found, x).tolist(),
        "l2": l2(found, x).tolist(),
        "de2000": apart.tolist(),
        "energy": [float(apart.mean() - spread)],
        "pairwise": pairs.tolist(),
        **_ranks(lab.mean((2, 3)), lab_of_truth.mean((2, 3))),
        **judges(x, y, found),
    }


def _ranks(found: Tensor, truth: Tensor) -> Scores:
    """Return how many candidates' means `[K, 3]` are below the truth's, equal to it, and all."""
    below, equal = (found < truth).sum(0), (found == truth).sum(0)
    return {name: [int(below[k]), int(equal[k]), len(found)] for name, k in RANKED.items()}


def _lab(pictures: Tensor) -> Tensor:
    return rgb_to_lab((pictures.double() + 1) / 2)
