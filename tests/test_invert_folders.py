"""invert.py on a folder of pictures, alone and as two ranks, and again from its own record."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.inversion.tiny import SIDE, as_file, measured, picture_of
from tests.invert_case import Case, Run, assert_refused, quick_config, run, save_grey, sha256

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    quick_config(monkeypatch, num_steps=2)
    monkeypatch.setattr("inversion.pipeline.NUM_PROBES", 8)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    case = Case(tmp_path_factory.mktemp("folders"))
    yield case
    case.remove()


def fill(folder: Path, case: Case, good: int, bad: int) -> Path:
    folder.mkdir()
    for k in range(good):
        save_grey(folder / f"{k:02}.png", as_file(measured(picture_of(case.G, seed=k), 12)))
    for k in range(bad):
        (folder / f"bad {k}.png").write_bytes(b"no picture")
    (folder / ".hidden").write_bytes(b"")
    (folder / "sub").mkdir()
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Return all files but the records, by path."""
    files = [p for p in folder.rglob("*") if p.is_file() and p.name != "result.json"]
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def on_folder(case: Case, folder: Path, outdir: Path, *args: object) -> Run:
    words = ("--images", folder, "--generator", case.generator, "--samples", 1, *args)
    return run(*words, outdir=outdir)


# ---- folders ----


@pytest.mark.parametrize("good", [2, pytest.param(10, marks=pytest.mark.slow)])
def test_two_files_of_a_folder_are_bad(case: Case, tmp_path: Path, good: int) -> None:
    folder = fill(tmp_path / "in", case, good, 2)
    done = on_folder(case, folder, tmp_path / "out")
    errors = [line for line in done.stderr.splitlines() if line.startswith("error[")]
    said = f"{good} of {good + 2} pictures in {tmp_path / 'out'}\n"
    assert (done.code, done.stdout) == (65, said)
    assert sorted(errors) == errors and len(errors) == 2
    assert all(f"error[E-IMG-UNKNOWN]: {folder / f'bad {k}.png'}: " in errors[k] for k in (0, 1))
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [f"{k:02}" for k in range(good)]
    for k in (0, good - 1):
        alone = case.run("--samples", 1, image=folder / f"{k:02}.png")
        assert contents(alone.folder) == contents(tmp_path / "out" / f"{k:02}")


