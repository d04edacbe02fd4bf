"""What is written of the candidates, and said of them in `result.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from data.image_io import save_png, to_uint8
from evaluation.diversity import pairwise_cie76, pairwise_ciede2000, spread_map
from evaluation.report import candidate_sheet, heat_map
from inversion.measurement import squared
from inversion.pipeline import Candidates, Inverter
from inversion.report import candidate_facts, off_diagonal_summary, ranking

SPREAD_BRIGHTEST = 50.0  # CIEDE2000; black against white is 100


def write_pictures(folder: Path, inverter: Inverter, found: list[Candidates]) -> dict[str, Any]:
    """Write the pictures, the grid and the latents; return the facts about them."""
    rows = [row for part in found for row in candidate_facts(part, inverter.seed)]
    order = ranking(rows)
    pixels = to_uint8(torch.cat([part.projection.pixels for part in found]))
    for row, picture in zip(rows, pixels, strict=True):
        save_png(folder / row["file"], picture)
    shown = to_uint8(squared(inverter.input.y, inverter.input.frame))[0]
    save_png(folder / "grid.png", candidate_sheet(shown, pixels[order]))
    if len(rows) > 1:
        save_spread(folder / "spread.png", found)
    ws = torch.cat([part.ws for part in found]).cpu().contiguous()
    # by way of bytes: save_file makes a file that only its owner may read
    (folder / "ws.safetensors").write_bytes(save({"ws": ws}))
    return {
        "output_size": list(pixels.shape[1:3]),
        "input_size": list(inverter.input.y.shape[2:]),
        "candidates": rows,
        "ranking": order,
        **colour_distances(found),
    }


def save_spread(path: Path, found: list[Candidates]) -> None:
    """Write how far the candidates differ at every pixel: what the input does not determine."""
    pictures = torch.cat([part.projection.pixels for part in found])
    save_png(path, heat_map(spread_map(pictures).cpu().numpy(), SPREAD_BRIGHTEST))


def colour_distances(found: list[Candidates]) -> dict[str, Any]:
    """Return how different the candidates are from each other, finished and before projection."""
    pictures = torch.cat([part.projection.pixels for part in found])
    before = torch.cat([part.pictures for part in found])
    return {
        "ciede2000": off_diagonal_summary(pairwise_ciede2000(pictures)),
        "ciede2000_before": off_diagonal_summary(pairwise_ciede2000(before)),
        "cie76": off_diagonal_summary(pairwise_cie76(pictures)),
    }
