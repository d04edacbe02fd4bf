"""Do colours go where they are asked for, and nothing else with them? On drawn faces.

    python -m benchmarks.colour --count 30 --json runs/colour.json

Every row compares candidates under a control with candidates of the same seeds under none.

hint   a disc of flat colour, a seventh of the picture's height, in hair, skin or clothes by turns:
       CIEDE2000 to the truth at the painted pixels, median over pixels and candidates; and how far
       the candidates differ outside that part, as a share of how far they differ there without.
dot    one dot, a twentieth of the height, in the hair: share of faces whose candidate 0 is nearer
       to the truth than without, by mean CIEDE2000.
cue    the truth blurred: mean CIEDE2000 of candidate 0, beside the best of all without.
like   the same character in five poses and moods: mean CIEDE2000 between the panels' mean colours
       of hair and of skin, where the first panel's candidate 0 lends its colours to the others.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import distance_transform_edt, gaussian_filter
from torch import Tensor

from attributes.regions import PRETRAINED, RegionsReader, load_regions
from benchmarks.inversion import HELD_OUT_SEED, Bench
from data.faces import FaceDescription, describe, draw
from data.faces.regions import REGIONS, regions
from data.image_io import from_uint8, save_png, to_uint8
from evaluation.diversity import ciede2000, rgb_to_lab, spread_map
from evaluation.report import tile
from evaluation.scores import Judges
from inversion.controls.chroma import GRID, Wanted, chroma_evidence
from inversion.controls.cue import SIGMA, cue
from inversion.controls.hint import hint
from inversion.controls.luma import fitted, luma_on_grid
from inversion.controls.parts import part_colours, parts, unmixing
from inversion.evidence import Evidence
from inversion.pulse import PulseConfig

PANELS = tuple(
    zip(
        (0.0, -14.0, -7.0, 7.0, 14.0),
        ("neutral", "smile", "sad", "grin", "surprised"),
        strict=True,
    )
)
Figures = dict[str, float]


class ColourBench:
    """The solver, with controls beside the input."""

    def __init__(self, bench: Bench, reader: RegionsReader, sheets: Path | None) -> None:
        self.bench, self.reader, self.sheets = bench, reader, sheets

    def picture(self, face: FaceDescription) -> Tensor:
        """Return a drawn face `[1, 3, P, P]` in [-1, 1]."""
        return from_uint8(np.asarray(draw(face, self.bench.side))[None])

    def solve(self, x: Tensor, wishes: dict[str, Wanted], samples: int = 0) -> Tensor:
        """Return candidates `[K, 3, P, P]` for the input that a truth makes, under wishes."""
        y = self.bench.A.quantised(x)
        luma = luma_on_grid(y)
        further = [self._evidence(name, fitted(w, luma)) for name, w in wishes.items()]
        inverter = replace(self.bench.inverter("ours", PulseConfig(), y), further=tuple(further))
        found = inverter.candidates(samples or self.bench.samples)
        return torch.cat([part.projection.pixels for part in found])

    def _evidence(self, name: str, wanted: Wanted) -> Evidence:
        return chroma_evidence(name, wanted, self.bench.G.config.img_resolution, self.bench.side)

    def weights(self, x: Tensor) -> dict[str, Tensor]:
        """Return what gives the colour of each part that the reader sees in a truth's input."""
        shares = self.reader.read(self.bench.A.quantised(x))[0]
        return unmixing(dict(zip(self.reader.names, shares, strict=True)))

    def keep(self, name: str, *pictures: Tensor) -> None:
        """Write one row of pictures, if they are wanted."""
        if self.sheets:
            cells = to_uint8(torch.cat(pictures))
            save_png(self.sheets / f"{name}.png", tile(cells, len(cells)))


def masks(face: FaceDescription, side: int) -> dict[str, np.ndarray]:
    """Return the shares of each part, `[side, side]`."""
    return dict(zip(REGIONS, np.moveaxis(regions(face, side), 2, 0), strict=True))


