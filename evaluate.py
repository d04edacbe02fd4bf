"""Measure: how near pictures are to a data set, and how well faces are found again.

python evaluate.py fid --generator G --data faces.zip --features attributes
torchrun --standalone --nproc-per-node 8 -- evaluate.py fid ...
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.ranks import Ranks
    from evaluation.fid import Judge
    from evaluation.methods import Method

option = functools.partial(click.option, show_default=True)
DEVICES = click.Choice(["auto", "cpu", "cuda"])
POLL_SECONDS = 20
MODELS = Path(__file__).parent / "pretrained"


@click.group(cls=runtime.VerbGroup)
def evaluate() -> None:
    """Measure a generator, pictures, or ways to find faces again."""


@evaluate.command(epilog="Prints one JSON line for each evaluation.")
@option("--generator", type=runtime.UserPath(), help="generator.safetensors; --every: a run.")
@option("--images", type=runtime.UserPath(), help="Or a folder or zip of pictures.")
@option("--data", type=runtime.UserPath(), required=True, help="Zip or folder to compare with.")
@option(
    "--features",
    default="inception",
    help="inception, inception:PATH, attributes, pixels16, or the PATH of a network.",
)
@option("--allow-download", is_flag=True, help="Fetch Inception's weights where they are missing.")
@option("--num", type=click.IntRange(2), default=50_000, help="Pictures of a generator.")
@option("--trunc", type=float, default=1.0, help="Truncation psi of a generator.")
@option("--cond", is_flag=True, help="Of a generator with classes: draw them from the data.")
@option("--mirror", is_flag=True, help="The mirrored pictures of the data are real too.")
@option("--reference", type=runtime.UserPath(), help="Features of the data [beside it].")
@option("--every", type=click.FloatRange(0), help="Of a run: snapshots so many kimg apart.")
@option("--batch", type=click.IntRange(1), default=32, help="Pictures at a time.")
@option("--workers", type=click.IntRange(0), default=2, help="Threads that decode pictures.")
@option("--seed", type=click.IntRange(0), default=0)
@option("--device", type=DEVICES, default="auto")
@option("--json", "report", type=runtime.UserPath(), help="Add the line to this file too.")
def fid(generator: Path | None, images: Path | None, every: float | None, **options: Any) -> None:
    """FID, KID, precision, recall, density and coverage of pictures beside a data set."""
    if (generator is None) == (images is None):
        raise click.UsageError("give one of --generator and --images")
    if every is not None and (generator is None or not generator.is_dir()):
        raise click.UsageError("--every needs --generator RUN, the folder of a training")
    from custom_ops.allocator import keep_freed_memory
    from engine.ranks import joined
    from stylegan.device import pick_device

    keep_freed_memory()
    options["device"] = pick_device(options["device"])
    with joined(options["device"]) as ranks:
        if not ranks.is_first:
            logging.disable(logging.INFO)
        judge = open_judge(ranks, **options)
        if generator is None:
            say(judge, folder_row(judge, images or Path(), options["workers"]), options["report"])
        elif every is None:
            say(judge, generator_row(judge, generator, options), options["report"])
        else:
            follow_run(judge, generator, every, options)


def open_judge(
    ranks: Ranks, data: Path, features: str, allow_download: bool, device: str, **options: Any
) -> Judge:
    """Return what compares pictures with the data."""
    from data.dataset import ImageDataset
    from evaluation.features import open_extractor
    from evaluation.fid import Judge

    if allow_download:  # by one process
        ranks.once(lambda: open_extractor(features, allow_download=True) and None)
    taken = ("mirror", "workers", "batch", "seed", "reference")
    return Judge(
        open_extractor(features, device),
        ImageDataset(data),
        {"device": device, "versions": runtime.versions()},
        **{name: options[name] for name in taken},
        ranks=ranks,
        progress=functools.partial(progress, is_shown=ranks.is_first),
    )


@contextlib.contextmanager
def progress(total: int, what: str, is_shown: bool = True) -> Iterator[Callable[[int], object]]:
    """Show how many pictures are done."""
    from tqdm import tqdm

    off = None if is_shown else True
    with tqdm(total=total, desc=what, unit="picture", disable=off, leave=False) as bar:
        yield bar.update


def generator_row(judge: Judge, generator: Path, options: dict[str, Any]) -> dict[str, Any]:
    """Return the measures of a generator's pictures."""
    from data.dataset import ImageDataset
    from engine.files import file_sha256
    from stylegan import load_generator
    from stylegan.sampling import Sampler

    labels = ImageDataset(options["data"]).label_table() if options["cond"] else None
    G = load_generator(generator, options["device"])
    sampler = Sampler(G, options["seed"], options["trunc"], labels)
    facts = {"generator": str(generator), "generator_sha256": file_sha256(generator)}
    return judge.row(sampler, options["num"], **facts, trunc=options["trunc"])


