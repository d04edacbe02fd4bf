"""invert.py: one line and the right code for whatever is wrong, and nothing left behind."""

import errno
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.data.bad_images import bad_corpus
from tests.data.odd_images import Odd, odd_files, odd_names
from tests.inversion.tiny import LUMA, SIDE, as_file, measured
from tests.invert_case import Case, assert_refused, quick_config, run

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    quick_config(monkeypatch, num_steps=1, chunk=1)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    case = Case(tmp_path_factory.mktemp("invert"))
    yield case
    case.remove()


@pytest.fixture
def outs(tmp_path: Path) -> Path:
    folder = tmp_path / "outs"
    folder.mkdir()
    return folder


# ---- the command line ----

BAD_OPTIONS = [["--samples", value] for value in ("0", "-1", "abc", "1e9")]


@pytest.mark.parametrize("options", BAD_OPTIONS, ids=lambda options: options[1])
def test_usage_errors_are_fast_and_import_no_torch(options: list[str], tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise RuntimeError('torch was imported')\n")
    command = [sys.executable, ROOT / "invert.py", "--image", "x.png", *options]
    started = time.monotonic()
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert time.monotonic() - started < 2  # 1 on a machine that does nothing else
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"error\[E-USAGE\]: [^\n]*'--samples'[^\n]*\n", done.stderr)
    assert [p.name for p in tmp_path.iterdir()] == ["torch.py"]


MORE_BAD_OPTIONS = [[], ["--image="], ["--image", "x", "--size", "7"]]
MORE_BAD_OPTIONS += [["--image", "x", "--seed", "-1"], ["--image", "x", "--device", "tpu"]]


@pytest.mark.parametrize("options", MORE_BAD_OPTIONS, ids=" ".join)
def test_other_usage_errors(options: list[str], outs: Path) -> None:
    assert_refused(run(*options, outdir=outs / "face"), 2, outs, "E-USAGE")


def test_a_gpu_that_is_not_there(case: Case, outs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    done = case.run("--device", "cuda", outdir=outs / "face")
    assert_refused(done, 69, outs, "E-DEVICE")
    assert case.run("--device", "cpu", "--samples", 1, outdir=outs / "face").code == 0


def test_a_size_above_the_picture(case: Case, outs: Path) -> None:
    assert_refused(case.run("--size", 17, outdir=outs / "face"), 65, outs, "E-INV-SHAPE")


# ---- the folder ----


@pytest.mark.parametrize("outdir", ["file/face", "file/a/b", "new/" + "x" * 256 + "/face"])
def test_an_outdir_that_cannot_be_made_is_found_before_any_work(
    case: Case, tmp_path: Path, outdir: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("mine")
    monkeypatch.setattr(
        "colouring.problem.prepare", lambda *a, **k: pytest.fail("the heavy work began")
    )
    done = case.run(outdir=tmp_path / outdir)
    (tmp_path / "empty").mkdir()
    assert_refused(done, 73, tmp_path / "empty", "E-OUT-CREATE")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty", "file"]


@pytest.mark.parametrize(
    "place", ["invert.solve", "inversion.project._project_one", "colouring.result.write_pictures"]
)
def test_interrupts_leave_nothing(
    case: Case, outs: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(place, interrupt)
    done = case.run("--samples", 2, outdir=outs / "new" / "face")
    assert (done.code, done.stdout) == (130, "")
    assert done.stderr.splitlines()[-1] == "interrupted" and "Traceback" not in done.stderr
    assert list(outs.rglob("*")) == []


def test_a_full_disk_leaves_nothing(case: Case, outs: Path, monkeypatch) -> None:
    def full(path: Path, array: np.ndarray) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("colouring.result.save_png", full)
    done = case.run("--samples", 1, outdir=outs / "face")
    assert done.code == 74 and "error[E-IO-FULL]" in done.stderr
    assert list(outs.rglob("*")) == []


# ---- the picture ----


def test_every_bad_picture_gives_one_line(case: Case, outs: Path, tmp_path: Path) -> None:
    """In one test: the corpus is dear to make."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    corpus = bad_corpus(folder)
    assert len(corpus) > 50
    for path, code in corpus:
        done = case.run(image=path, outdir=outs / "new" / "face")
        assert_refused(done, code, outs, "E-IMG")


def expected_luma(odd: Odd) -> np.ndarray:
    """Return the luma of what an odd picture means, in levels."""
    pixels = odd.pixels.astype(float)
    return pixels @ LUMA if pixels.shape[2] == 3 else pixels[..., 0]


def check_odd_picture(case: Case, path: Path, odd: Odd, outdir: Path) -> None:
    done = case.run("--samples", 1, image=path, outdir=outdir)
    assert done.code == 0, done.stderr
    notes = done.result["notes"]
    assert odd.note is None or any(odd.note in note for note in notes), path.name
    shown = [line for line in done.stderr.splitlines() if str(path) in line]
    assert len(shown) == len(notes) and all(
        n.removeprefix("warning: ") in done.stderr for n in notes
    )
    expected = expected_luma(odd)
    (height, width), side = expected.shape, max(expected.shape)
    top, left = (side - height) // 2, (side - width) // 2
    found = measured(done.png("candidate-0.png"), side)[top : top + height, left : left + width]
    worst = np.abs(as_file(found) - expected).max()
    assert worst <= 1.5 + odd.tolerance, path.name  # the promise, and rounding of 16-bit values


ODD = odd_files()


@pytest.mark.parametrize("name", ODD)
def test_odd_pictures_are_understood_and_noted(case: Case, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(ODD[name].data)
    check_odd_picture(case, path, ODD[name], tmp_path / "face")


def test_a_picture_without_detail_is_worth_a_warning(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "constant.png"
    path.write_bytes(ODD["constant.png"].data)
    done = case.run("--samples", 1, image=path, outdir=tmp_path / "face")
    assert f"warning: {path}: no detail" in done.stderr
    assert "warning: no detail: every pixel has the same value" in done.result["notes"]


def test_odd_folders_are_no_trouble(case: Case, outs: Path) -> None:
    for name in (b"a\nb\x1b[31m", b"\xff\xfe", b"%s {0} '"):
        outdir = outs / os.fsdecode(name)
        done = case.run("--samples", 1, outdir=outdir)
        assert done.code == 0 and (outdir / "grid.png").exists()
        assert done.stdout.count("\n") == 1 and "\x1b" not in done.stdout


def test_odd_names_are_no_trouble(case: Case, outs: Path, tmp_path: Path) -> None:
    for k, path in enumerate(odd_names(tmp_path)):
        done = case.run("--samples", 1, image=path, outdir=outs / str(k))
        assert done.code == 0 and done.result["output_size"] == [SIDE, SIDE]
        assert "\x1b" not in done.stderr