def test_names_that_meet_and_folders_that_exist(case: Case, tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", case, 1, 0)
    (folder / "00.bmp").write_bytes((folder / "00.png").read_bytes())
    (tmp_path / "out").mkdir()
    done = on_folder(case, folder, tmp_path / "out")
    assert done.code == 0 and list((tmp_path / "out").iterdir()) == []
    assert sorted(p.name for p in (tmp_path / "out-2").iterdir()) == ["00", "00-2"]


def test_folders_without_pictures_and_bad_models_are_refused(case: Case, tmp_path: Path) -> None:
    outs = tmp_path / "outs"
    outs.mkdir()
    (tmp_path / "empty").mkdir()
    for folder, code, kind in (("nowhere", 66, "E-DATA-MISSING"), ("empty", 65, "E-DATA-EMPTY")):
        assert_refused(on_folder(case, tmp_path / folder, outs / "x"), code, outs, kind)
    full = fill(tmp_path / "in", case, 1, 0)
    done = run("--images", full, "--generator", case.image, outdir=outs / "x")
    assert_refused(done, 65, outs, "E-MODEL")


@pytest.mark.parametrize("words", [[], ["--image", "a.png", "--images", "b"]])
def test_one_source_is_needed(words: list[str]) -> None:
    done = run(*words)
    assert done.code == 2 and "give one of --image, --images and --replay" in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_ranks_give_the_files_of_one(case: Case, tmp_path: Path) -> None:
    """As torchrun starts them, with the default search."""
    folder = fill(tmp_path / "in", case, 2, 1)
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    words = ["invert.py", "--images", folder, "--generator", case.generator, "--samples", "1"]
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for start, name in (([], "one"), (torchrun, "two")):
        command = [sys.executable, *start, *words, "--outdir", tmp_path / name]
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
        assert done.returncode != 0 and done.stderr.count("error[E-IMG-UNKNOWN]") == 1
        assert done.stdout.splitlines() == [f"2 of 3 pictures in {tmp_path / name}"]
    one, two = (contents(tmp_path / name) for name in ("one", "two"))
    assert len(one) == 2 * 3 and one == two


# ---- again ----


@pytest.fixture(scope="module")
def earlier(case: Case) -> Run:
    with pytest.MonkeyPatch.context() as patch:
        quick_config(patch, num_steps=2)
        patch.setattr("inversion.pipeline.NUM_PROBES", 8)
        return case.run("--samples", 3, "--seed", 5, "--size", 12, "--crop", "1,0,14,15")


def test_a_replay_gives_the_same_bytes(case: Case, earlier: Run, tmp_path: Path) -> None:
    done = run("--replay", earlier.folder / "result.json", outdir=tmp_path / "again")
    assert done.code == 0, done.stderr
    assert contents(tmp_path / "again") == contents(earlier.folder)
    first, second = earlier.result, done.result
    assert {**first, "seconds": 0} == {**second, "seconds": 0}
    assert first["options"]["crop"] == [1, 0, 14, 15] and first["input_size"] == [12, 11]
    assert "warning" not in done.stderr


def test_a_picture_that_moved_may_be_named(case: Case, earlier: Run, tmp_path: Path) -> None:
    record = earlier.result
    record["options"]["image"] = str(tmp_path / "gone.png")
    (tmp_path / "result.json").write_text(json.dumps(record))
    outs = tmp_path / "outs"
    outs.mkdir()
    words = ("--replay", tmp_path / "result.json")
    assert_refused(run(*words, outdir=outs / "x"), 66, outs, "E-IMG-MISSING")
    done = run(*words, "--image", case.image, outdir=tmp_path / "again")
    assert contents(tmp_path / "again") == contents(earlier.folder), done.stderr


def test_other_inputs_than_the_records_are_refused(
    case: Case, earlier: Run, tmp_path: Path
) -> None:
    outs = tmp_path / "outs"
    outs.mkdir()
    other = save_grey(tmp_path / "other.png", 255 - case.levels)
    words = ("--replay", earlier.folder / "result.json", "--image", other)
    done = run(*words, outdir=outs / "x")
    assert_refused(done, 76, outs, "E-DATA-MISMATCH")
    assert f"{other}: is not the image of the record" in done.stderr


def test_other_versions_are_worth_a_warning(earlier: Run, tmp_path: Path) -> None:
    record = earlier.result
    record["versions"]["torch"] = "1.2.3"
    (tmp_path / "result.json").write_text(json.dumps(record))
    done = run("--replay", tmp_path / "result.json", outdir=tmp_path / "again")
    assert done.code == 0 and "made with torch 1.2.3, here is" in done.stderr


def test_what_is_no_record_is_refused(earlier: Run, tmp_path: Path) -> None:
    outs = tmp_path / "outs"
    outs.mkdir()
    unknown = earlier.result
    unknown["options"]["colour"] = "red"
    for text in ("", "[]", "{}", json.dumps(unknown)):
        (tmp_path / "result.json").write_text(text)
        done = run("--replay", tmp_path / "result.json", outdir=outs / "x")
        assert_refused(done, 65, outs, "E-DATA-REPLAY")
    assert_refused(run("--replay", outs / "none.json", outdir=outs / "x"), 66, outs, "E-IO-MISSING")
    done = run("--replay", tmp_path / "result.json", "--samples", 2)
    assert done.code == 2 and "leave out --samples" in done.stderr


def test_digests_are_those_of_the_files(case: Case, earlier: Run) -> None:
    assert earlier.result["sha256"]["image"] == sha256(case.image)
    assert earlier.png("candidate-0.png").shape == (SIDE, SIDE, 3)
    assert np.ptp(earlier.png("candidate-0.png")) > 20