def folder_row(judge: Judge, images: Path, workers: int) -> dict[str, Any]:
    """Return the measures of the pictures of a folder or zip."""
    from data.dataset import ImageDataset
    from evaluation.fid import Folder

    dataset = ImageDataset(images)
    pictures, facts = Folder(dataset, workers=workers), {"images": str(images)}
    return judge.row(pictures, len(dataset), **facts, images_sha256=dataset.digest())


def say(judge: Judge, row: dict[str, Any], *files: Path | None) -> None:
    """Print a row, and add it to files, by the first process."""
    from engine.rows import append_row

    if judge.ranks.is_first:
        click.echo(json.dumps(row))
        for file in filter(None, files):
            append_row(file, row)


def follow_run(judge: Judge, run: Path, every: float, options: dict[str, Any]) -> None:
    """Evaluate the snapshots of a training as they come, and draw the curves after each."""
    from engine.record import read_record
    from evaluation.follow import follow, snapshots

    def look() -> tuple[bool, list[Path]]:
        is_over = read_record(run).get("status") != "running"  # asked before looking
        return is_over, sorted(run.glob("generator-[0-9]*.safetensors"))

    file = run / f"evaluation-{judge.extractor.key}.jsonl"
    appearing = snapshots(lambda: judge.ranks.once(look), every, lambda: time.sleep(POLL_SECONDS))
    for row in follow(judge, file, appearing, lambda path: generator_row(judge, path, options)):
        say(judge, row, options["report"])


@evaluate.command()
@option("--generator", type=runtime.UserPath(), help="Your own [the default model].")
@option("--num", type=click.IntRange(1), default=1000, help="Pictures, each moved once.")
@option("--trunc", type=float, default=1.0, help="Truncation psi.")
@option("--batch", type=click.IntRange(1), default=8, help="Pictures at a time.")
@option("--seed", type=click.IntRange(0), default=0)
@option("--device", type=DEVICES, default="auto")
def equivariance(
    generator: Path | None, num: int, trunc: float, batch: int, seed: int, device: str
) -> None:
    """EQ-T, EQ-T_frac and EQ-R in dB: how exactly pictures follow when their input moves."""
    from engine.files import file_sha256
    from evaluation.equivariance import equivariance as measure
    from stylegan import load_generator
    from stylegan.device import pick_device
    from stylegan.sampling import Sampler

    path = generator or MODELS / "generator.safetensors"
    sampler = Sampler(load_generator(path, pick_device(device)), seed, trunc)
    with progress(num, "pictures") as on_batch:
        found = measure(sampler.posed, num, seed, batch, on_batch)
    facts = {"generator": str(path), "generator_sha256": file_sha256(path), "trunc": trunc}
    facts |= {"num": num, "seed": seed, "versions": runtime.versions()}
    click.echo(json.dumps({**found, **facts}))


