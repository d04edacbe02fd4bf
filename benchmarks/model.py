"""Report on a generator of drawn faces: distances beside their floor, what it draws, sheets.

python -m benchmarks.model --data runs/faces256.zip --outdir out/model

The pictures it is compared with are drawn on the spot, of sets that no model learns from.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from attributes.reader import PRETRAINED as READER
from attributes.reader import Attributes, Reader, load_reader
from data.dataset import ImageDataset
from data.faces import describe, draw
from data.image_io import from_uint8, save_png, to_uint8
from evaluation.features import Extractor, open_extractor
from evaluation.fid import Folder, OnBatch, Pictures, compare_features, features_of
from evaluation.report import labelled_sheet, save_sheet
from stylegan import Generator, load_generator
from stylegan.sampling import Sampler, closed_walk

GENERATOR = READER.with_name("generator.safetensors")
HELD_OUT, SECOND = 1, 2  # sets of faces: what G is compared with, and what gives the floor
PSIS = (0.0, 0.3, 0.5, 0.7, 0.85, 1.0)
READ = ("hair_colour", "hair_style", "eye_colour", "expression", "glasses", "gender", "headwear")
NEIGHBOURS, ROWS, COLUMNS = 5, 8, 8


@click.command()
@click.option("--generator", type=Path, default=GENERATOR, show_default=True)
@click.option("--reader", default="attributes", show_default=True, help="Or a file of one.")
@click.option("--data", type=Path, help="The pictures it learned from, for nearest neighbours.")
@click.option("--outdir", type=Path, required=True, help="Folder to make.")
@click.option("--count", type=click.IntRange(2), default=10_000, show_default=True)
def main(generator: Path, reader: str, data: Path | None, outdir: Path, count: int) -> None:
    """Measure `count` samples and as many drawn faces; write report.md, report.json and sheets."""
    outdir.mkdir(parents=True)
    G = load_generator(generator)
    report = Report(G, open_extractor(reader), the_reader(reader), count)
    rows = report.distances()
    shares = report.shares()
    (outdir / "report.json").write_text(json.dumps({"distances": rows, "shares": shares}, indent=1))
    text = f"{distance_table(rows)}\n\n{share_table(shares)}\n"
    (outdir / "report.md").write_text(text)
    sheets(G, outdir)
    if data:
        report.neighbours(ImageDataset(data), outdir / "neighbours.png")
    click.echo(text)


def the_reader(spec: str) -> Reader:
    """Return the reader behind the features of this name."""
    return load_reader(READER if spec == "attributes" else Path(spec))


@dataclass(frozen=True)
class Drawn:
    """The faces of a set by number, drawn on the spot."""

    seed: int
    side: int

    def __call__(self, numbers: Sequence[int]) -> Tensor:
        """Return pictures `[N, 3, side, side]` in [-1, 1]."""
        faces = [np.asarray(draw(describe(self.seed, k), self.side)) for k in numbers]
        return from_uint8(np.stack(faces))


@contextmanager
def progress(num: int, what: str) -> Iterator[OnBatch]:
    """Show how many pictures are done."""
    with tqdm(total=num, desc=what, unit="img", disable=None, leave=False) as bar:
        yield bar.update


class Report:
    """Features of G's samples and of drawn faces, and what they tell.

    Args:
        G: the generator.
        extractor: the features of a reader.
        reader: that reader.
        count: samples, and faces of either set.
    """

    def __init__(self, G: Generator, extractor: Extractor, reader: Reader, count: int) -> None:
        self.G, self.extractor, self.reader, self.count = G, extractor, reader, count
        side = G.config.img_resolution
        self.real = self._features(Drawn(HELD_OUT, side), count, "drawn faces")
        self.second = self._features(Drawn(SECOND, side), count, "more drawn faces")
        self.fake = self._features(Sampler(G), count, "samples")

    def _features(self, pictures: Pictures, num: int, what: str) -> Tensor:
        with progress(num, what) as on_batch:
            return features_of(pictures, num, self.extractor, on_batch=on_batch)

    def distances(self) -> dict[str, dict[str, float]]:
        """Compare with held-out faces: another set of them (the floor), G, and G truncated."""
        key, few = self.extractor.key, max(self.count // 5, 2)
        rows = {
            "faces of another set": compare_features(self.real, self.second, key),
            "G": compare_features(self.real, self.fake, key),
            f"{few} faces of another set": compare_features(self.real, self.second[:few], key),
        }
        for psi in PSIS[2:]:
            sampler = Sampler(self.G, truncation_psi=psi)
            fakes = self._features(sampler, few, f"psi {psi}")
            rows[f"{few} of G, psi {psi}"] = compare_features(self.real, fakes, key)
        return rows

    def shares(self) -> dict[str, dict[str, list[float]]]:
        """Return for each name of each attribute its share as read in held-out faces and in G's."""
        drawn, made = self._read(self.real), self._read(self.fake)
        return {
            choice: {
                name: [share, made.shares(choice)[name]]
                for name, share in drawn.shares(choice).items()
            }
            for choice in READ
        }

    def _read(self, features: Tensor) -> Attributes:
        return self.reader.read_features(features[: max(self.count // 2, 1)])

    def neighbours(self, dataset: ImageDataset, path: Path) -> None:
        """Write samples, each with the pictures it learned from that have the nearest features."""
        pictures = Folder(dataset)
        learned = self._features(pictures, len(pictures), "training pictures")
        found = torch.cdist(self.fake[:ROWS], learned).topk(NEIGHBOURS, largest=False).indices
        samples = to_uint8(Sampler(self.G)(range(ROWS)))
        rows = [
            [sample, *to_uint8(pictures(near.tolist()))]
            for sample, near in zip(samples, found, strict=True)
        ]
        titles = ["G", *(f"nearest {k + 1}" for k in range(NEIGHBOURS))]
        save_png(path, labelled_sheet(rows, [f"sample {k}" for k in range(ROWS)], titles, cell=192))


def sheets(G: Generator, outdir: Path) -> None:
    """Write uncurated samples, a walk through four of them, and a sweep of truncation."""
    sampler, first = Sampler(G), range(COLUMNS)
    save_sheet(outdir / "samples.png", sampler(range(ROWS * COLUMNS)), COLUMNS)
    with torch.no_grad():
        walk = G.synthesis(closed_walk(sampler.ws(range(4)), COLUMNS))
    save_sheet(outdir / "walk.png", walk.expand(-1, 3, -1, -1), COLUMNS)
    rows = [list(to_uint8(Sampler(G, truncation_psi=psi)(first))) for psi in PSIS]
    titles = [f"sample {k}" for k in first]
    names = [f"psi {psi}" for psi in PSIS]
    save_png(outdir / "truncation.png", labelled_sheet(rows, names, titles, cell=192))


def distance_table(rows: dict[str, dict[str, float]]) -> str:
    """Return the distances as a table in Markdown."""
    columns = list(next(iter(rows.values())))
    rule = "|---" * (len(columns) + 1) + "|"
    head = [f"| against held-out faces | {' | '.join(columns)} |", rule]
    body = [
        f"| {name} | {' | '.join(f'{row[column]:.4g}' for column in columns)} |"
        for name, row in rows.items()
    ]
    return "\n".join(head + body)


def share_table(shares: dict[str, dict[str, list[float]]]) -> str:
    """Return the shares as a table in Markdown, with their ratio."""
    lines = ["| attribute | | drawn | G | ratio |", "|---|---|--:|--:|--:|"]
    for choice, names in shares.items():
        for name, (drawn, made) in names.items():
            lines.append(f"| {choice} | {name} | {drawn:.1%} | {made:.1%} | {ratio(made, drawn)} |")
    return "\n".join(lines)


def ratio(made: float, drawn: float) -> str:
    """Return the quotient as text, a dash where there is none."""
    return f"{made / drawn:.2f}" if drawn else "-"


if __name__ == "__main__":
    main()