def disc(mask: np.ndarray, radius: float) -> np.ndarray:
    """Return a disc about the place deepest inside a mask, as far as it lies in it, bool."""
    depth = distance_transform_edt(mask > 0.9)
    row, column = np.unravel_index(depth.argmax(), depth.shape)
    rows, columns = np.ogrid[: len(mask), : len(mask)]
    return ((rows - row) ** 2 + (columns - column) ** 2 <= radius**2) & (mask > 0.9)


def strokes(x: Tensor, place: np.ndarray) -> Tensor:
    """Paint a place with the truth's mean colour there: `[4, P, P]` in [0, 1]."""
    rgba = torch.zeros(4, *x.shape[2:])
    rgba[:3, place] = ((x[0][:, place] + 1) / 2).mean(1, keepdim=True)
    rgba[3, place] = 1
    return rgba


def difference(pictures: Tensor, x: Tensor) -> Tensor:
    """Return CIEDE2000 at every pixel, `[K, P, P]`."""
    return ciede2000(_lab(pictures), _lab(x))


def _lab(pictures: Tensor) -> Tensor:
    return rgb_to_lab((pictures.double() + 1) / 2)


def by_hint(bench: ColourBench, face: FaceDescription, x: Tensor, free: Tensor) -> Figures:
    """Paint a disc."""
    part = ("hair", "skin", "clothes")[face.hair_seed % 3]
    mask = masks(face, len(x[0, 0]))[part]
    place = disc(mask, len(x[0, 0]) / 14)
    rgba, painted = strokes(x, place), torch.from_numpy(place)
    found = bench.solve(x, {"hint": hint(rgba)})
    bench.keep(f"hint-{face.hair_seed}", x, _over(x, rgba), free[:4], found[:4])
    rest = torch.from_numpy(mask < 0.02)
    spread, spread_free = (spread_map(each)[rest].mean() for each in (found, free))
    return {
        "painted_de2000": float(difference(found, x)[:, painted].median()),
        "painted_de2000_free": float(difference(free, x)[:, painted].median()),
        "spread_of_the_rest": float(spread / spread_free),
    }


def _over(x: Tensor, rgba: Tensor) -> Tensor:
    return 2 * (rgba[:3] * rgba[3] + (1 - rgba[3]) * (x.mean(1, keepdim=True) + 1) / 2) - 1


def by_dot(bench: ColourBench, face: FaceDescription, x: Tensor, free: Tensor) -> Figures:
    """Paint one dot."""
    place = disc(masks(face, len(x[0, 0]))["hair"], len(x[0, 0]) / 40)
    found = bench.solve(x, {"hint": hint(strokes(x, place))}, 1)
    with_dot, without = (float(difference(each[:1], x).mean()) for each in (found, free))
    return {
        "best_of_1": with_dot,
        "best_of_1_free": without,
        "improved": float(with_dot < without),
    }


def by_cue(bench: ColourBench, face: FaceDescription, x: Tensor, free: Tensor) -> Figures:
    """Show the truth, blurred."""
    sigma = SIGMA * len(x[0, 0])
    rgba = torch.ones(4, *x.shape[2:])
    planes = ((x[0].double() + 1) / 2).numpy()
    rgba[:3] = torch.from_numpy(np.stack([gaussian_filter(p, sigma) for p in planes]))
    found = bench.solve(x, {"cue": cue(rgba)}, 1)
    bench.keep(f"cue-{face.hair_seed}", x, 2 * rgba[None, :3] - 1, free[:1], found[:1])
    return {
        "best_of_1": float(difference(found[:1], x).mean()),
        "best_of_all_free": float(difference(free, x).mean((1, 2)).min()),
    }


