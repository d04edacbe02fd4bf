"""What train_gan.py under torchrun makes of faults that end it, and of another number of processes.

Rows D8 and F2 to F6 of the fault table.
"""

import json
import os
import re
import signal
import socket
import time

import pytest
import torch
from fault_case import wait_for
from torchrun_case import (
    AUGMENTED,
    RECIPE,
    STEPS,
    TWO_HERE,
    is_alive,
    launched,
    run_of,
    status_of,
    train,
    wait_for_state,
)
from train_gan_case import make_pictures, training

from engine.record import read_record
from engine.states import list_states, load_state, step_of

pytestmark = pytest.mark.slow
RESTART = (*TWO_HERE, "--max-restarts", 1, "--shutdown-timeout", 2)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_pictures(tmp_path_factory.mktemp("data") / "faces.zip")


@pytest.fixture(scope="module")
def undisturbed(data, tmp_path_factory):
    """The launch and the folder of a run that nothing happened to."""
    outdir = tmp_path_factory.mktemp("undisturbed")
    return train(data, outdir, *RECIPE, *AUGMENTED), run_of(outdir)


def fail(data, outdir, fault, *more, seconds, launcher=TWO_HERE):
    """Train until the fault; return the launch and RUN.json.

    All processes must be gone in time after RUN.json says that the run has failed.
    """
    args = [*RECIPE, *AUGMENTED, *more]
    with launched(data, outdir, *args, launcher=launcher, FAULT=fault) as launch:
        wait_for_state(launch, outdir)
        everybody = [launch.process.pid, *launch.descendants()]
        wait_for(lambda: status_of(outdir) == "failed", 60)
        told = time.monotonic()
        launch.wait()
        wait_for(lambda: not any(map(is_alive, everybody)))
    assert len(everybody) >= 3
    took = time.monotonic() - told
    print(f"{fault}: all gone {took:.1f} s after RUN.json said so")
    assert took < seconds
    return launch, read_record(run_of(outdir))


def steps_of(outdir):
    return [step_of(folder) for folder in list_states(run_of(outdir))]


# --- the end of a run --------------------------------------------------------------------------


@pytest.mark.parametrize("rank", [0, 1])
def test_an_error_of_one_process(data, tmp_path, rank):
    launch, record = fail(data, tmp_path / "runs", f"step@6:{rank}=raise", seconds=10)
    assert record["reason"] == f"rank {rank}: RuntimeError: fault at step"
    assert (record["rank"], record["step"], record["last_good"]) == (rank, 6, 4)
    codes = sorted(re.findall(r"error\[(.*?)\]", "\n".join(launch.errors)))
    assert codes == ["E-INTERNAL", "E-TRAIN-LOST"]


@pytest.mark.parametrize("rank", [0, 1])
def test_a_kill_without_restarts(data, tmp_path, rank):
    _, record = fail(data, tmp_path / "runs", f"step@6:{rank}=kill", seconds=10)
    assert re.match(rf"rank {1 - rank}: another process is gone \(", record["reason"])
    assert (record["step"], record["last_good"]) == (6, 4)


def test_processes_that_disagree(data, tmp_path):
    """A bit of one process's weights flips; the next state is not published."""
    launch, record = fail(data, tmp_path / "runs", "param@8:1=flip", seconds=10)
    assert [error.partition("]")[0] for error in launch.errors] == ["error[E-INTERNAL-RANKS"] * 2
    assert record["reason"].endswith("at step 8. Resume; check the machines' memory.")
    assert re.search(r"exitcode +: 70 ", launch.complaints)
    assert steps_of(tmp_path / "runs") == [4]


def test_a_process_that_hangs(data, tmp_path):
    outdir = tmp_path / "runs"
    more = ["--hang-timeout", 5, "--ckpt-minutes", 1e-6]
    started = time.monotonic()
    with launched(data, outdir, *RECIPE, *more, FAULT="step@5:1=hang") as launch:
        wait_for(lambda: any(outdir.glob("*/state-*4")), 60)
        everybody = [launch.process.pid, *launch.descendants()]
        hung = time.monotonic()
        launch.wait()
        wait_for(lambda: not any(map(is_alive, everybody)))
    took = time.monotonic() - hung
    print(f"all gone {took:.1f} s after the last step")
    assert 5 < took < 15 and hung > started
    run = run_of(outdir)
    assert re.search(r"failpoints\.py.* in _suffer", (run / "hang-rank1.txt").read_text())
    assert "all_reduce" in (run / "hang-rank0.txt").read_text()
    assert re.match(r"rank [01]: no step for 5 s", read_record(run)["reason"])
    assert re.search(r"exitcode +: 75 ", launch.complaints)