def of_methods(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say which models are used and who judges."""
    options = (
        option("--generator", type=runtime.UserPath(), help="Your own [the default model]."),
        option("--encoder", type=runtime.UserPath(), help="Your own, for that generator."),
        option("--colorizers", type=runtime.UserPath(), help="Folder [pretrained/colorizers]."),
        option("--samples", type=click.IntRange(1), default=8, help="Candidates of a face."),
        option("--lpips", type=runtime.UserPath(), help="Weights of LPIPS, for columns of it."),
        option("--device", type=DEVICES, default="auto"),
    )
    return functools.reduce(lambda done, decorate: decorate(done), reversed(options), command)


@evaluate.command()
@option("--pairs", type=runtime.UserPath(), required=True, help="Folder with truth/ and input/.")
@option("--method", "names", multiple=True, default=("ours",), help="As compare names it.")
@option("--outdir", type=runtime.UserPath(), default=Path("out/inversion"))
@of_methods
def inversion(pairs: Path, names: tuple[str, ...], outdir: Path, **options: Any) -> None:
    """Find faces whose truth is known: a row per face, a summary, the best and the worst."""
    from data.dataset import ImageDataset
    from evaluation.cases import TRUTH, Pairs
    from evaluation.trials import examine
    from inversion.methods import measure_of

    side = ImageDataset(pairs / TRUTH).resolution
    cases = Pairs(pairs, measure_of(side), most=side * 7 // 8)
    bench = Bench(side, **options)
    methods = [bench.named(name) for name in names]
    final = runtime.next_free_folder(outdir)
    with runtime.staging_folder(final) as folder, progress(len(cases) * len(methods), "face") as on:
        examine(folder, methods, cases, bench.judges, show, lambda: on(1))
    click.echo(f"{len(cases)} faces in {runtime.printable(str(final))}: see grid-*.png")


@evaluate.command()
@option("--data", type=runtime.UserPath(), required=True, help="Zip or folder of held-out faces.")
@option("--size", type=click.IntRange(8), default=64, help="Side of the small grey pictures.")
@option("--count", type=click.IntRange(1), help="Faces, evenly spaced. [all]")
@option("--json", "report", type=runtime.UserPath(), default=Path("out/comparison.json"))
@of_methods
def compare(data: Path, size: int, count: int | None, report: Path, **options: Any) -> None:
    """Try every method on the same held-out faces: a table, rows of JSON, a figure."""
    from data.dataset import ImageDataset
    from evaluation.cases import HeldOut
    from evaluation.trials import compare as compare_all
    from inversion.methods import measure_of

    dataset = ImageDataset(data)
    cases = HeldOut(dataset, measure_of(dataset.resolution)((size, size)), count)
    bench = Bench(dataset.resolution, **options)
    facts = {"data": str(data), "data_sha256": dataset.digest(), "size": size, **bench.facts}
    report.parent.mkdir(parents=True, exist_ok=True)
    with progress(len(cases) * len(bench.methods), "face") as on:
        how = (facts, show, lambda: on(1))
        click.echo(compare_all(report, bench.methods, cases, bench.judges, *how))


class Bench:
    """The methods to try, those who judge, and what both rest on."""

    def __init__(
        self,
        side: int,
        generator: Path | None,
        encoder: Path | None,
        colorizers: Path | None,
        samples: int,
        lpips: Path | None,
        device: str,
    ) -> None:
        from attributes.reader import PRETRAINED, load_reader
        from baselines.collection import load_colorizers
        from custom_ops.allocator import keep_freed_memory
        from encoder import load_encoder
        from evaluation.methods import Method, answers, method_of
        from evaluation.perceptual import load_lpips
        from evaluation.scores import Judges
        from inversion.methods import solvers
        from stylegan import load_generator
        from stylegan.device import pick_device

        keep_freed_memory()
        device, generator = pick_device(device), generator or MODELS / "generator.safetensors"
        network = load_encoder(encoder or MODELS / "encoder.safetensors", generator).to(device)
        searches = solvers(load_generator(generator, device), network, side, samples)
        self.methods = [Method(name, answers(solver)) for name, solver in searches.items()]
        folder = colorizers or MODELS / "colorizers"
        self.methods += map(method_of, load_colorizers(folder, side, generator, samples))
        if len(self.methods) == len(searches):
            runtime.note(f"{folder}: no colourisers there, hence no rows of them")
        reader = load_reader() if PRETRAINED.exists() else None
        self.judges = Judges(reader, load_lpips(lpips) if lpips else None)
        self.facts = {"samples": samples, "device": device, "versions": runtime.versions()}

    def named(self, name: str) -> Method:
        """Return the method of a name."""
        known = {method.name: method for method in self.methods}
        if name not in known:
            raise click.UsageError(f"--method {name}: there is none. Known: {', '.join(known)}")
        return known[name]


def show(row: dict[str, Any]) -> None:
    """Print a method's row on stderr as it comes."""
    click.echo("  ".join(f"{k} {v}" for k, v in row.items() if k != "run"), err=True)


if __name__ == "__main__":
    evaluate()