def by_like(bench: ColourBench, face: FaceDescription, x: Tensor, free: Tensor) -> Figures:
    """Lend the first panel's colours to four more of the same character."""
    faces = [replace(face, turn=turn, expression=mood) for turn, mood in PANELS]
    truths = [bench.picture(each) for each in faces]
    alone = [bench.solve(each, {}, 1) for each in truths]
    grid = F.interpolate((alone[0] + 1) / 2, (GRID, GRID), mode="bicubic", antialias=True)[0]
    colours = part_colours(bench.weights(alone[0]), grid)
    colours.pop("background", None)
    together = [alone[0]]
    for each in truths[1:]:
        wanted = parts(bench.weights(each), colours)
        together.append(bench.solve(each, {"parts": wanted} if wanted else {}, 1))
    bench.keep(f"like-{face.hair_seed}", *truths, *alone, *together)
    return {
        f"{name}{suffix}": apart(faces, panels, name)
        for name in ("hair", "skin")
        for suffix, panels in (("", together), ("_free", alone))
    }


def apart(faces: Sequence[FaceDescription], panels: Sequence[Tensor], name: str) -> float:
    """Return the mean CIEDE2000 between the mean colours of a part in all pairs of panels."""
    means = []
    for face, panel in zip(faces, panels, strict=True):
        share = torch.from_numpy(masks(face, panel.shape[-1])[name]).to(panel)
        means.append((panel[0] * share).sum((1, 2)) / share.sum())
    labs = [_lab(mean[:, None, None]) for mean in means]
    pairs = itertools.combinations(labs, 2)
    return float(np.mean([float(ciede2000(one, other)) for one, other in pairs]))


Trial = Callable[[ColourBench, FaceDescription, Tensor, Tensor], Figures]
TRIALS: dict[str, Trial] = {"hint": by_hint, "dot": by_dot, "cue": by_cue, "like": by_like}


@click.command()
@click.option("--generator", type=Path, default=Path("pretrained/generator.safetensors"))
@click.option("--encoder", type=Path, default=Path("pretrained/encoder.safetensors"))
@click.option("--regions", "reader", type=Path, default=PRETRAINED)
@click.option("--count", type=click.IntRange(1), default=30, show_default=True)
@click.option("--samples", type=click.IntRange(2), default=8, show_default=True)
@click.option("--size", type=click.IntRange(8), default=32, show_default=True)
@click.option("--trial", "trials", multiple=True, type=click.Choice([*TRIALS]), default=[*TRIALS])
@click.option("--set", "changes", multiple=True, help="An option of the solver, as tau=0.1.")
@click.option("--sheets", type=Path, help="Folder for a row of pictures per face and trial.")
@click.option("--json", "report", type=Path, help="Write all figures as JSON.")
def main(
    generator: Path,
    encoder: Path,
    reader: Path,
    count: int,
    trials: tuple[str, ...],
    sheets: Path | None,
    report: Path | None,
    **options: Any,
) -> None:
    """Steer candidates for faces whose truth is known."""
    bench = Bench(generator, encoder, Judges(None, None), **options)
    colour = ColourBench(bench, load_regions(reader), sheets)
    rows: dict[str, list[Figures]] = {name: [] for name in trials}
    for index in range(count):
        face = describe(HELD_OUT_SEED, index)
        x = colour.picture(face)
        free = colour.solve(x, {}) if set(trials) - {"like"} else x
        for name in trials:
            rows[name].append(TRIALS[name](colour, face, x, free))
            told = "  ".join(f"{k} {v:.3g}" for k, v in rows[name][-1].items())
            print(f"face {index}  {name}: {told}", flush=True)
        if report:
            report.write_text(json.dumps(rows, indent=1) + "\n")
    for name, figures in rows.items():
        print(name, summary(figures))


def summary(figures: Sequence[Figures]) -> str:
    """Return the mean and the median of each figure over the faces."""
    names = figures[0]
    table = {name: [each[name] for each in figures] for name in names}
    told = [f"{k} mean {np.mean(v):.3g} median {np.median(v):.3g}" for k, v in table.items()]
    return "  ".join(told)


if __name__ == "__main__":
    main()
