"""What every verb shares: the error boundary and exit codes, folders, log lines, versions.

For the scripts at the root (`@click.command(cls=runtime.Verb)`); no package imports it. It
imports only the standard library and click: a verb whose own imports are lazy answers at once.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.metadata
import itertools
import logging
import os
import platform
import re
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

PACKAGES = "custom_ops engine stylegan encoder inversion data attributes".split()
PACKAGES += "evaluation baselines colouring".split()

# Exit codes after sysexits.h. An error code is E-<family>-<kind>: a kind listed here decides, else
# the family. Anything unlisted is bad data, since a typed error is about what the user gave.
BY_KIND = dict(MISSING=66, DIR=66, UNAVAILABLE=69, IO=74, VERSION=76, MISMATCH=76, PERM=77)
BY_KIND |= dict(STOPPED=75, HUNG=75, LOST=75)
BY_FAMILY = dict(USAGE=2, IMG=65, DATA=65, MODEL=65, DEVICE=69, INTERNAL=70, MEMORY=71, OUT=73)
BY_FAMILY |= dict(INV=65, OPS=69, IO=74, CONFIG=78, TRAIN=79)
BAD_DATA, INTERRUPTED, BROKEN_PIPE = 65, 130, 141


class OutputError(OSError):
    """An output folder cannot be made; `str(e)` is the whole sentence."""

    code = "E-OUT-CREATE"


def exit_code(code: str) -> int:
    """Return the exit code of an error code such as "E-IMG-TRUNC"."""
    return BY_KIND.get(code.split("-")[-1], BY_FAMILY.get(code.split("-")[1], BAD_DATA))


def printable(text: str) -> str:
    """Escape what a terminal would act on: control, ANSI, bidi, line breaks, lone surrogates."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def note(message: str) -> None:
    """Print `note: message` on stderr: something was changed, or is worth knowing."""
    click.echo(f"note: {printable(message)}", err=True)


def warning(message: str) -> None:
    """Print `warning: message` on stderr: the result may not be what the user wants."""
    click.echo(f"warning: {printable(message)}", err=True)


