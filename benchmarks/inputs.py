"""Every kind of input of faces whose truth is known, by the tool's own way from file to candidates.

    python -m benchmarks.inputs --count 30 --json runs/inputs.json

kinds   drawn faces given as small grey (`--size`), full, line art and screentone pictures: luma's
        largest difference from a full picture's; CIEDE2000 to the truth, best of the candidates;
        agreement of hair style, glasses and expression with what the truth shows, and its share
        of the grey input's (`attributes.reader`).
auto    grey pictures blurred (0.5 to 2 of their pixels), toned (gamma 0.8 to 1.25, paper 85 to
        100 %) and stored as JPEG 40: median relative errors of what is estimated, residual under
        the operator estimated, best CIEDE2000 beside that of candidates who are told.
pose    generated faces turned up to 15 degrees and shifted up to 10 %: errors of the pose found,
        in degrees and pixels of the small input, their medians and 90th percentiles.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor

from attributes.reader import Reader, agreement, load_reader
from colouring.models import Models
from colouring.options import Options
from colouring.reading import Reading, read_input
from data.degrade import Degradation, degrade
from data.faces import describe, draw
from data.image_io import from_uint8, save_png, to_uint8
from engine.seeding import derive_generator
from evaluation.diversity import ciede2000, rgb_to_lab
from evaluation.report import tile
from inversion.inputs import as_toned
from inversion.measurement import reduced
from inversion.operators import LUMA, GreySmall, sample_at
from inversion.pipeline import Candidates, Inverter
from inversion.pose import Pose
from inversion.tones import Tones

HELD_OUT_SEED = 1  # the training set is seed 0
KINDS = ("grey", "full", "lineart", "screentone")
JUDGED = ("hair_style", "glasses", "expression")
TABLES = ("kinds", "auto", "pose")
Row = dict[str, Any]


@click.command()
@click.option("--generator", type=Path, default=Path("pretrained/generator.safetensors"))
@click.option("--encoder", type=Path, default=Path("pretrained/encoder.safetensors"))
@click.option("--reader", type=Path, help="Reads attributes; the default model's if there is one.")
@click.option("--count", type=click.IntRange(1), default=30, show_default=True)
@click.option("--samples", type=click.IntRange(1), default=8, show_default=True)
@click.option("--size", type=click.IntRange(8), default=32, show_default=True)
@click.option("--table", "tables", multiple=True, type=click.Choice(TABLES), default=TABLES)
@click.option("--sheets", type=Path, help="Folder for pictures of all candidates.")
@click.option("--json", "report", type=Path, help="Write the tables as JSON.")
def main(
    generator: Path,
    encoder: Path,
    reader: Path | None,
    tables: tuple[str, ...],
    report: Path | None,
    **options: Any,
) -> None:
    """Measure what the kinds of input do, and print one row each."""
    models = Models(Options(generator, encoder))
    bench = Bench(models, load_reader(reader) if reader else None, **options)
    found = {}
    for table in tables:
        found[table] = getattr(bench, table)()
        for row in found[table]:
            print(table, "  ".join(f"{k} {v}" for k, v in row.items()), flush=True)
        if report:
            report.write_text(json.dumps(found, indent=1) + "\n")


class Bench:
    """The models, the faces and what is measured of candidates."""

    def __init__(
        self,
        models: Models,
        reader: Reader | None,
        count: int,
        samples: int,
        size: int,
        sheets: Path | None = None,
    ) -> None:
        self.models, self.reader, self.sheets = models, reader, sheets
        self.count, self.samples, self.size = count, samples, size
        self.side = models.config.finished_side(models.G.config.img_resolution)

    def kinds(self) -> list[Row]:
        """Return a row for each kind of input, over all faces."""
        rows: list[Row] = []
        for kind in KINDS:
            faces = [self._face(kind, k) for k in range(self.count)]
            row = {"input": kind} | {name: _mean(faces, name) for name in faces[0]}
            if "agreement" in row:
                row["of_grey"] = round(row["agreement"] / (rows or [row])[0]["agreement"], 4)
            rows.append(row)
        return rows

    def _face(self, kind: str, index: int) -> dict[str, float]:
        truth, picture = self.truth(index), self.drawn(index, "grey" if kind == "full" else kind)
        y = reduced(picture, self.size) if kind == "grey" else picture
        found = self.solve(read_input(self._options(input=kind), y, self.models))
        pixels = torch.cat([part.projection.pixels for part in found])
        self._show(f"{kind}-{index}", truth, pixels)
        scores = {"de2000_best": _best(pixels, truth)}
        if kind == "full":
            luma = torch.einsum("c,nchw->nhw", torch.tensor(LUMA).to(pixels), pixels)[:, None]
            scores["luma_max_255"] = float((luma - picture).abs().max() * 127.5)
        if self.reader:
            shown = self.reader.read(truth)
            fit = agreement(self.reader.read(pixels), shown, JUDGED)
            scores |= {name: float(values.mean()) for name, values in fit.items()}
            scores["agreement"] = float(np.mean([scores[name] for name in JUDGED]))
        return scores

    def auto(self) -> list[Row]:
        """Return what is estimated of toned pictures, and what that costs."""
        faces = [self._toned(k) for k in range(self.count)]
        errors = {f"{name}_error": _median(faces, name) for name in ("blur", "gamma", "paper")}
        means = {name: _mean(faces, name) for name in ("residual_rms_255", "de2000", "de2000_told")}
        return [{**errors, **means, "worse": round(means["de2000"] / means["de2000_told"] - 1, 4)}]

    def _toned(self, index: int) -> dict[str, float]:
        tones, truth = draw_tones(index), self.truth(index)
        d = Degradation(
            self.size, blur=tones.blur, gamma=tones.gamma, paper=tones.paper, quality=40
        )
        [y] = degrade(truth, [d], _exact)
        reading = read_input(self._options(input="auto"), y, self.models)
        given, _ = as_toned(y.to(self.models.device), None, reading.canvas, tones)
        told = Reading(given, reading.canvas, given.look)
        found, best = self.solve(reading), self.solve(told)
        pixels, others = (
            torch.cat([part.projection.pixels for part in parts]) for parts in (found, best)
        )
        self._show(f"auto-{index}", truth, pixels)
        residual = torch.cat([part.projection.residual_rms_255 for part in found])
        estimated = reading.facts["tones"]
        return {
            **{k: abs(estimated[k] / v - 1) for k, v in vars(tones).items()},
            "residual_rms_255": float(residual.mean()),
            "de2000": _best(pixels, truth),
            "de2000_told": _best(others, truth),
        }

    def pose(self) -> list[Row]:
        """Return how far off the poses are that were found."""
        errors = np.array([self._posed(k) for k in range(self.count)])
        row = {}
        for name, column in zip(("degrees", "pixels"), errors.T, strict=True):
            row[f"{name}_median"] = round(float(np.median(column)), 4)
            row[f"{name}_90"] = round(float(np.quantile(column, 0.9)), 4)
        return [row]

    def _posed(self, index: int) -> tuple[float, float]:
        numbers = derive_generator(2, "pose", index)
        turn, right, down = (torch.rand(3, generator=numbers) * 2 - 1).tolist()
        pose, G = Pose(15 * turn, right / 10, down / 10), self.models.G
        z = torch.randn(1, G.config.z_dim, generator=numbers).to(self.models.device)
        with torch.inference_mode():
            x = G.synthesis(G.mapping(z), pose.transform().to(z)).clamp(-1, 1)
        y = GreySmall(self.side, (self.size, self.size)).quantised(sample_at(x, self.side))
        reading = read_input(self._options(pose="auto"), y.clone(), self.models)
        found = Pose(**reading.facts["pose"])
        apart = math.hypot(found.right - pose.right, found.down - pose.down)
        return abs(found.degrees - pose.degrees), apart * self.size

    def solve(self, reading: Reading) -> list[Candidates]:
        """Return the candidates of an input."""
        models, start = self.models, self.models.start(reading.look)
        parts = (models.G, models.prior, reading.given, start, models.config, 0)
        return list(Inverter(*parts, transform=reading.transform).candidates(self.samples))

    def truth(self, index: int) -> Tensor:
        """Return a drawn face that no training has seen, `[1, 3, P, P]`."""
        return from_uint8(np.asarray(draw(describe(HELD_OUT_SEED, index), self.side))[None])

    def drawn(self, index: int, medium: str) -> Tensor:
        """Return the same face in a medium without colour, `[1, 1, P, P]`."""
        picture = draw(describe(HELD_OUT_SEED, index), self.side, medium).convert("L")
        return from_uint8(np.asarray(picture)[None, :, :, None])

    def _options(self, **changes: str) -> Options:
        return Options(self.models.options.generator, self.models.options.encoder, **changes)  # type: ignore[arg-type]

    def _show(self, name: str, truth: Tensor, pixels: Tensor) -> None:
        if self.sheets:
            cells = np.concatenate([to_uint8(truth), to_uint8(pixels)])
            save_png(self.sheets / f"{name}.png", tile(cells, len(cells)))


def draw_tones(index: int) -> Tones:
    """Return what is done to the picture of a face: blur 0.5 to 2, gamma 0.8 to 1.25, paper."""
    u = torch.rand(3, generator=derive_generator(1, "tones", index)).tolist()
    return Tones(0.5 * 4 ** u[0], 0.8 * (1.25 / 0.8) ** u[1], 0.85 + 0.15 * u[2])


def _exact(x: Tensor, size: int) -> Tensor:
    return GreySmall(x.shape[-1], (size, size)).quantised(x)


def _best(pixels: Tensor, truth: Tensor) -> float:
    """Return the least mean CIEDE2000 to the truth among candidates."""
    found, true = (rgb_to_lab((x.double() + 1) / 2) for x in (pixels, truth.to(pixels)))
    return float(ciede2000(found, true).mean((1, 2)).min())


def _mean(faces: list[dict[str, float]], name: str) -> float:
    return round(float(np.mean([face[name] for face in faces])), 4)


def _median(faces: list[dict[str, float]], name: str) -> float:
    return round(float(np.median([face[name] for face in faces])), 4)


if __name__ == "__main__":
    main()
