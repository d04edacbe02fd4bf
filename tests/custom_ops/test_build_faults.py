"""Caches shared by processes, users and versions of torch (reliability.md 3G, rows G2 to G6)."""

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from custom_ops import build, cuda_build

TINY = 'extern "C" int irodori_filtered_lrelu(const void*) { return 7; }\n'
BUILD = """
import sys
from pathlib import Path
from custom_ops import build, cuda_build
build.SOURCES = Path(sys.argv[1])
build.load_library()
"""


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache folder, and a source of one line in place of the kernels."""
    monkeypatch.setattr(build, "_result", None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CXX", raising=False)
    (tmp_path / "csrc").mkdir()
    (tmp_path / "csrc" / "filtered_lrelu.cpp").write_text(TINY)
    monkeypatch.setattr(build, "SOURCES", tmp_path / "csrc")
    return tmp_path / "cache" / "irodori" / "ops"


def _compiler(folder: Path, body: str) -> str:
    path = folder / "c++-test"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def _works(library: ctypes.CDLL) -> bool:
    return library.irodori_filtered_lrelu(None) == 7


def _build_in_child() -> None:
    os._exit(0 if _works(build._load_or_build()) else 1)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs fork")
def test_four_processes_build_once_and_load_four_times(cache, monkeypatch, tmp_path):
    log = tmp_path / "log"
    body = f'case "$*" in *--version*) ;; *-c*) echo built >> {log};; esac; exec c++ "$@"'
    monkeypatch.setenv("CXX", _compiler(tmp_path, body))
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_build_in_child) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(100)
    assert [p.exitcode for p in processes] == [0] * 4 and log.read_text().split() == ["built"]


def _build_through_a_stop() -> None:
    os.setsid()
    signal.signal(signal.SIGTERM, lambda *_: None)  # as a training, which stops when it can
    _build_in_child()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs fork")
def test_a_stop_of_the_whole_group_spares_the_compiler(cache, monkeypatch, tmp_path):
    asked = tmp_path / "asked"
    body = f'case "$*" in *--version*) touch {asked}; sleep 0.5;; esac; exec c++ "$@"'
    monkeypatch.setenv("CXX", _compiler(tmp_path, body))
    child = multiprocessing.get_context("fork").Process(target=_build_through_a_stop)
    child.start()
    deadline = time.monotonic() + 20
    while not asked.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(child.pid, signal.SIGTERM)
    child.join(60)
    assert child.exitcode == 0


@pytest.mark.slow  # starts torch in a second process
def test_a_killed_build_is_done_again_by_the_next_process(cache, monkeypatch, tmp_path):
    started = tmp_path / "started"
    body = f'case "$*" in *--version*) ;; *-c*) touch {started}; sleep 60;; esac; exec c++ "$@"'
    monkeypatch.setenv("CXX", _compiler(tmp_path, body))
    command = [sys.executable, "-c", BUILD, str(build.SOURCES)]
    root = Path(__file__).parents[2]
    child = subprocess.Popen(command, cwd=root, start_new_session=True)
    deadline = time.monotonic() + 90
    while not started.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    assert started.exists() and list(cache.glob("*.lock")) and not list(cache.glob("*.so"))
    # the same compiler, which this time does not stop: its name is part of the digest
    _compiler(tmp_path, 'exec c++ "$@"')
    assert _works(build.load_library()) and list(cache.glob("*.so"))


def _leave_behind(folder: Path, hours: float) -> list[Path]:
    """A folder and a file of a build that was killed `hours` ago."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    left = [folder / f"build-folder-{hours}", folder / f"build-file-{hours}"]
    left[0].mkdir()
    (left[0] / "kernels.o").write_text("half of it")
    left[1].write_text("half of it")
    for path in left:
        os.utime(path, (time.time() - 3600 * hours,) * 2)
    return left


def test_a_build_removes_what_killed_ones_left(cache):
    old, recent = _leave_behind(cache, 1.1), _leave_behind(cache, 0.9)
    other = cache / "kernels-0.so"
    other.write_text("")
    os.utime(other, (0, 0))
    assert _works(build.load_library())
    assert [p.exists() for p in (*old, *recent, other)] == [False, False, True, True, True]


def test_a_cuda_build_removes_what_killed_ones_left(cache):
    pytest.importorskip("cuda.bindings", reason="cuda.bindings is declared for Linux only")
    old, recent = _leave_behind(cache, 1.1), _leave_behind(cache, 0.9)
    cuda_build.load_image(*cuda_build.PROBE, (9, 0))
    assert [p.exists() for p in (*old, *recent)] == [False, False, True, True]


def test_the_folder_of_another_user_is_not_used(cache, monkeypatch):
    cache.mkdir(mode=0o700, parents=True)
    owner = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: owner)
    assert _works(build.load_library())
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("where", ["/dev/null/x", "/proc/irodori"])
def test_a_folder_that_cannot_exist_costs_the_cache_only(cache, monkeypatch, where):
    monkeypatch.setenv("XDG_CACHE_HOME", where)
    assert _works(build.load_library())


def test_two_versions_of_torch_share_a_cache_without_meeting(cache, monkeypatch):
    ours = build._link_flags()
    for flags in (["-fopenmp"], [*ours, "-lm"], ["-fopenmp"]):
        monkeypatch.setattr(build, "_link_flags", lambda flags=flags: flags)
        monkeypatch.setattr(build, "_result", None)
        assert _works(build.load_library())
    libraries = sorted(cache.glob("*.so"))
    assert len(libraries) == 2 and all(build._is_intact(path) for path in libraries)
