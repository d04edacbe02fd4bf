"""Make pictures with a generator: of numbered seeds, or of a walk through them.

python generate.py --generator runs/00000-.../generator.safetensors --seeds 0-15 --trunc 0.7
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import runtime

if TYPE_CHECKING:
    import numpy as np

PRETRAINED = Path(__file__).parent / "pretrained"
MAX_SEEDS, LAST_SEED = 1_000_000, 2**32 - 1


class Seeds(click.ParamType):
    """Numbers and ranges, both ends included: `0,3,8-11`."""

    name = "seeds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        parts = [re.fullmatch(r"(\d{1,10})(?:-(\d{1,10}))?", word) for word in value.split(",")]
        ranges = [range(int(m[1]), int(m[2] or m[1]) + 1) for m in parts if m]
        if None in parts or not all(ranges) or max(r[-1] for r in ranges) > LAST_SEED:
            self.fail(f"{value!r} is not like 0,3,8-11 with numbers up to {LAST_SEED}", param, ctx)
        if sum(map(len, ranges)) > MAX_SEEDS:
            self.fail(f"{value!r} names more than {MAX_SEEDS} seeds", param, ctx)
        return [seed for r in ranges for seed in r]


class GridSize(click.ParamType):
    """Columns and rows: `4x4`."""

    name = "CxR"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        match = re.fullmatch(r"([1-9]\d{0,2})x([1-9]\d{0,2})", value)
        if not match:
            self.fail(f"{value!r} is not like 4x4, columns x rows", param, ctx)
        return int(match[1]), int(match[2])


class Truncation(click.FloatRange):
    """A number in [-4, 4], which `nan` is not."""

    def __init__(self) -> None:
        super().__init__(-4, 4)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        psi = super().convert(value, param, ctx)
        return self.fail(f"{value} is no number", param, ctx) if math.isnan(psi) else psi


@click.command(cls=runtime.Verb)
@click.option("--generator", type=runtime.UserPath(), help="generator.safetensors [the default].")
@click.option("--seeds", type=Seeds(), help="As 0,3,8-11 [0-15, or as many as --grid holds].")
@click.option(
    "--trunc",
    type=Truncation(),
    default=1.0,
    show_default=True,
    help="Truncation psi: less variety, fewer failures; 0 is the mean face.",
)
@click.option("--class", "label", type=click.IntRange(0), help="Of a generator with classes.")
@click.option("--outdir", type=runtime.UserPath(), default=Path("out/generated"), show_default=True)
@click.option("--grid", type=GridSize(), help="One picture of so many columns and rows, as 4x4.")
@click.option("--walk", is_flag=True, help="A film that goes smoothly from seed to seed and back.")
@click.option(
    "--frames",
    type=click.IntRange(1, 1000),
    default=30,
    show_default=True,
    help="Of a walk, from one seed to the next.",
)
@click.option(
    "--fps",
    type=click.IntRange(1, 60),
    default=30,
    show_default=True,
    help="Of a walk, frames per second.",
)
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True
)
def main(
    seeds: list[int] | None,
    outdir: Path,
    grid: tuple[int, int] | None,
    walk: bool,
    frames: int,
    fps: int,
    **options: Any,
) -> None:
    """Make pictures with a generator: one file per seed, one sheet, or a walk."""
    seeds = seeds or list(range(math.prod(grid) if grid else 16))
    check(len(seeds), grid, walk)
    final = runtime.next_free_folder(outdir)
    with runtime.staging_folder(final) as folder:
        made = pictures(seeds, steps=frames if walk else 1, **options)
        if walk:
            write_walk(folder / "walk.webp", made, fps)
        elif grid:
            write_grid(folder / "grid.png", made, columns=grid[0])
        else:
            write_each(folder, made, seeds)
    click.echo(f"{len(seeds)} seeds in {runtime.printable(str(final))}")


def check(num_seeds: int, grid: tuple[int, int] | None, walk: bool) -> None:
    """Refuse options that contradict each other.

    Raises:
        click.UsageError: they do.
    """
    if grid and walk:
        raise click.UsageError("--grid and --walk exclude each other")
    if grid and math.prod(grid) != num_seeds:
        places = f"--grid {grid[0]}x{grid[1]} has {math.prod(grid)} places"
        raise click.UsageError(f"{places} for {num_seeds} --seeds")
    if walk and num_seeds < 2:
        raise click.UsageError("--walk needs two --seeds or more")


def pictures(
    seeds: list[int],
    steps: int,
    generator: Path | None,
    trunc: float,
    label: int | None,
    device: str,
) -> Iterator[np.ndarray]:
    """Yield uint8 pictures [R, R, 3]: one per seed, or `steps` on the way from each to the next."""
    from tqdm import tqdm

    from custom_ops.allocator import keep_freed_memory
    from data.image_io import to_uint8
    from stylegan import load_generator
    from stylegan.checkpoint import CheckpointError
    from stylegan.device import pick_device
    from stylegan.sampling import class_label, closed_walk, seed_ws, synthesize

    keep_freed_memory()
    generator = generator or PRETRAINED / "generator.safetensors"
    G = load_generator(generator, pick_device(device))
    if (channels := G.config.img_channels) not in (1, 3):
        message = f"{generator}: its pictures have {channels} channels. Give one of 1 or 3."
        raise CheckpointError(message, "E-MODEL-KIND")
    ws = seed_ws(G, seeds, trunc, class_label(G.config.c_dim, label))
    ws = closed_walk(ws, steps) if steps > 1 else ws
    for picture in tqdm(synthesize(G, ws), total=len(ws), disable=None, leave=False):
        yield to_uint8(picture.expand(-1, 3, -1, -1))[0]


def write_each(folder: Path, made: Iterator[np.ndarray], seeds: list[int]) -> None:
    """Write `seed0000.png` and so on."""
    from data.image_io import save_png

    for seed, picture in zip(seeds, made, strict=True):
        save_png(folder / f"seed{seed:04d}.png", picture)


def write_grid(path: Path, made: Iterator[np.ndarray], columns: int) -> None:
    """Write one picture of all, row by row."""
    import numpy as np

    from data.image_io import save_png
    from evaluation.report import tile

    save_png(path, tile(np.stack(list(made)), columns))


def write_walk(path: Path, made: Iterator[np.ndarray], fps: int) -> None:
    """Write an animated WebP."""
    from data.animation import save_webp

    save_webp(path, list(made), fps)


if __name__ == "__main__":
    main()
