"""Compile the C++ kernels on first use, keep them in the user's cache folder, load them."""

import ctypes
import hashlib
import logging
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch

from custom_ops.errors import OpsError

logger = logging.getLogger(__name__)

SOURCES = Path(__file__).parent / "csrc" / "cpu"
# Not -ffast-math: it lets the compiler assume that NaN and infinity do not exist, and a NaN must
# come out as a NaN for a training loop to notice it.
FLAGS = (
    "-O3 -march=native -std=c++17 -fPIC -fopenmp -ffp-contract=fast -fno-math-errno "
    "-fno-trapping-math -Wall -Wno-psabi"
).split()
COMPILE_SECONDS = 120
LOCK_SECONDS = 150
STALE_SECONDS = 3600  # far more than any build takes

_lock = threading.Lock()
_result: ctypes.CDLL | OpsError | None = None
_warned = False


def load_library() -> ctypes.CDLL:
    """Return the compiled kernels, building them if the cache has none.

    The first outcome, good or bad, holds for the life of the process.

    Raises:
        OpsError: `E-OPS-BUILD`, with the reason.
    """
    global _result
    with _lock:
        if _result is None:
            try:
                _result = _load_or_build()
            except (OpsError, OSError, subprocess.SubprocessError) as error:
                _result = _as_error(error)
    if isinstance(_result, OpsError):
        raise _result
    return _result


@torch.compiler.assume_constant_result
def is_available(strict: bool) -> bool:
    """Whether the compiled kernels are there, building them if need be.

    Without them: OpsError if `strict`, else False after one warning per process with the reason.
    """
    global _warned
    try:
        load_library()
    except OpsError as error:
        if strict:
            raise
        if not _warned:
            _warned = True
            logger.warning("%s", error)
        return False
    return True


def describe() -> dict[str, str]:
    """What a build would use: compiler, ninja and cache folder, each with its state."""
    try:
        compiler = _find_compiler()
        command = [compiler, "--version"]
        done = _finished(command, timeout=30, check=True)
        compiler += ", " + (done.stdout.splitlines() or ["no version"])[0]
    except (OSError, subprocess.SubprocessError) as error:
        compiler = str(error)
    try:
        cache = f"{cache_folder()}, writable"
    except OSError as error:
        cache = f"not used: {error}"
    ninja = _find_ninja() or "not found; the compiler runs directly"
    return {"compiler": compiler, "ninja": ninja, "cache": cache}


def _as_error(error: Exception) -> OpsError:
    reason = " ".join(str(error).split())[:300]
    advice = "Everything works, slower; install g++ and start again for the fast path."
    return OpsError("E-OPS-BUILD", f"custom_ops: no compiled kernels ({reason}). {advice}")


def _load_or_build() -> ctypes.CDLL:
    if not sys.platform.startswith("linux"):
        raise OSError(f"not built on {sys.platform}")
    compiler = _find_compiler()
    name = f"kernels-{_digest(compiler)}.so"
    try:
        folder = cache_folder()
    except OSError as error:
        logger.info("compiled kernels are not cached: %s", error)
        with tempfile.TemporaryDirectory(prefix="irodori-") as temporary:
            return _obtain(Path(temporary) / name, compiler)
    return _obtain(folder / name, compiler)


def _obtain(path: Path, compiler: str) -> ctypes.CDLL:
    if not _is_intact(path):
        with _file_lock(path.with_suffix(".lock")):
            if not _is_intact(path):
                _build(path, compiler)
    return ctypes.CDLL(str(path))


def _find_compiler() -> str:
    for name in (os.environ.get("CXX", ""), "g++", "c++", "clang++"):
        found = shutil.which(name) if name else None
        if found:
            return found
    raise OSError("no C++ compiler found")


