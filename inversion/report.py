"""What `result.json` says about the candidates."""

from typing import Any

import torch
from torch import Tensor

from inversion.pipeline import Candidates


def candidate_facts(found: Candidates, seed: int) -> list[dict[str, Any]]:
    """Return one dictionary per candidate: file, agreement, size of the correction, likelihood.

    Residuals and corrections are in levels of 0..255; `evidence_rms_255` are those of the
    generator's own samples, by name of the evidence.
    """
    projection = found.projection
    columns = {
        "residual_before_rms_255": found.residual_before_rms_255,
        "residual_max_255": projection.residual_max_255,
        "residual_rms_255": projection.residual_rms_255,
        "share_identical": projection.share_identical,
        "correction_rms_255": projection.correction_rms_255,
        "log_lik": found.log_lik,
        "log_prior": found.log_prior,
    }
    rows = []
    for i, feasible in enumerate(projection.feasible.tolist()):
        k = found.first + i
        numbers = {name: round(float(column[i]), 6) for name, column in columns.items()}
        evidence = {name: round(float(r[i]), 6) for name, r in found.residuals_rms_255.items()}
        names = {"file": f"candidate-{k}.png", "seed": [seed, k], "feasible": feasible}
        rows.append({**names, **numbers, "evidence_rms_255": evidence})
    return rows


def ranking(facts: list[dict[str, Any]]) -> list[int]:
    """Return candidate numbers, best first: feasible ones, then by how close G itself came."""

    def badness(k: int) -> tuple[bool, float]:
        return not facts[k]["feasible"], facts[k]["residual_before_rms_255"]

    return sorted(range(len(facts)), key=badness)


def off_diagonal_summary(distances: Tensor) -> dict[str, Any]:
    """Return the pairwise distances `[K, K]` with their mean and minimum over pairs."""
    table = {"pairs": [[round(v, 3) for v in row] for row in distances.tolist()]}
    upper = distances[torch.triu(torch.ones_like(distances), diagonal=1) == 1]
    if len(upper) == 0:
        return {"mean": None, "min": None, **table}
    return {"mean": round(upper.mean().item(), 3), "min": round(upper.min().item(), 3), **table}
