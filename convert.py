"""Convert NVIDIA's StyleGAN3 pickles to release weights; nothing in a pickle is executed."""

from __future__ import annotations

from pathlib import Path

import click

import runtime


@click.command(cls=runtime.Verb)
@click.argument("pickle", type=runtime.UserPath(), metavar="FILE.pkl")
@click.option("--out", type=runtime.UserPath(), required=True, help="Folder to make.")
def convert(pickle: Path, out: Path) -> None:
    """Write the networks of FILE.pkl (StyleGAN3, configuration T or R) into a folder.

    G_ema becomes generator.safetensors and D, if there is one, discriminator.safetensors.
    An existing folder is not touched: the next free of OUT-2, OUT-3, ... is taken.
    """
    from engine.files import file_sha256
    from stylegan.checkpoint import save_discriminator, save_generator
    from stylegan.nvidia_pickle import read_nvidia_pickle

    G, D = read_nvidia_pickle(pickle)
    facts = {"converted_from": runtime.printable(pickle.name), "parent_sha256": file_sha256(pickle)}
    final = runtime.next_free_folder(out)
    with runtime.staging_folder(final) as folder:
        save_generator(folder / "generator.safetensors", G, **facts)
        if D is not None:
            save_discriminator(folder / "discriminator.safetensors", D, **facts)
    size, found = G.config.img_resolution, "generator" if D is None else "generator, discriminator"
    letter = "R" if G.config.use_radial_filters else "T"
    click.echo(f"{final}: StyleGAN3-{letter} {size}x{size}, {found}")


if __name__ == "__main__":
    convert()
