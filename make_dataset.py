"""Make and check data sets: draw faces, pack a folder of pictures, find bad files."""

from __future__ import annotations

from pathlib import Path

import click

import runtime

MEDIA = ("colour", "grey", "lineart", "screentone")  # those of data.faces, which takes time to load


@click.group(cls=runtime.VerbGroup)
def make_dataset() -> None:
    """Make and check data sets (zip files in StyleGAN's layout)."""


@make_dataset.command()
@click.option("--count", type=click.IntRange(1, 5_000_000), required=True, help="How many faces.")
@click.option(
    "--size", type=click.IntRange(8, 2048), default=256, show_default=True, help="Side in pixels."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Which set.")
@click.option("--out", type=runtime.UserPath(), required=True, help="The zip to write.")
@click.option(
    "--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes."
)
@click.option(
    "--medium", type=click.Choice(MEDIA), default="colour", show_default=True, help="Drawn in."
)
def faces(count: int, size: int, seed: int, out: Path, workers: int, medium: str) -> None:
    """Draw anime faces, each with its description."""
    from data.faces.export import export_faces

    written = export_faces(out, count=count, size=size, seed=seed, workers=workers, medium=medium)
    click.echo(f"{out}: {written} faces of {size}x{size}")


@make_dataset.command()
@click.option("--source", type=runtime.UserPath(), required=True, help="Folder of pictures.")
@click.option("--out", type=runtime.UserPath(), required=True, help="The zip to write.")
@click.option("--size", type=click.IntRange(8, 2048), required=True, help="Side in pixels.")
@click.option("--skip-bad", is_flag=True, help="Leave out pictures that cannot be read.")
def pack(source: Path, out: Path, size: int, skip_bad: bool) -> None:
    """Pack a folder of pictures: centre crop, resize, one zip."""
    from data.pack import pack_folder

    written = pack_folder(source, out, size=size, skip_bad=skip_bad, on_bad=_list_bad)
    click.echo(f"{out}: {written} pictures of {size}x{size}")


@make_dataset.command()
@click.argument("dataset", type=runtime.UserPath())
def check(dataset: Path) -> None:
    """List every picture of a zip or folder that training would refuse."""
    from data.pack import check_dataset

    good = check_dataset(dataset, on_bad=_list_bad)
    click.echo(f"{dataset}: {good} pictures, all good")


def _list_bad(error: ValueError) -> None:
    click.echo(runtime.printable(str(error)))


if __name__ == "__main__":
    make_dataset()
