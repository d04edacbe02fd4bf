"""Colour one small grey face: several pictures, each of which, made small and grey, is the input.

python invert.py --image lowres.png --samples 8
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import runtime

if TYPE_CHECKING:
    from torch import Tensor

    from inversion.pipeline import Candidates, Inverter, Start

SPREAD_BRIGHTEST = 50.0  # CIEDE2000; black against white is 100
PRETRAINED = Path(__file__).parent / "pretrained"


@click.command(cls=runtime.Verb)
@click.option("--image", type=runtime.UserPath(), required=True, help="The small grey picture.")
@click.option("--samples", type=click.IntRange(1, 10_000), default=8, show_default=True)
@click.option("--outdir", type=runtime.UserPath(), help="Folder to make [out/<image>].")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--generator", type=runtime.UserPath(), help="Your own [the default model].")
@click.option("--encoder", type=runtime.UserPath(), help="Your own, trained for that generator.")
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True
)
@click.option(
    "--method",
    type=click.Choice(["posterior", "pulse"]),
    default="posterior",
    show_default=True,
    help="pulse: the search of Menon et al. 2020, to compare with.",
)
@click.option("--size", type=click.IntRange(8), help="Reduce the picture to this side first.")
def main(image: Path, samples: int, outdir: Path | None, **options: Any) -> None:
    """Find coloured faces that agree with one small grey face."""
    final = runtime.next_free_folder(outdir or runtime.default_outdir(image))
    with runtime.staging_folder(final) as folder:
        started = time.monotonic()
        inverter, facts = prepare(image, **options)
        prepared = time.monotonic()
        found, evaluations = solve(inverter, samples)
        solved = time.monotonic()
        facts |= write_pictures(folder, inverter, found)
        seconds = {"prepare": prepared - started, "solve": solved - prepared}
        seconds["write"] = time.monotonic() - solved
        facts["generator_evaluations"] = evaluations / samples
        facts["versions"] = runtime.versions()
        facts["seconds"] = {stage: round(value, 2) for stage, value in seconds.items()}
        (folder / "result.json").write_text(json.dumps(facts, indent=1) + "\n")
    click.echo(f"{samples} candidates in {runtime.printable(str(final))}: see grid.png")


def prepare(
    image: Path,
    seed: int,
    generator: Path | None,
    encoder: Path | None,
    device: str,
    method: str,
    size: int | None,
) -> tuple[Inverter, dict[str, Any]]:
    """Read the picture and the models; return the problem and the facts about its inputs."""
    from custom_ops.allocator import keep_freed_memory
    from data.image_io import load_measurement
    from engine.files import file_sha256
    from inversion.config import InversionConfig
    from inversion.inputs import grey_input
    from inversion.latent import LatentPrior
    from inversion.measurement import fit_measurement
    from inversion.pipeline import Inverter
    from inversion.pulse import PulseInverter
    from stylegan import load_generator
    from stylegan.device import pick_device
    from stylegan.generator import native_precision

    keep_freed_memory()
    y, conversions, image_sha256 = load_measurement(image)
    generator, encoder = models(generator, encoder, method)
    target = pick_device(device)
    G = load_generator(generator, target)
    prior = LatentPrior.fit(G)
    config = InversionConfig(precision=native_precision())
    side = config.finished_side(G.config.img_resolution)
    y, changes = fit_measurement(y, side, size)
    given = grey_input(y.to(target), side, G.config.img_resolution, config)
    start = choose_start(encoder, generator, y, target)
    notes = [*conversions, *changes]
    if encoder is None and method == "posterior":
        notes.append("no --encoder for this generator: candidates start from the prior")
    say(image, notes)
    facts: dict[str, Any] = {"seed": seed, "method": method, "notes": notes}
    files = {"generator": generator, "encoder": encoder}
    hashes = {kind: file_sha256(path) if path else None for kind, path in files.items()}
    facts["sha256"] = {"image": image_sha256, **hashes}
    kind = PulseInverter if method == "pulse" else Inverter
    inverter = kind(G, prior, given, start, config, seed)
    facts["solver"] = inverter.options
    return inverter, facts


def models(generator: Path | None, encoder: Path | None, method: str) -> tuple[Path, Path | None]:
    """Return the user's own generator and its encoder, or the default model.

    Raises:
        click.UsageError: an encoder is given to a method that starts without.
    """
    if method == "pulse":
        if encoder is not None:
            raise click.UsageError("--encoder: PULSE starts at random. Leave it out.")
        return generator or PRETRAINED / "generator.safetensors", None
    if generator is not None:
        return generator, encoder
    return PRETRAINED / "generator.safetensors", encoder or PRETRAINED / "encoder.safetensors"


def say(image: Path, notes: list[str]) -> None:
    """Print what was changed about the input or is worth knowing of it."""
    for line in notes:
        is_warning, text = line.startswith("warning: "), line.removeprefix("warning: ")
        (runtime.warning if is_warning else runtime.note)(f"{image}: {text}")


def choose_start(encoder: Path | None, generator: Path, y: Tensor, device: str) -> Start:
    """Return where candidates start: near the encoder's guess, or anywhere in the prior."""
    if encoder is None:
        return lambda noise: noise
    from encoder import load_encoder

    network = load_encoder(encoder, generator).to(device)
    y = y.to(device)
    return lambda noise: network.sample(y, noise)


