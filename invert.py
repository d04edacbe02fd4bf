"""Colour one small grey face: several pictures, each of which, made small and grey, is the input.

python invert.py --image lowres.png --samples 8
"""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import runtime

if TYPE_CHECKING:
    from colouring.models import Models
    from colouring.options import Options
    from colouring.replay import Record
    from inversion.pipeline import Candidates, Inverter

INPUTS = ("grey", "full", "colour", "lineart", "screentone", "auto")
PRETRAINED = Path(__file__).parent / "pretrained"


def as_box(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple | None:
    """Read `x,y,w,h`."""
    numbers = (value or "").split(",")
    if value and not (len(numbers) == 4 and all(n.strip().isdecimal() for n in numbers)):
        raise click.BadParameter(
            f"{value!r}: give x,y,w,h, four whole numbers of pixels", ctx, param
        )
    return tuple(int(n) for n in numbers) if value else None


def as_colour(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Read `#rrggbb`, or `#rgb`."""
    digits = (value or "").removeprefix("#").lower()
    if value is not None and not re.fullmatch("[0-9a-f]{3}|[0-9a-f]{6}", digits):
        raise click.BadParameter(f"{value!r}: give a colour as '#a03050'", ctx, param)
    doubled = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    return f"#{doubled}" if value is not None else None


def as_candidate(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Read `path/result.json:3`; the path is made absolute."""
    path, _, number = (value or "").rpartition(":")
    if value is not None and not (path and number.isdecimal()):
        raise click.BadParameter(f"{value!r}: give a candidate as result.json:3", ctx, param)
    return f"{Path(path).expanduser().resolve()}:{number}" if value is not None else None


@click.command(cls=runtime.Verb)
@click.option("--image", type=runtime.UserPath(), help="The small grey picture.")
@click.option("--images", type=runtime.UserPath(), help="A folder of pictures instead.")
@click.option("--replay", type=runtime.UserPath(), help="A result.json: make its files again.")
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
@click.option(
    "--input",
    type=click.Choice(INPUTS),
    default="grey",
    show_default=True,
    help="What it is: small and grey, grey of full size (its luma stays), small, lines, dots.",
)
@click.option("--hint", type=runtime.UserPath(), help="Strokes of colour, else transparent.")
@click.option("--cue", type=runtime.UserPath(), help="The colours, blurred.")
@click.option("--palette", type=runtime.UserPath(), help="A picture of the same colours.")
@click.option(
    "--like", callback=as_candidate, metavar="RESULT.JSON:K", help="A candidate's colours again."
)
@click.option("--hair", callback=as_colour, metavar="#RRGGBB", help="Colour of the hair.")
@click.option("--eyes", callback=as_colour, metavar="#RRGGBB", help="Colour of the eyes.")
@click.option(
    "--pose",
    type=click.Choice(["auto", "none"]),
    default="none",
    show_default=True,
    help="auto: find how far the face is turned and shifted.",
)
@click.option("--size", type=click.IntRange(8), help="Reduce the picture to this side first.")
@click.option(
    "--save-every", type=click.IntRange(1), metavar="N", help="Film the search, every N steps."
)
@click.option(
    "--crop", callback=as_box, metavar="X,Y,W,H", help="The part with the face, in pixels."
)
@click.pass_context
def main(
    ctx: click.Context,
    image: Path | None,
    images: Path | None,
    replay: Path | None,
    outdir: Path | None,
    **choices: Any,
) -> None:
    """Find coloured faces that agree with one small grey face, or with each of a folder."""
    require_one_source(ctx)
    from colouring.models import Models
    from colouring.options import Options
    from colouring.replay import Record
    from custom_ops.allocator import keep_freed_memory

    keep_freed_memory()
    record = Record.read(replay) if replay else None
    options = record.options if record else Options(**choices | with_models(**choices))
    models = Models(options)
    if images:
        colour_folder(images, outdir, options, models)
        return
    source = image or record.image  # type: ignore[union-attr]
    final = runtime.next_free_folder(outdir or runtime.default_outdir(source))
    colour(source, final, options, models, record)
    click.echo(f"{options.samples} candidates in {runtime.printable(str(final))}: see grid.png")


def require_one_source(ctx: click.Context) -> None:
    """Refuse a call that does not say what to colour, or says it twice.

    Raises:
        click.UsageError: so it is.
    """
    given = {
        name
        for name in ctx.params
        if ctx.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE
    }
    if "replay" in given:
        if extra := given - {"replay", "image", "outdir"}:
            raise click.UsageError(f"--replay says how: leave out --{min(extra)}")
    elif len(given & {"image", "images"}) != 1:
        raise click.UsageError("give one of --image, --images and --replay")


def with_models(
    generator: Path | None, encoder: Path | None, method: str, **_: Any
) -> dict[str, Path | None]:
    """Return the user's own generator and its encoder, or the default model.

    Raises:
        click.UsageError: an encoder is given to a method that starts without.
    """
    if method == "pulse" and encoder is not None:
        raise click.UsageError("--encoder: PULSE starts at random. Leave it out.")
    if generator is None and method != "pulse":
        encoder = encoder or PRETRAINED / "encoder.safetensors"
    return {"generator": generator or PRETRAINED / "generator.safetensors", "encoder": encoder}


def colour(
    image: Path, final: Path, options: Options, models: Models, record: Record | None = None
) -> None:
    """Colour one picture; the answers go into the folder `final`."""
    with runtime.staging_folder(final) as folder:
        from colouring.problem import prepare
        from colouring.result import write_pictures

        started = time.monotonic()
        problem = prepare(image, options, models)
        if record:
            record.require_same(problem.facts)
            say(image, record.differences(runtime.versions()))
        say(image, problem.notes)
        prepared = time.monotonic()
        found, evaluations = solve(problem.inverter, options, folder)
        solved = time.monotonic()
        facts = problem.facts | write_pictures(folder, problem.inverter, found)
        warn_of_misses(facts["candidates"])
        seconds = {"prepare": prepared - started, "solve": solved - prepared}
        seconds["write"] = time.monotonic() - solved
        facts["generator_evaluations"] = evaluations / options.samples
        facts["versions"] = runtime.versions()
        facts["seconds"] = {stage: round(value, 2) for stage, value in seconds.items()}
        (folder / "result.json").write_text(json.dumps(facts, indent=1) + "\n")


def colour_folder(images: Path, outdir: Path | None, options: Options, models: Models) -> None:
    """Colour the pictures of a folder, each rank of torchrun its share of them.

    Raises:
        click.exceptions.Exit: some could not be used; what was wrong has been said.
    """
    from colouring.folder import pictures_in
    from data.image_io import ImageError
    from engine.ranks import joined
    from inversion.operators import MeasurementError

    with joined() as ranks:
        base = outdir or runtime.default_outdir(images)
        base = Path(ranks.once(lambda: str(runtime.next_free_folder(base))))
        pictures, bad = list(pictures_in(images).items()), 0
        _ = models.G  # a model that cannot be used is no picture's fault
        for path, name in pictures[ranks.rank :: ranks.size]:
            try:
                colour(path, base / name, options, models)
            except (ImageError, MeasurementError) as error:
                runtime.report(error)
                bad += 1
        bad = sum(ranks.all(bad))
        if ranks.is_first:
            good = len(pictures) - bad
            click.echo(f"{good} of {len(pictures)} pictures in {runtime.printable(str(base))}")
    if bad:
        raise click.exceptions.Exit(runtime.BAD_DATA)


def say(image: Path, notes: list[str]) -> None:
    """Print what was changed about the input or is worth knowing of it."""
    for line in notes:
        is_warning, text = line.startswith("warning: "), line.removeprefix("warning: ")
        (runtime.warning if is_warning else runtime.note)(f"{image}: {text}")


def solve(inverter: Inverter, options: Options, folder: Path) -> tuple[list[Candidates], int]:
    """Solve for all candidates with a progress bar; count the pictures the generator made."""
    from tqdm import tqdm

    from colouring.film import Film
    from inversion.counting import counted
    from inversion.pipeline import Step

    samples = options.samples
    total = -(-samples // inverter.config.chunk) * inverter.options["num_steps"]
    film = Film(inverter, options.save_every) if options.save_every else None
    with (
        counted(inverter.G) as evaluations,
        tqdm(total=total, unit="step", disable=None, leave=False) as bar,
    ):

        def on_step(step: Step) -> None:
            bar.update()
            if film:
                film(step)

        found = list(inverter.candidates(samples, on_step))
    if film:
        film.save(folder / "search.png", found)
    return found, evaluations.pictures


def warn_of_misses(candidates: list[dict[str, Any]]) -> None:
    """Warn if the input is one that no picture gives."""
    missed = sum(not row["feasible"] for row in candidates)
    if missed:
        runtime.warning(
            f"{missed} of {len(candidates)} candidates miss the input by more than 1 level "
            "somewhere: no picture gives exactly this input (is it dithered, sharpened or not "
            "antialiased?)"
        )


if __name__ == "__main__":
    main()