def test_a_torchrun_that_is_killed_leaves_a_training_that_goes_on(data, undisturbed, tmp_path):
    outdir = tmp_path / "runs"
    with launched(data, outdir, *RECIPE, *AUGMENTED) as launch:
        wait_for_state(launch, outdir)
        left = launch.descendants()
        launch.process.kill()
        launch.process.wait()
        wait_for(lambda: not any(map(is_alive, left)), 60)
    assert launch.digests == undisturbed[0].digests
    assert status_of(outdir) == "done" and launch.errors == []


# --- killed while a state is published -----------------------------------------------------------


def assert_resumed_at_8(launch, undisturbed):
    """The state of step 8 was published, but nobody came to say so."""
    first, _, *rest = undisturbed[0].digests
    assert launch.digests == [first, *rest]


def test_the_first_process_dies_with_a_state_just_published(data, undisturbed, tmp_path):
    fault = "ckpt.after_rename@2:0=kill"
    more = [*RECIPE, *AUGMENTED]
    launch = train(data, tmp_path / "runs", *more, launcher=RESTART, FAULT=fault)
    assert_resumed_at_8(launch, undisturbed)


def test_the_other_dies_with_a_state_just_published(data, undisturbed, tmp_path):
    outdir, fault = tmp_path / "runs", "ckpt.after_rename@2:0=hang"
    with launched(data, outdir, *RECIPE, *AUGMENTED, launcher=RESTART, FAULT=fault) as launch:
        wait_for(lambda: any(outdir.glob("*/state-*8")), 60)
        record = read_record(run_of(outdir))
        [other] = {pid for pid in launch.descendants() if pid != record["pid"]}
        os.kill(other, signal.SIGKILL)
        assert launch.wait() == 0, launch.complaints
    assert_resumed_at_8(launch, undisturbed)


# --- another number of processes -----------------------------------------------------------------


def relative(found, expected):
    return ((found.double() - expected.double()).norm() / expected.double().norm()).item()


def weights(run, part):
    state = load_state(run / f"state-{STEPS:09d}")["trainer"][part]
    return torch.cat([value.flatten() for value in state.values()])


@pytest.mark.parametrize("of_two", ["first", "second"])
def test_going_on_with_another_number_of_processes(data, undisturbed, tmp_path, of_two):
    """Equal but for rounding, which other pictures would not be."""
    parts = [STEPS // 2, STEPS]
    for steps, is_by_two in zip(parts, (of_two == "first", of_two == "second"), strict=True):
        more = [*RECIPE, *AUGMENTED, "--steps", steps, "--resume", "auto"]
        if is_by_two:
            train(data, tmp_path / "runs", *more)
        else:
            training(data, tmp_path / "runs", *more)
    run = run_of(tmp_path / "runs")
    for part in ("G", "D", "G_ema"):
        assert relative(weights(run, part), weights(undisturbed[1], part)) < 1e-4
    rows = [
        [json.loads(line) for line in (each / "stats.jsonl").read_text().splitlines()]
        for each in (run, undisturbed[1])
    ]
    for mine, theirs in zip(*rows, strict=True):
        for name in ("g_loss", "d_loss", "r1"):
            assert mine[name] == pytest.approx(theirs[name], rel=1e-3)


# --- processes that cannot meet ------------------------------------------------------------------


def test_torchrun_on_a_port_in_use(data, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        launcher = ["--nproc-per-node", 2, "--master-port", port]
        launch = train(data, tmp_path / "runs", *RECIPE, launcher=launcher, returns=1)
    print(f"{launch.seconds:.1f} s")
    assert launch.seconds < 30
    assert "address already in use" in launch.complaints.splitlines()[-1]
    assert not (tmp_path / "runs").exists()


def test_two_runs_that_would_share_a_folder(data, tmp_path):
    """The second is refused; the first goes on."""
    outdir = tmp_path / "runs"
    args = [*RECIPE, *AUGMENTED, "--resume", "auto", "--steps", 10_000]
    with launched(data, outdir, *args) as first:
        wait_for_state(first, outdir)
        before = read_record(run_of(outdir))
        second = train(data, outdir, *args, returns=1)
        after = read_record(run_of(outdir))
        assert first.process.poll() is None
    assert any("error[E-OUT-LOCKED]" in error for error in second.errors)
    assert after["status"] == "running" and after["pid"] == before["pid"]
