"""Candidates for faces whose truth is known, by several methods: PULSE, the encoder alone, ours.

    python -m benchmarks.inversion --count 20 --json runs/inversion.json

Prints and writes one row per method over all faces: `--count` drawn ones that no training has
seen, and as many generated ones. `COLUMNS` in `evaluation.scores` says what each number is;
`generator_evaluations` are pictures synthesised per candidate, with or without gradient, and
`seconds` the wall clock for all candidates of a face. `pulse-tuned` is the best of `RATES` by
residual before projection, over the very faces that are reported.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor

from attributes.reader import PRETRAINED, load_reader
from data.degrade import Degradation
from data.faces import describe, draw
from data.image_io import from_uint8, save_png, to_uint8
from encoder import load_encoder
from engine.seeding import derive_generator
from evaluation.report import tile
from evaluation.resources import resources
from evaluation.scores import Judges, Scores, score, summary
from inversion.config import InversionConfig
from inversion.counting import counted
from inversion.inputs import Input
from inversion.latent import LatentPrior
from inversion.methods import Solver, facts_of
from inversion.operators import GreySmall, sample_at
from inversion.pipeline import Inverter
from inversion.pulse import PulseConfig
from stylegan import load_generator
from stylegan.generator import native_precision

HELD_OUT_SEED = 1  # the training set is seed 0
RATES = (0.1, 0.2, 0.4, 0.8)
METHODS = ("pulse", "pulse-tuned", "encoder", "flow", "ours")
SETS = ("drawn", "generated")


@click.command()
@click.option("--generator", type=Path, default=Path("pretrained/generator.safetensors"))
@click.option("--encoder", type=Path, default=Path("pretrained/encoder.safetensors"))
@click.option("--count", type=click.IntRange(1), default=20, show_default=True)
@click.option("--samples", type=click.IntRange(2), default=8, show_default=True)
@click.option("--size", type=click.IntRange(8), default=32, show_default=True)
@click.option("--method", "methods", multiple=True, type=click.Choice(METHODS), default=METHODS)
@click.option("--set", "changes", multiple=True, help="An option of our solver, as tau=0.1.")
@click.option("--lpips", type=Path, help="Weights of LPIPS (AlexNet), for a column of it.")
@click.option(
    "--sheets", type=Path, help="Folder for one picture of candidates per method and set."
)
@click.option("--json", "report", type=Path, help="Write the rows as JSON.")
def main(
    generator: Path,
    encoder: Path,
    count: int,
    methods: tuple[str, ...],
    sheets: Path | None,
    report: Path | None,
    lpips: Path | None,
    **options: Any,
) -> None:
    """Invert faces whose truth is known and print one row per method."""
    reader = load_reader() if PRETRAINED.exists() else None
    judges = Judges(reader, None)
    if lpips:
        from evaluation.perceptual import load_lpips

        judges = Judges(reader, load_lpips(lpips))
    bench = Bench(generator, encoder, judges, **options)
    if sheets:
        sheets.mkdir(parents=True, exist_ok=True)
    rows = []
    for method in methods:
        if method == "flow" and not bench.has_flow:
            print(f"{encoder}: an encoder without a flow: no row of that name")
            continue
        rows.append(bench.row(method, count, sheets))
        print("  ".join(f"{k} {v}" for k, v in rows[-1].items() if k != "sets"), flush=True)
        if report:
            report.write_text(json.dumps(rows, indent=1) + "\n")


def parse(changes: tuple[str, ...]) -> dict[str, float | int | str]:
    """Read `name=value` pairs; numbers become numbers."""
    values: dict[str, float | int | str] = {}
    for change in changes:
        name, text = change.split("=")
        try:
            values[name] = int(text) if text.lstrip("-").isdigit() else float(text)
        except ValueError:
            values[name] = text
    return values


class Bench:
    """The models, the faces and the ways to invert them."""

    def __init__(
        self,
        generator: Path,
        encoder: Path,
        judges: Judges,
        samples: int,
        size: int,
        changes: tuple[str, ...],
    ) -> None:
        self.G = load_generator(generator)
        self.prior = LatentPrior.fit(self.G)
        self.encoder = load_encoder(encoder, generator)
        self.config = InversionConfig(**{"precision": native_precision()} | parse(changes))  # type: ignore[arg-type]
        self.judges, self.samples = judges, samples
        self.side = self.config.finished_side(self.G.config.img_resolution)
        self.A = GreySmall(self.side, (size, size))

    @property
    def has_flow(self) -> bool:
        """Whether the encoder's samples are those of a flow."""
        return hasattr(self.encoder, "flow")

    def truth(self, kind: str, index: int) -> Tensor:
        """Return a face `[1, 3, P, P]` in [-1, 1] on the 8-bit grid that no training has seen."""
        if kind == "drawn":
            drawn = draw(describe(HELD_OUT_SEED, index), self.side)
            return from_uint8(np.asarray(drawn)[None])
        z = torch.randn(1, self.G.config.z_dim, generator=derive_generator(1, "benchmark", index))
        with torch.inference_mode():
            picture = sample_at(self.G(z).clamp(-1, 1), self.side)
        return from_uint8(to_uint8(picture.clamp(-1, 1)))

    def row(self, method: str, count: int, sheets: Path | None) -> dict[str, Any]:
        """Return the columns of a method over all faces, and of each set apart."""
        if method == "pulse-tuned":
            tried = [self._row(method, PulseConfig(lr=lr), count, sheets) for lr in RATES]
            return min(tried, key=lambda row: row["residual_before_rms_255"])
        return self._row(method, PulseConfig(), count, sheets)

    def _row(
        self, method: str, pulse: PulseConfig, count: int, sheets: Path | None
    ) -> dict[str, Any]:
        scores: dict[str, list[Scores]] = {}
        for kind in SETS:
            found = [self.face(method, pulse, self.truth(kind, k)) for k in range(count)]
            scores[kind] = [each for each, _ in found]
            if sheets:
                save_png(sheets / f"{method}-{kind}.png", np.concatenate([row for _, row in found]))
        everything = summary([face for kind in SETS for face in scores[kind]])
        sets = {kind: summary(faces) for kind, faces in scores.items()}
        settings = {"lr": pulse.lr} if method.startswith("pulse") else {}
        return {"method": method, **settings, **everything, "sets": sets}

    def face(self, method: str, pulse: PulseConfig, x: Tensor) -> tuple[Scores, np.ndarray]:
        """Invert one face; return its scores and a row: truth, input spread out, candidates."""
        y = self.A.quantised(x)
        inverter = self.inverter(method.removesuffix("-tuned"), pulse, y)
        with counted(self.G) as evaluations, resources() as used:
            found = list(inverter.candidates(self.samples))
        pixels = torch.cat([part.projection.pixels for part in found])
        scores = score(x, y, pixels, self.A.quantised, self.judges) | facts_of(found) | used
        scores["evaluations"] = [evaluations.pictures / self.samples]
        grey = self.A.right_inverse(y).clamp(-1, 1)
        pictures = [x, grey, pixels]
        cells = np.concatenate([to_uint8(part) for part in pictures])
        return scores, tile(cells, len(cells))

    def inverter(self, method: str, pulse: PulseConfig, y: Tensor, seed: int = 0) -> Inverter:
        """Return what solves for the candidates of `y`, which is known to be plainly reduced."""
        return self._solver(method, pulse).inverter(y, seed)

    def given(self, y: Tensor) -> Input:
        """Return `y [1, 1, h, w]` as what is known of a picture."""
        return self._solver("ours", PulseConfig()).given(y)

    def _solver(self, method: str, pulse: PulseConfig) -> Solver:
        models = (self.G, self.prior, self.encoder, self.config)
        return Solver(method, *models, self.samples, pulse, plain)


def plain(side: int) -> Tensor:
    """Return what an encoder is told of a picture that was made small and no worse."""
    return Degradation(side).told()[None]


if __name__ == "__main__":
    main()
