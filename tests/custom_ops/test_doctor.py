"""`python -m custom_ops doctor`: about ten lines, true ones, and an exit code."""

import pytest
import torch

from custom_ops import build, doctor
from custom_ops.__main__ import main


def _report(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    lines = capsys.readouterr().out.splitlines()
    assert 8 <= len(lines) <= 11
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


def test_wrong_numbers_are_called_wrong(capsys, monkeypatch):
    monkeypatch.setattr(doctor, "_try_ref", lambda: 0.1)
    assert main(["doctor"]) == 1
    assert _report(capsys)["ref"].startswith("WRONG")


def test_anything_else_is_a_usage_error(capsys):
    assert main([]) == main(["--help"]) == 2
    assert "usage" in capsys.readouterr().err