def cache_folder() -> Path:
    """The private cache folder; OSError if it cannot be made or somebody else could write to it."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = Path(base) / "irodori" / "ops"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.stat()
    if status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise OSError(f"{folder} is writable by others")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OSError(f"{folder} is not writable")
    return folder


def _digest(compiler: str) -> str:
    """Name everything the machine code depends on."""
    version = _finished([compiler, "--version"], timeout=30, check=True).stdout
    parts = [*FLAGS, *_link_flags(), compiler, version, platform.machine(), cpu_flags()]
    parts += [f"{path.name}\n{path.read_text()}" for path in sorted(SOURCES.iterdir())]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


def cpu_flags() -> str:
    """The features that the processor reports, or an empty string. Raises: OSError."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(("flags", "Features")):
            return line
    return ""


def _link_flags() -> list[str]:
    """Link the OpenMP runtime that torch has loaded: two runtimes are two pools of threads, which
    fight for the cores."""
    folder = Path(torch.__file__).parent / "lib"
    runtimes = sorted(folder.glob("libgomp*.so*"))
    return [str(runtimes[0])] if runtimes else ["-fopenmp"]


@contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    """Hold `path` against other processes; the system frees it when its holder dies."""
    import fcntl  # here, so that the package can be imported where this module does not exist

    with path.open("w") as file:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise OSError(
                        f"another process has been building for {LOCK_SECONDS} s"
                    ) from None
                time.sleep(0.05)
        yield


def _sum_path(path: Path) -> Path:
    return path.with_suffix(".sha256")


def _is_intact(path: Path) -> bool:
    """Loading a truncated library can kill the process, so compare its digest first."""
    try:
        return _sum_path(path).read_text() == hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return False


def remove_stale_builds(folder: Path) -> None:
    """Remove what builds that were killed left in the cache folder."""
    for path in folder.glob("build-*"):
        with suppress(OSError):  # it is gone, or not ours
            if time.time() - path.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _build(path: Path, compiler: str) -> None:
    remove_stale_builds(path.parent)
    with tempfile.TemporaryDirectory(prefix="build-", dir=path.parent) as name:
        built = Path(name) / "kernels.so"
        _run_ninja(Path(name), compiler)
        digest = Path(name) / "kernels.sha256"
        digest.write_text(hashlib.sha256(built.read_bytes()).hexdigest())
        built.replace(path)
        digest.replace(_sum_path(path))


def _run_ninja(folder: Path, compiler: str) -> None:
    objects = {f"{path.stem}.o": path for path in sorted(SOURCES.glob("*.cpp"))}
    compile_one = [compiler, *FLAGS, "-c"]
    link = [compiler, "-shared", *objects, *_link_flags(), "-o", "kernels.so"]
    ninja = _find_ninja()
    if ninja is None:
        for name, source in objects.items():
            _run([*compile_one, str(source), "-o", name], folder)
        return _run(link, folder)
    rules = f"rule compile\n command = {_quote(compile_one)} $source -o $out\n"
    rules += f"rule link\n command = {_quote(link)}\nbuild kernels.so: link {' '.join(objects)}\n"
    for name, source in objects.items():
        rules += f"build {name}: compile\n source = {_quote([str(source)])}\n"
    (folder / "build.ninja").write_text(rules)
    _run([ninja, "kernels.so"], folder)


def _quote(command: list[str]) -> str:
    return shlex.join(command).replace("$", "$$")


def _find_ninja() -> str | None:
    beside_python = Path(sys.executable).parent / "ninja"
    return shutil.which("ninja") or (str(beside_python) if beside_python.is_file() else None)


def _run(command: list[str], folder: Path) -> None:
    done = _finished(command, timeout=COMPILE_SECONDS, cwd=folder)
    if done.returncode != 0:
        raise OSError(f"{Path(command[0]).name} failed: {(done.stdout + done.stderr)[-250:]}")


def _finished(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command in a session of its own: a launcher that stops a training signals its group."""
    return subprocess.run(
        command, capture_output=True, text=True, start_new_session=True, **options
    )