def solve(inverter: Inverter, samples: int) -> tuple[list[Candidates], int]:
    """Solve for all candidates with a progress bar; count the pictures the generator made."""
    from tqdm import tqdm

    from inversion.counting import counted

    total = -(-samples // inverter.config.chunk) * inverter.options["num_steps"]
    with (
        counted(inverter.G) as evaluations,
        tqdm(total=total, unit="step", disable=None, leave=False) as bar,
    ):
        found = list(inverter.candidates(samples, on_step=bar.update))
    return found, evaluations.pictures


def write_pictures(folder: Path, inverter: Inverter, found: list[Candidates]) -> dict[str, Any]:
    """Write the pictures, the grid and the latents; return the facts about them."""
    import torch
    from safetensors.torch import save

    from data.image_io import save_png, to_uint8
    from evaluation.report import candidate_sheet
    from inversion.report import candidate_facts, ranking

    rows = [row for part in found for row in candidate_facts(part, inverter.seed)]
    order = ranking(rows)
    pixels = to_uint8(torch.cat([part.projection.pixels for part in found]))
    for row, picture in zip(rows, pixels, strict=True):
        save_png(folder / row["file"], picture)
    save_png(folder / "grid.png", candidate_sheet(to_uint8(inverter.input.y)[0], pixels[order]))
    if len(rows) > 1:
        save_spread(folder / "spread.png", found)
    ws = torch.cat([part.ws for part in found]).cpu().contiguous()
    # by way of bytes: save_file makes a file that only its owner may read
    (folder / "ws.safetensors").write_bytes(save({"ws": ws}))
    missed = sum(not row["feasible"] for row in rows)
    if missed:
        runtime.warning(
            f"{missed} of {len(rows)} candidates miss the input by more than 1 level somewhere: no "
            "picture gives exactly this input (is it dithered, sharpened or not antialiased?)"
        )
    return {
        "output_size": list(pixels.shape[1:3]),
        "input_size": list(inverter.input.y.shape[2:]),
        "candidates": rows,
        "ranking": order,
        **colour_distances(found),
    }


def save_spread(path: Path, found: list[Candidates]) -> None:
    """Write how far the candidates differ at every pixel: what the input does not determine."""
    import torch

    from data.image_io import save_png
    from evaluation.diversity import spread_map
    from evaluation.report import heat_map

    pictures = torch.cat([part.projection.pixels for part in found])
    save_png(path, heat_map(spread_map(pictures).cpu().numpy(), SPREAD_BRIGHTEST))


def colour_distances(found: list[Candidates]) -> dict[str, Any]:
    """Return how different the candidates are from each other, finished and before projection."""
    import torch

    from evaluation.diversity import pairwise_cie76, pairwise_ciede2000
    from inversion.report import off_diagonal_summary

    pictures = torch.cat([part.projection.pixels for part in found])
    before = torch.cat([part.pictures for part in found])
    return {
        "ciede2000": off_diagonal_summary(pairwise_ciede2000(pictures)),
        "ciede2000_before": off_diagonal_summary(pairwise_ciede2000(before)),
        "cie76": off_diagonal_summary(pairwise_cie76(pictures)),
    }


if __name__ == "__main__":
    main()
