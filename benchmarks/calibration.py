"""Calibration: is the truth one more candidate? Ranks of known truths among their candidates.

    python -m benchmarks.calibration --method flow --truths 500 --candidates 31
    python -m benchmarks.calibration --method ours --truths 200 --candidates 15
    python -m benchmarks.calibration --method pulse --truths 40 --candidates 7

Hours on a CPU, so every truth adds a line to `--rows` as it is done, and a second call goes on
where the first one ended; the table is made of the lines. A truth comes from the world that the
method takes it to be from: `pictures`, the generator's pictures made small, grey and 8 bits deep,
which the flow learned from; or `assumed`, the solver's model, where each layer has its own share of
the latent and the measurement its noise. `--world` chooses otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor

from benchmarks.inversion import Bench
from benchmarks.ranks import Ranks, Table, Verdict, examine
from engine.files import file_sha256
from engine.rows import append_row, read_rows
from engine.seeding import derive_generator
from evaluation.diversity import rgb_to_lab
from evaluation.scores import Judges
from inversion.latent import LatentPrior
from inversion.operators import sample_at
from inversion.pipeline import Inverter
from inversion.pulse import PulseConfig

WORLDS = {"flow": "pictures", "pulse": "pictures", "ours": "assumed"}
CROWN = ((0.10, 0.25), (0.35, 0.65))  # of the height and of the width: nearly all have hair there
NUM_PROJECTIONS = 8
NAMES = (
    *("mean_l", "mean_a", "mean_b", "chroma", "hair_a", "hair_b"),
    *(f"latent_{k}" for k in range(NUM_PROJECTIONS)),
)


@click.command()
@click.option("--generator", type=Path, default=Path("pretrained/generator.safetensors"))
@click.option("--encoder", type=Path, default=Path("pretrained/encoder.safetensors"))
@click.option("--method", type=click.Choice(list(WORLDS)), required=True)
@click.option("--world", type=click.Choice(["pictures", "assumed"]), help="[the method's own]")
@click.option("--truths", type=click.IntRange(2), default=200, show_default=True)
@click.option("--candidates", type=click.IntRange(2), default=15, show_default=True)
@click.option("--size", type=click.IntRange(8), default=32, show_default=True)
@click.option("--set", "changes", multiple=True, help="An option of our solver, as tau=0.1.")
@click.option("--rows", type=Path, help="[runs/calibration-METHOD.jsonl]")
def main(
    generator: Path,
    encoder: Path,
    method: str,
    world: str | None,
    truths: int,
    candidates: int,
    size: int,
    changes: tuple[str, ...],
    rows: Path | None,
) -> None:
    """Rank truths among their candidates and say whether they are one more of them."""
    bench = Bench(generator, encoder, Judges(None, None), candidates, size, changes)
    world = world or WORLDS[method]
    draw = of_pictures if world == "pictures" else as_assumed
    files = {"generator": file_sha256(generator), "encoder": file_sha256(encoder)}
    about = {"method": method, "world": world, "size": size, "set": list(changes), **files}
    path = rows or Path(f"runs/calibration-{method}.jsonl")
    path.parent.mkdir(parents=True, exist_ok=True)

    def solver(y: Tensor, index: int) -> Inverter:
        return bench.inverter(method, PulseConfig(), y, seed=index)

    trial = Trial(bench.G, bench.prior, lambda index: draw(bench, index), solver, candidates)
    for done in ranked(trial, truths, path, about):
        if done % 10 == 0:
            print(f"{done} of {truths}", flush=True)
    say(examine(ranks_of(read_rows(path)[:truths])))


@dataclass(frozen=True)
class Truth:
    """A latent and what was measured of its picture."""

    ws: Tensor  # [1, num_ws, w_dim]
    y: Tensor  # [1, 1, h, w]


@dataclass(frozen=True)
class Trial:
    """Where truths come from, and candidates for them."""

    G: Any
    prior: LatentPrior
    draw: Callable[[int], Truth]
    solver: Callable[[Tensor, int], Inverter]  # (y, index) -> with randomness of its own
    candidates: int

    def row(self, index: int) -> dict[str, Any]:
        """Return the numbers of a truth and of its candidates."""
        truth = self.draw(index)
        inverter, found = self.solver(truth.y, index), []
        for first in range(0, self.candidates, inverter.config.chunk):
            indices = range(first, first + inverter.config.chunk)
            found.append(inverter.search(indices, lambda step: None)[1])
        ws = torch.cat([truth.ws, *found])[: 1 + self.candidates]
        numbers = self.numbers(ws)
        return {"truth": numbers[0], "candidates": numbers[1:]}

    @torch.inference_mode()
    def numbers(self, ws: Tensor) -> list[list[float]]:
        """Return NAMES of each of `ws [N, num_ws, w_dim]`: of its picture, and of its mean v."""
        lab = rgb_to_lab((self.G.synthesis(ws).clamp(-1, 1) + 1) / 2)
        v = self.prior.from_w(ws.flatten(0, 1)).unflatten(0, ws.shape[:2]).mean(1)
        along = torch.randn(v.shape[1], NUM_PROJECTIONS, generator=derive_generator(0, "along"))
        chroma = lab[:, 1:].square().sum(1).sqrt().mean((1, 2))
        hair = crown(lab)[:, 1:].mean((2, 3))
        columns = [lab.mean((2, 3)), chroma[:, None], hair, v.double() @ along.to(v).double()]
        return torch.cat(columns, dim=1).tolist()


def crown(pictures: Tensor) -> Tensor:
    """Return the part of pictures `[N, C, R, R]` where faces have hair."""
    (top, bottom), (left, right) = ((round(at * pictures.shape[-1]) for at in c) for c in CROWN)
    return pictures[..., top:bottom, left:right]


def of_pictures(bench: Bench, index: int) -> Truth:
    """Draw a picture of the generator, made small and grey as a file holds it."""
    generator = derive_generator(1, "calibration", index)
    z = torch.randn(1, bench.G.config.z_dim, generator=generator)
    with torch.inference_mode():
        ws = bench.G.mapping(z)
        picture = sample_at(bench.G.synthesis(ws).clamp(-1, 1), bench.side).clamp(-1, 1)
    return Truth(ws, bench.A.quantised(picture))


def as_assumed(bench: Bench, index: int) -> Truth:
    """Draw a latent and a noisy measurement from the solver's model, as a file holds it."""
    generator = derive_generator(1, "calibration", index)
    prior, config = bench.prior, bench.config
    v = torch.randn(1, prior.dim, generator=generator)
    delta = config.delta_std * torch.randn(1, prior.num_ws, prior.dim, generator=generator)
    ws = prior.to_ws(v, delta)
    evidence = bench.given(torch.zeros(1, 1, *bench.A.size)).evidence
    with torch.inference_mode():
        exact = evidence.A(bench.G.synthesis(ws))
    noisy = exact + evidence.noise.sample(tuple(exact.shape), generator)
    return Truth(ws, ((noisy + 1) * 127.5).round().clamp(0, 255) / 127.5 - 1)


def ranked(trial: Trial, truths: int, path: Path, about: dict[str, Any]) -> Iterator[int]:
    """Add the rows that are missing of truths 0 ... truths - 1; yield how many there are.

    Raises:
        click.UsageError: the file has rows of something else.
    """
    done = read_rows(path)
    about = about | {"candidates": trial.candidates}
    if any(row["about"] != about for row in done):
        raise click.UsageError(f"{path}: has rows of other settings. Give other --rows.")
    for index in range(len(done), truths):
        append_row(path, {"about": about, **trial.row(index)})
        yield index + 1


def ranks_of(rows: list[dict[str, Any]]) -> dict[str, Ranks]:
    """Return the truths' and candidates' numbers by name."""
    truth = np.array([row["truth"] for row in rows])
    candidates = np.array([row["candidates"] for row in rows])
    return {name: Ranks(truth[:, k], candidates[:, :, k]) for k, name in enumerate(NAMES)}


def say(table: Table) -> None:
    """Print a table and what it says."""
    for name, row in table.items():
        print(f"{name:9}" + "  ".join(f"{key} {value:.2g}" for key, value in row.items()))
    print(json.dumps(vars(Verdict.of(table))))


if __name__ == "__main__":
    main()
