"""How often methods fail as the source systems are known to: dull, swapped, large, black, captions.

    python -m benchmarks.failures --colorizer runs/00000-.../colorizer.safetensors --count 20
    python -m benchmarks.failures --method encoder --method ours --count 5 --json runs/failures.json

`baselines.failures` says what each number is and draws the faces. Everything is measured at one
side, to which a method's own pictures are resized. A method may show colourisers of lines or of a
cue more than the others; the column `seen` says what.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
from torch import Tensor

from baselines.ancestor import load_ancestor
from baselines.colorizer import grey, load_colorizer, resize
from baselines.examination import filed
from baselines.failures import FAILURES
from encoder import load_encoder
from evaluation.methods import Answer, Method, method_of
from inversion.config import InversionConfig
from inversion.latent import LatentPrior
from inversion.methods import METHODS, Solver
from stylegan import load_generator
from stylegan.generator import native_precision

PRETRAINED = Path("pretrained")
option = click.option


@click.command()
@option("--colorizer", "colorizers", type=Path, multiple=True, help="colorizer.safetensors")
@option("--ancestor", type=Path, help="ancestor.safetensors")
@option("--generator", type=Path, default=PRETRAINED / "generator.safetensors")
@option("--encoder", type=Path, default=PRETRAINED / "encoder.safetensors")
@option("--method", "solvers", type=click.Choice(METHODS), multiple=True)
@option("--samples", type=click.IntRange(2), default=8, show_default=True)
@option("--count", type=click.IntRange(1), default=20, show_default=True, help="Faces of a kind.")
@option("--size", type=click.IntRange(8), help="Side of the grey input [--side].")
@option("--side", type=click.IntRange(16), default=64, show_default=True, help="Of the pictures.")
@option("--json", "report", type=Path, help="Write the rows as JSON.")
def main(
    colorizers: tuple[Path, ...],
    ancestor: Path | None,
    generator: Path,
    encoder: Path,
    solvers: tuple[str, ...],
    samples: int,
    count: int,
    size: int | None,
    side: int,
    report: Path | None,
) -> None:
    """Print one row per method."""
    methods = [method_of(load_colorizer(path)) for path in colorizers]
    if ancestor:
        G = load_generator(generator)
        methods.append(method_of(load_ancestor(ancestor, G, generator, samples)))
    methods += [solver(generator, encoder, name, samples) for name in solvers]
    rows = []
    for method in methods:
        row = measured(colouring(method, size or side), range(count), side)
        rows.append({"method": method.name, "seen": method.seen, **row})
        print("  ".join(f"{name} {value}" for name, value in rows[-1].items()), flush=True)
        if report:
            report.write_text(json.dumps(rows, indent=1) + "\n")


def solver(generator: Path, encoder: Path, name: str, samples: int) -> Method:
    """Return one of the ways to invert a generator."""
    G = load_generator(generator)
    config = InversionConfig(precision=native_precision())
    guesser = load_encoder(encoder, generator)
    solve = Solver(name, G, LatentPrior.fit(G), guesser, config, samples)
    return Method(name, lambda y: Answer(*solve(y)))


def colouring(method: Method, size: int) -> Callable[[Tensor], Tensor]:
    """Return what gives a method's pictures for a truth `[1, 3, P, P]`, shown `size` large."""

    def colour(x: Tensor) -> Tensor:
        y = filed(resize(grey(x), size))
        return resize(method.solve(method.see(x, y)).pictures, x.shape[-1])

    return colour


def measured(colour: Callable[[Tensor], Tensor], faces: range, side: int) -> dict[str, float]:
    """Return the mean of every measure over some faces."""
    row = {}
    for measure in FAILURES.values():
        found = [measure(colour, index, side) for index in faces]
        for name in found[0]:
            row[name] = round(float(np.mean([each[name] for each in found])), 4)
    return row


if __name__ == "__main__":
    main()
