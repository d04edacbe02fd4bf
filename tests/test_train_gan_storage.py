"""train_gan.py where disk, folder, numbers or memory fail it: rows D1, D2, D4 and E2 to E5."""

import json
import os
import shutil
import subprocess
import time

import pytest
from fault_case import set_fault
from hostile_files import flip_bit
from kept_case import EVERY, TOTAL, course, data, digests, only_run, start, steps, straight
from train_gan_case import TINY, assert_refused, invoke, training

from engine.record import read_record
from engine.states import list_states, load_state, resolve_state
from stylegan import load_generator

__all__ = ["data", "start", "straight"]  # fixtures
slow = pytest.mark.slow


@pytest.fixture(scope="module")
def begun(data, tmp_path_factory):
    """A run with states of the steps 2, 3 and 4."""
    outdir = tmp_path_factory.mktemp("begun")
    training(data, outdir, *EVERY, "--steps", 4)
    [run] = outdir.iterdir()
    assert steps(run) == [2, 3, 4]
    return run


@pytest.fixture
def run(begun, tmp_path):
    return shutil.copytree(begun, tmp_path / begun.name)


def flipped(run):
    flip_bit(run / "state-000000004" / "state.pt", 5000)


def truncated(run):
    os.truncate(run / "state-000000004" / "state.pt", 5000)


def file_missing(run):
    (run / "state-000000004" / "MANIFEST.json").unlink()


def empty_hint(run):
    (run / "LATEST").write_text("")


def hint_to_nothing(run):
    (run / "LATEST").write_text("state-000000099\n")


@pytest.mark.parametrize("damage", [flipped, truncated, file_missing, empty_hint, hint_to_nothing])
def test_the_newest_state_is_damaged(data, run, straight, damage):
    damage(run)
    result = training(data, run.parent, *EVERY, "--steps", TOTAL, "--resume", "auto")
    is_whole = damage in (empty_hint, hint_to_nothing)
    assert digests(result) == straight[4 if is_whole else 3 :]
    warnings = [line for line in result.stderr.splitlines() if line.startswith("warning:")]
    assert (not warnings) == is_whole
    assert all(f"state-00000000{k}" in line for line in warnings for k in (3, 4))


def test_all_states_are_damaged(run):
    for folder in list_states(run):
        flip_bit(folder / "state.pt", 5000)
    assert_refused(invoke("--resume", run, "--steps", TOTAL), "E-MODEL", 65)
    assert len(list_states(run)) == 3


def test_a_write_that_does_not_arrive(run, monkeypatch):
    set_fault(monkeypatch, "ckpt.mid_write@2=shortwrite")
    result = invoke("--resume", run, "--steps", TOTAL)
    assert_refused(result, "E-IO", 74)
    assert steps(run) == [3, 4, 5] and course(run) == ("failed", 6, 5)
    assert "did not arrive" in read_record(run)["reason"]


def test_a_disk_that_is_full_for_a_while(run, straight, monkeypatch):
    set_fault(monkeypatch, "ckpt.mid_write@1..2=enospc")  # the first save of this start
    result = invoke("--resume", run, "--steps", TOTAL)
    assert result.exit_code == 0, result.output
    assert "step 5: not written" in result.stderr and digests(result) == [straight[-1]]
    assert steps(run)[-2:] == [4, 6] and course(run) == ("done", TOTAL, TOTAL)


@pytest.mark.parametrize(("total", "warnings"), [(5, 1), (6, 2), (9, 2)])
def test_a_disk_that_is_full_to_the_end(run, straight, monkeypatch, total, warnings):
    """Two states in a row may be lost, the last one may not."""
    set_fault(monkeypatch, "ckpt.mid_write=enospc")
    result = invoke("--resume", run, "--steps", total)
    assert_refused(result, "E-IO-FULL", 74)
    assert steps(run) == [3, 4] and course(run) == ("failed", min(total, 7), 4)
    assert result.stderr.count("warning: ") == warnings
    set_fault(monkeypatch, "none=kill")
    assert digests(invoke("--resume", run, "--steps", TOTAL))[-1] == straight[-1]


