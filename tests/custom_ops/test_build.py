"""Building, caching and falling back, mostly with a source of one line that compiles at once."""

import ctypes
import itertools
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from custom_ops import OpsError, bias_act, build, filtered_lrelu, modulate
from custom_ops.activations import ACTIVATIONS

ROOT = Path(__file__).parents[2]
TINY = 'extern "C" int irodori_filtered_lrelu(const void*) { return 7; }\n'


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A process that has built nothing yet, with an empty cache folder, which is returned."""
    monkeypatch.setattr(build, "_result", None)
    monkeypatch.setattr(build, "_warned", False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.delenv("IRODORI_OPS", raising=False)
    return tmp_path / "cache" / "irodori" / "ops"


@pytest.fixture
def cache(fresh: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The same, with a tiny source in place of the kernels."""
    (tmp_path / "csrc").mkdir()
    (tmp_path / "csrc" / "filtered_lrelu.cpp").write_text(TINY)
    monkeypatch.setattr(build, "SOURCES", tmp_path / "csrc")
    return fresh


def _works(library: ctypes.CDLL) -> bool:
    return library.irodori_filtered_lrelu(None) == 7


def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "_result", None)


def _compiler(folder: Path, body: str) -> str:
    path = folder / "c++-test"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def _run_op(impl: str = "auto") -> torch.Tensor:
    x = torch.randn(1, 20, 9, 9, generator=torch.Generator().manual_seed(0))
    f = torch.arange(1, 13) / 78
    return filtered_lrelu(x, f, f, up=2, down=2, padding=9, clamp=1, impl=impl)


def test_a_library_is_built_once_and_found_again(cache, monkeypatch):
    assert _works(build.load_library())
    assert {p.suffix for p in cache.iterdir()} == {".so", ".sha256", ".lock"}
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    _forget(monkeypatch)
    monkeypatch.setattr(build, "_build", lambda *args: pytest.fail("built a second time"))
    assert _works(build.load_library())


def test_everything_the_machine_code_depends_on_is_in_its_name(cache, monkeypatch):
    compiler = build._find_compiler()
    names = [build._digest(compiler)]
    monkeypatch.setattr(build, "cpu_flags", lambda: "flags: other")
    names.append(build._digest(compiler))
    monkeypatch.setattr(build, "FLAGS", (*build.FLAGS, "-O1"))
    names.append(build._digest(compiler))
    monkeypatch.setattr(build, "_link_flags", lambda: ["-fopenmp"])
    names.append(build._digest(compiler))
    (build.SOURCES / "more.h").write_text("")
    names.append(build._digest(compiler))
    assert len(set(names)) == 5


def test_the_openmp_runtime_of_torch_is_the_only_one():
    _run_op("cpu")
    lines = Path("/proc/self/maps").read_text().splitlines()
    runtimes = {line.split()[-1] for line in lines if "libgomp" in line}
    bundled = {str(p) for p in (Path(torch.__file__).parent / "lib").glob("libgomp*")}
    assert not bundled or runtimes == bundled


@pytest.mark.parametrize("flavour", ["none", "fails", "rubbish"])
def test_a_bad_compiler_costs_speed_and_one_warning(fresh, monkeypatch, caplog, tmp_path, flavour):
    if flavour == "none":
        monkeypatch.setenv("PATH", "")
    elif flavour == "fails":
        body = 'case "$*" in *--version*) echo 1;; *) echo "out of luck" >&2; exit 3;; esac'
        monkeypatch.setenv("CXX", _compiler(tmp_path, body))
    else:
        body = 'while [ $# -gt 0 ]; do [ "$1" = -o ] && echo no > "$2"; shift; done'
        monkeypatch.setenv("CXX", _compiler(tmp_path, body))
    for _ in range(2):
        assert torch.equal(_run_op(), _run_op("ref"))
    (record,) = caplog.records
    expected = {"none": "no C++ compiler found", "fails": "out of luck", "rubbish": "no compiled"}
    assert expected[flavour] in record.message and "\n" not in record.message


def test_asking_for_the_compiled_path_without_a_compiler_is_an_error(fresh, monkeypatch, caplog):
    monkeypatch.setenv("PATH", "")
    for impl, wish in (("cpu", ""), ("auto", "cpu")):
        monkeypatch.setenv("IRODORI_OPS", wish)
        with pytest.raises(OpsError) as caught:
            _run_op(impl)
        assert caught.value.code == "E-OPS-BUILD"
    assert not caplog.records


def test_the_environment_chooses_for_auto(monkeypatch):
    monkeypatch.setenv("IRODORI_OPS", "ref")
    assert torch.equal(_run_op(), _run_op("ref")) and not torch.equal(_run_op(), _run_op("cpu"))
    monkeypatch.setenv("IRODORI_OPS", "cpu")
    assert torch.equal(_run_op(), _run_op("cpu"))
    monkeypatch.setenv("IRODORI_OPS", "gpu")
    with pytest.raises(OpsError, match="IRODORI_OPS") as caught:
        _run_op()
    assert caught.value.code == "E-OPS-IMPL"


