"""`python -m custom_ops doctor`: about ten lines, true ones, and an exit code."""

import sys
from typing import Any

import pytest
import torch
from cuda_shim import built_shim, shim  # noqa: F401
from torch import Tensor

from custom_ops import build, doctor, filtered_lrelu
from custom_ops.__main__ import main


def _report(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10
    return dict(line.split(maxsplit=1) for line in lines)


def test_a_machine_with_a_compiler_has_both_paths(capsys):
    assert main(["doctor"]) == 0
    report = _report(capsys)
    assert torch.__version__ in report["torch"]
    assert report["compiler"].startswith(build._find_compiler())
    assert report["ref"].startswith("works") and report["cpu"].startswith("works")


def test_without_a_compiler_the_reason_is_named_and_all_is_well(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(build, "_result", None)
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert main(["doctor"]) == 0
    report = _report(capsys)
    assert report["compiler"] == "no C++ compiler found" and report["cache"].startswith("not used")
    assert "no C++ compiler" in report["cpu"] and report["ref"].startswith("works")


@pytest.mark.parametrize("path", ["ref", "cpu", "cuda"])
def test_wrong_numbers_are_called_wrong(capsys, monkeypatch, path):
    monkeypatch.setattr(doctor, f"_try_{path}", lambda: float("nan"))
    assert main(["doctor"]) == 1
    assert _report(capsys)[path].startswith("WRONG")


def test_a_compiled_path_is_compared_with_ref(capsys, monkeypatch):
    def double(*args: Any, impl: str, **kwargs: Any) -> Tensor:
        return filtered_lrelu(*args, impl=impl, **kwargs) * (1 + (impl == "cpu"))

    monkeypatch.setattr(doctor, "filtered_lrelu", double)
    assert main(["doctor"]) == 1
    assert _report(capsys)["cpu"].startswith("WRONG, largest error")


def test_the_kernels_are_tried_where_there_is_a_device(shim, capsys, monkeypatch):  # noqa: F811
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(doctor, "_describe_cuda", lambda: "the shim")
    assert main(["doctor"]) == 0
    assert _report(capsys)["cuda"].startswith("works, largest error")
    assert len(shim.used) == 2


@pytest.mark.parametrize("compiles", [True, False])
def test_without_a_device_it_says_whether_nvrtc_compiles(capsys, monkeypatch, compiles):
    if compiles:
        pytest.importorskip("cuda.bindings", reason="cuda.bindings is declared for Linux only")
    else:
        monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["doctor"]) == 0
    expected = "NVRTC compiles the kernels" if compiles else "`pip install cuda-bindings"
    report = _report(capsys)["cuda"]
    assert report.startswith("does not work: torch sees no CUDA device") and expected in report


def test_anything_else_is_a_usage_error(capsys):
    assert main([]) == main(["--help"]) == 2
    assert "usage" in capsys.readouterr().err