def versions() -> dict[str, str]:
    """Return the versions that decide the numbers, without importing the packages."""
    found = {"irodori": "not installed", "python": platform.python_version()}
    for name in ("irodori", "torch", "torchvision", "numpy", "pillow", "safetensors"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


class _EchoHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        (warning if record.levelno >= logging.WARNING else note)(record.getMessage())


def setup_logging(log_file: Path | None = None) -> None:
    """Show the packages' log records as `note:` and `warning:` lines; add them to a file too."""
    handlers: list[logging.Handler] = [_EchoHandler()]
    handlers += [logging.FileHandler(log_file, encoding="utf-8")] if log_file else []
    logging.basicConfig(format="%(asctime)s %(message)s", handlers=handlers, force=True)
    for name in PACKAGES:
        logging.getLogger(name).setLevel(logging.INFO)


def _log_traceback(exc: BaseException) -> str:
    """Write what a bug report needs into a file of its own and return its path."""
    text = f"{sys.argv} {versions()}\n{''.join(traceback.format_exception(exc))}"
    with tempfile.NamedTemporaryFile(prefix="irodori-", suffix=".log", delete=False) as log:
        log.write(text.encode(errors="backslashreplace"))
    return log.name


def _is_out_of_memory(exc: BaseException) -> bool:  # by name: torch is not imported to ask
    names = {cls.__name__ for cls in type(exc).__mro__}
    return bool(names & {"MemoryError", "OutOfMemoryError"}) or "DefaultCPUAllocator" in str(exc)


def _is_disk_full(exc: BaseException) -> bool:  # safetensors and torch have errors of their own
    full = isinstance(exc, OSError) and exc.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return full or "No space left" in str(exc) or "PytorchStreamWriter failed" in str(exc)


def describe(exc: BaseException) -> tuple[str, str]:
    """Return (error code, message) for the exception that ended a verb."""
    code = getattr(exc, "code", None)
    if isinstance(code, str) and code.startswith("E-"):
        return code, str(exc)
    first_line = next(iter(str(exc).splitlines()), "")
    if _is_out_of_memory(exc):
        return "E-MEMORY", f"out of memory: {first_line}. Use fewer samples or a smaller batch."
    if _is_disk_full(exc):
        return "E-IO-FULL", f"the disk is full: {first_line}. Free some space and run again."
    if isinstance(exc, OSError) and exc.errno is not None:
        subject = os.fsdecode(exc.filename) if isinstance(exc.filename, str | bytes) else "a file"
        kinds = {FileNotFoundError: "E-IO-MISSING", PermissionError: "E-IO-PERM"}
        return kinds.get(type(exc), "E-IO"), f"{subject}: {exc.strerror}. Check the path."
    what = f"{type(exc).__name__}: {first_line}"
    return "E-INTERNAL", f"{what}. This is a bug: please report it with {_log_traceback(exc)}"


def report(exc: BaseException, debug: bool = False) -> int:
    """Print the one line that `exc` deserves on stderr and return the exit code."""
    if isinstance(exc, BrokenPipeError):
        return BROKEN_PIPE
    if isinstance(exc, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    if debug:
        click.echo("".join(traceback.format_exception(exc)), err=True, nl=False)
    code, message = describe(exc)
    click.echo(f"error[{code}]: {printable(message)}", err=True)
    return exit_code(code)


def _report_usage(exc: click.ClickException) -> int:
    if isinstance(exc, click.exceptions.NoArgsIsHelpError):
        exc.show()
    else:
        command = exc.ctx.command_path if isinstance(exc, click.UsageError) and exc.ctx else "usage"
        message = f"{command}: {exc.format_message().rstrip('.')}. See --help."
        click.echo(f"error[E-USAGE]: {printable(message)}", err=True)
    return BY_FAMILY["USAGE"]


def _flush_stdout() -> int:
    """Return 0, or BROKEN_PIPE when the reader is gone (`invert.py ... | head -1`)."""
    try:
        sys.stdout.flush()
        return 0
    except BrokenPipeError:  # the interpreter flushes once more at exit and would complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE


def _print_versions(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        click.echo("\n".join(f"{name} {version}" for name, version in versions().items()))
        ctx.exit()


def _keep_debug(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    ctx.meta["debug"] = value or ctx.meta.get("debug", False)


class Verb(click.Command):
    """A command with `--debug`, `--version` and the error boundary: one line and an exit code."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        flag: dict[str, Any] = dict(is_flag=True, expose_value=False, is_eager=True)
        debug, version = "Print the full traceback of an error.", "Print the versions and exit."
        self.params += [
            click.Option(["--debug"], callback=_keep_debug, help=debug, **flag),
            click.Option(["--version"], callback=_print_versions, help=version, **flag),
        ]

    def invoke(self, ctx: click.Context) -> None:
        setup_logging()
        try:
            super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit):
            raise
        except (Exception, KeyboardInterrupt) as exc:
            raise click.exceptions.Exit(report(exc, ctx.meta["debug"])) from exc

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run as a program and leave with a code of the table; SIGTERM ends it as Ctrl-C does."""
        with contextlib.suppress(ValueError):  # raised outside the main thread
            signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            code = super().main(*args, **{**kwargs, "standalone_mode": False})
        except click.ClickException as exc:
            code = _report_usage(exc)
        except click.Abort:
            code = report(KeyboardInterrupt())
        sys.exit(_flush_stdout() or code)


class VerbGroup(Verb, click.Group):
    """A verb with sub-commands (`make_dataset.py faces`), which are `Verb`s themselves."""

    command_class = Verb


class UserPath(click.Path):
    """The type of path options: a `Path` with `~` expanded, as bash leaves it in `--outdir=~/x`."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not os.fspath(value):
            self.fail("the path is empty", param, ctx)
        return super().convert(os.path.expanduser(value), param, ctx)


def default_outdir(image: Path) -> Path:
    """Return `out/<stem of image>`, the stem made safe and short."""
    return Path("out") / (re.sub(r"[^\w.+ -]", "_", image.stem)[:64].lstrip(".") or "image")


def next_free_folder(path: Path) -> Path:
    """Return `path`, or the first of `path-2`, `path-3`, ... that does not exist."""
    path = path if path.name not in ("", "..") else path.resolve()
    if not path.name:
        raise OutputError(f"{path}: is the root folder. Choose another with --outdir.")
    names = itertools.chain([path.name], (f"{path.name}-{k}" for k in itertools.count(2)))
    return next(path.with_name(n) for n in names if not os.path.lexists(path.with_name(n)))


def _make_folder(folder: Path) -> list[Path]:
    """Make `folder`, which must be new, and its parents; return what was made, deepest first."""
    missing = [p for p in folder.parents if not os.path.lexists(p)]
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir()
        return [folder, *missing]
    except OSError as exc:
        _remove_empty(missing)
        what = f"cannot create a folder there ({exc.strerror})"
        raise OutputError(f"{folder.parent}: {what}. Choose another with --outdir.") from exc


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _sync(folder: Path) -> None:
    for path in [*folder.rglob("*"), folder, folder.parent]:
        fd = os.open(path, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)


@contextlib.contextmanager
def staging_folder(final: Path) -> Iterator[Path]:
    """Yield a hidden folder beside `final` that becomes `final` when the block ends well.

    After an error, Ctrl-C or SIGTERM nothing of it is left. Enter it before the heavy work: it
    raises OutputError where it cannot write. A name taken meanwhile is left alone, with a note.
    """
    staging = final.with_name(f".{final.name[:64]}.tmp-{os.getpid()}")
    made = _make_folder(staging)
    try:
        yield staging
        _sync(staging)
        free = next_free_folder(final)
        staging.rename(free)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        _remove_empty(made)
        raise
    if free != final:
        note(f"{final} was taken meanwhile: the result is in {free}")


def folder_name(description: str) -> str:
    """Return a description made safe and short."""
    return re.sub(r"[^\w.-]+", "-", description)[:100]


def run_folder(outdir: Path, description: str) -> Path:
    """Make and return the next numbered folder of a training: `outdir/00000-description`."""
    name = folder_name(description)
    while True:
        taken = [int(p.name[:5]) for p in outdir.glob("[0-9][0-9][0-9][0-9][0-9]-*")]
        folder = outdir / f"{max(taken, default=-1) + 1:05d}-{name}"
        try:
            _make_folder(folder)
            return folder
        except OutputError:
            if not folder.exists():  # else another run took the number
                raise