@pytest.mark.parametrize("damage", ["truncated", "swapped", "no digest"])
def test_a_damaged_library_is_built_again(cache, monkeypatch, damage):
    build.load_library()
    (path,) = cache.glob("*.so")
    content = path.read_bytes()
    damaged = {"truncated": content[:9000], "swapped": content[::-1]}.get(damage, content)
    path.unlink()  # the loaded library keeps its own copy of the file
    path.write_bytes(damaged)
    if damage == "no digest":
        path.with_suffix(".sha256").unlink()
    _forget(monkeypatch)
    assert _works(build.load_library())
    # glibc gives a library of this name from memory, so look at the file
    assert len(path.read_bytes()) == len(content) and path.read_bytes()[:4] == b"\x7fELF"
    assert path.with_suffix(".sha256").exists()


def test_a_folder_that_others_can_write_to_is_not_used(cache):
    cache.mkdir(parents=True)
    cache.chmod(0o777)
    assert _works(build.load_library())
    assert list(cache.iterdir()) == []


def test_a_cache_that_cannot_be_made_only_costs_the_build(cache, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert _works(build.load_library())


def test_without_ninja_the_compiler_runs_directly(cache, monkeypatch):
    monkeypatch.setattr(build, "_find_ninja", lambda: None)
    assert _works(build.load_library())


def test_builds_at_the_same_time_make_one_library(cache, monkeypatch, tmp_path):
    log = tmp_path / "log"
    body = f'case "$*" in *--version*) ;; *-c*) echo built >> {log};; esac; exec c++ "$@"'
    monkeypatch.setenv("CXX", _compiler(tmp_path, body))
    with ThreadPoolExecutor(4) as pool:  # the lock is per open file, so threads test it as well
        libraries = list(pool.map(lambda _: build._load_or_build(), range(4)))
    assert all(map(_works, libraries)) and log.read_text().split() == ["built"]


def test_a_lock_that_is_never_freed_is_not_waited_for(cache, monkeypatch):
    monkeypatch.setattr(build, "LOCK_SECONDS", 0.2)
    name = f"kernels-{build._digest(build._find_compiler())}.lock"
    with build._file_lock(build.cache_folder() / name), pytest.raises(OpsError, match="another"):
        build.load_library()


@pytest.mark.slow
def test_a_process_without_a_compiler_warns_on_one_line(tmp_path):
    code = (
        "import torch\nfrom custom_ops import filtered_lrelu\nx = torch.ones(1, 2, 5, 5)\n"
        "f = torch.ones(1)\nprint(filtered_lrelu(x, f).mean().item(), filtered_lrelu(x, f).shape)"
    )
    environment = {**os.environ, "PATH": "", "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.stdout.startswith("1.414") and done.stderr.count("no compiled kernels") == 1


def _agree(op, x, tolerance, *args, **kwargs):
    """Value and gradient of the compiled path against `ref` in float64."""
    results = []
    for v, impl in ((x.double(), "ref"), (x, "cpu")):
        v = v.requires_grad_()
        y = op(v, *args, impl=impl, **kwargs)
        probe = torch.linspace(-1, 1, y.numel()).view(y.shape).to(x.dtype)
        results.append((y.detach(), torch.autograd.grad(y, v, probe.to(y.dtype))[0]))
    for expected, actual in zip(*results, strict=True):
        assert (actual - expected).abs().max() <= tolerance * expected.abs().max()


@pytest.mark.slow
@pytest.mark.parametrize("march", ["x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4"])
@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-6), (torch.bfloat16, 1e-2)])
def test_every_instruction_set_gives_the_same_answer(fresh, monkeypatch, march, dtype, tolerance):
    if march.endswith("v4") and "avx512bw" not in Path("/proc/cpuinfo").read_text():
        pytest.skip("this processor has no AVX-512")
    monkeypatch.setattr(build, "FLAGS", [f.replace("native", march) for f in build.FLAGS])
    f = torch.arange(1, 13) / 78
    g = torch.outer(f, f) + torch.eye(12) / 99  # a matrix, not an outer product
    for up, down, channels, clamp, fu, fd in (
        (2, 2, 20, 0.3, f, f),
        (4, 2, 16, None, f, f),
        (1, 4, 3, 0.1, f, f),
        (2, 2, 20, 0.3, f, g),
        (1, 1, 17, None, g, g),
        (4, 3, 3, 0.1, g, g),
    ):
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(2, channels, 9, 11, generator=generator).to(dtype)
        _agree(filtered_lrelu, x, tolerance, fu, fd, None, up, down, 14, clamp=clamp)
    for channels, act in itertools.product((3, 20), ACTIVATIONS):
        x = torch.randn(2, channels, 9, 11, generator=generator).to(dtype)
        for layout in (torch.contiguous_format, torch.channels_last):
            signal = x.contiguous(memory_format=layout)
            _agree(bias_act, signal, tolerance, act=act, clamp=0.7)
            _agree(modulate, signal, tolerance, f[:2, None].expand(2, channels), 1)
    x = torch.randn(2, 3, 9, 11, generator=generator).to(dtype)
    sums = filtered_lrelu(x, None, None, f[:3] * 9, gain=1, slope=1, impl="cpu")
    assert torch.equal(sums, (x.float() + 9 * f[:3, None, None]).to(dtype))
    nan = torch.full((1, 16, 9, 9), torch.nan, dtype=dtype)
    assert filtered_lrelu(nan, f, f, up=2, padding=9, clamp=1, impl="cpu").isnan().any()