IN_A_SMALL_DISK = """
mount -t tmpfs -o size=3m small "$1" || exit 99
cp -r "$2" "$1"; head -c {ballast} /dev/zero > "$1/ballast"
shift 2; "$@"; code=$?
cp -r {outdir} {copy}; exit $code
"""


def in_a_small_disk(outdir, run, copy, ballast):
    script = IN_A_SMALL_DISK.format(ballast=ballast, outdir=outdir, copy=copy)
    return ["unshare", "-rm", "sh", "-c", script, "sh", outdir, run]


def may_mount():
    done = subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "x", "/mnt"], check=False)
    return done.returncode == 0


@slow
def test_a_small_disk_fills_up(data, begun, tmp_path, straight, start):
    if not may_mount():
        pytest.skip("this system lets nobody mount a small disk (unshare -rm)")
    (tmp_path / "disk").mkdir()
    command = in_a_small_disk(tmp_path / "disk", begun, tmp_path / "copy", 2_200_000)
    more = ["--outdir", tmp_path / "disk", "--steps", 40, "--tick", 0.004, "--snap", 2]
    process = start(*more, command=command)
    _, errors = process.communicate(timeout=100)
    assert process.returncode == 74, errors
    assert errors.count("warning:") >= 2 and "error[E-IO-FULL]" in errors.splitlines()[-1]
    run = tmp_path / "copy" / begun.name
    assert "No space left" in read_record(run)["reason"]
    (tmp_path / "copy" / "ballast").unlink()
    assert load_state(resolve_state(run))["trainer"]["step_count"] == course(run)[2] >= 4


@pytest.mark.parametrize("outdir", ["/dev/null/x", "/proc/x"])
def test_a_folder_where_nothing_can_be_made(data, outdir):
    began = time.monotonic()
    result = invoke("--data", data, "--outdir", outdir, *TINY, "--steps", 1)
    assert time.monotonic() - began < 2
    assert_refused(result, "E-OUT-CREATE", 73)


@slow
def test_a_run_on_a_disk_that_is_read_only(begun, tmp_path, start):
    if not may_mount():
        pytest.skip("this system lets nobody mount a disk read-only (unshare -rm)")
    script = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" || exit 99; shift; "$@"'
    command = ["unshare", "-rm", "sh", "-c", script, "sh", begun.parent]
    for more in (["--outdir", begun.parent, "--desc", "new"], ["--resume", begun]):
        process = start("--steps", TOTAL, *more, command=command)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 73, errors
        assert errors.splitlines()[-1].startswith("error[E-OUT-CREATE]: ")


# --- numbers ------------------------------------------------------------------------------------


def test_one_gradient_that_is_not_finite(data, tmp_path, monkeypatch):
    set_fault(monkeypatch, "grad@3=nan")
    training(data, tmp_path, "--steps", TOTAL, "--tick", 0.004)
    run = only_run(tmp_path)
    rows = [json.loads(line) for line in (run / "stats.jsonl").read_text().splitlines()]
    assert [row["skipped_steps"] for row in rows] == [0, 0, 1, 1, 1, 1]
    load_generator(run / "generator.safetensors")


def test_gradients_that_are_never_finite_again(run, monkeypatch):
    set_fault(monkeypatch, "grad@7..30=nan")
    result = invoke("--resume", run, "--steps", 40, "--ckpt-minutes", 10)
    assert_refused(result, "E-TRAIN-NAN", 79)
    status, step, last_good = course(run)
    assert status == "failed" and step <= 15 and last_good == 4 == steps(run)[-1]


def test_weights_that_are_not_finite_are_not_saved(run, monkeypatch):
    set_fault(monkeypatch, "param@5=nan")
    result = invoke("--resume", run, "--steps", 40)
    assert_refused(result, "E-TRAIN-NAN", 79)
    assert steps(run) == [2, 3, 4] and course(run) == ("failed", 5, 4)


def test_memory_that_runs_out(run, monkeypatch):
    set_fault(monkeypatch, "step@5=oom")
    assert_refused(invoke("--resume", run, "--steps", 40), "E-MEMORY", 71)
    assert course(run) == ("failed", 5, 4)
