"""train_gan.py under torchrun: killed, stopped and resumed, it ends as if nothing had been."""

import signal
import time

import pytest
from fault_case import wait_for
from torchrun_case import (
    AUGMENTED,
    RECIPE,
    STEPS,
    TWO_HERE,
    launched,
    run_of,
    status_of,
    train,
    wait_for_state,
)
from train_gan_case import TINY, make_pictures

import train_gan
from engine.ranks import PATIENCE
from engine.record import read_record

RESTART = (*TWO_HERE, "--max-restarts", 1)
SIGNALS = (*TWO_HERE, "--signals-to-handle", "SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1")
PLAIN = (*TINY, "--batch", 8, "--tick", 0.008, "--snap", 1000, *AUGMENTED)  # no state but the last
FAR = 60  # steps, more than a run takes before it is stopped here


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_pictures(tmp_path_factory.mktemp("data") / "faces.zip")


@pytest.fixture(scope="module")
def undisturbed(data, tmp_path_factory):
    """The digests of all states of a run that nothing happened to."""
    outdir = tmp_path_factory.mktemp("undisturbed")
    launch = train(data, outdir, *RECIPE, *AUGMENTED)
    assert launch.complaints == "" and len(set(launch.digests)) == STEPS / 4
    return launch.digests


@pytest.fixture(scope="module")
def course(data, tmp_path_factory):
    """The digests after every step."""
    outdir = tmp_path_factory.mktemp("course")
    return [None, *train(data, outdir, *PLAIN, "--ckpt-minutes", 1e-6, "--steps", FAR).digests]


# --- killed ------------------------------------------------------------------------------------


def survive_a_kill(data, undisturbed, outdir, fault):
    launch = train(data, outdir, *RECIPE, *AUGMENTED, launcher=RESTART, FAULT=fault)
    assert launch.digests == undisturbed
    [error] = launch.errors
    assert error.startswith("error[E-TRAIN-LOST]: rank ")
    record = read_record(run_of(outdir))
    assert (record["status"], record["step"], record["reason"]) == ("done", STEPS, "")
    return launch


@pytest.mark.slow
def test_a_killed_process_costs_one_restart(data, undisturbed, tmp_path):
    survive_a_kill(data, undisturbed, tmp_path / "runs", "step@6:1=kill")


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("step", [1, 2, 5, 7, 15])
def test_whoever_is_killed_and_whenever(data, undisturbed, tmp_path, step, rank):
    launch = survive_a_kill(data, undisturbed, tmp_path / "runs", f"step@{step}:{rank}=kill")
    print(f"rank {rank} killed in step {step}: {launch.seconds:.1f} s in all")


def test_the_watch_on_hangs_is_faster_than_the_processes_patience():
    """Else those who wait would leave, and torchrun would kill the one that hangs, unseen."""
    [default] = [p.default for p in train_gan.main.params if p.name == "hang_timeout"]
    assert 0 < default < PATIENCE.total_seconds() / 1.5


# --- stopped -----------------------------------------------------------------------------------


def stop(launch, outdir, number=signal.SIGTERM, asking="torchrun"):
    """Ask for a stop; return the step at which it was, and the seconds that it took."""
    first = read_record(run_of(outdir))["pid"]
    spared = {
        "torchrun": launch.descendants(),
        "everybody": [],
        "the second process": [launch.process.pid, first],
    }
    asked = time.monotonic()
    launch.signal_all(number, but=spared[asking])
    wait_for(lambda: status_of(outdir) == "preempted")
    seconds = time.monotonic() - asked
    assert seconds < 5
    assert launch.wait() == 1  # torchrun's code, whatever its processes end with
    record = read_record(run_of(outdir))
    assert record["reason"] == number.name and record["last_good"] == record["step"]
    return record["step"], seconds


def assert_all_stopped(launch, outdir, step, name="SIGTERM"):
    line = f"error[E-TRAIN-STOPPED]: {run_of(outdir)}: stopped on request ({name}) at step {step}."
    assert [error.partition(" Go on")[0] for error in launch.errors] == [line] * 2


@pytest.mark.slow
def test_a_stop_request_is_obeyed_by_all_at_once(data, undisturbed, tmp_path):
    outdir = tmp_path / "runs"
    with launched(data, outdir, *RECIPE, *AUGMENTED) as launch:
        wait_for_state(launch, outdir)
        step, _ = stop(launch, outdir)
    assert_all_stopped(launch, outdir, step)
    resumed = train(data, outdir, *RECIPE, *AUGMENTED, "--resume", "auto", "--seed", 5)
    assert resumed.digests[-1] == undisturbed[-1] and len(resumed.digests) < len(undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0.06 * k for k in range(20)])
def test_whenever_the_request_comes(data, course, tmp_path, delay):
    outdir = tmp_path / "runs"
    more = [*PLAIN, "--steps"]
    with launched(data, outdir, *more, 1000) as launch:
        wait_for(lambda: status_of(outdir) == "running", 60)
        time.sleep(delay)
        step, seconds = stop(launch, outdir)
    assert_all_stopped(launch, outdir, step)
    assert launch.digests == [course[step]]
    resumed = train(data, outdir, *more, step + 2, "--resume", run_of(outdir), "--seed", 5)
    assert resumed.digests == [course[step + 2]]
    print(f"after {delay:.2f} s, in step {step}: {seconds:.1f} s until RUN.json says so")


@pytest.mark.slow
@pytest.mark.parametrize("asking", ["torchrun", "everybody", "the second process"])
@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1", "SIGHUP"])
def test_all_signals_that_schedulers_send(data, course, tmp_path, name, asking):
    """Slurm sends them to all processes of a job: who trains hears them twice."""
    outdir, number = tmp_path / "runs", signal.Signals[name]
    more = [*PLAIN, "--steps", 1000]
    with launched(data, outdir, *more, launcher=SIGNALS) as launch:
        wait_for(lambda: any(outdir.glob("*/stats.jsonl")), 60)
        step, seconds = stop(launch, outdir, number, asking)
    assert_all_stopped(launch, outdir, step, name)
    assert launch.digests == [course[step]]
    print(f"{name} to {asking}: {seconds:.1f} s")


@pytest.mark.slow
def test_ctrl_c(data, course, tmp_path):
    outdir = tmp_path / "runs"
    with launched(data, outdir, *PLAIN, "--steps", 1000) as launch:
        wait_for(lambda: status_of(outdir) == "running", 60)
        step, _ = stop(launch, outdir, signal.SIGINT)
    assert launch.digests == [course[step]] and launch.errors == []
    assert launch.complaints.splitlines().count("interrupted") == 2


# --- resumed -----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("workers", [(0, 2), (2, 0)], ids=["0-2", "2-0"])
@pytest.mark.parametrize("cut", [1, 4, 15, 16, 17, 19])
def test_two_halves_are_a_whole(data, course, tmp_path, cut, workers):
    """R1 is applied in step 16, the strength of the augmentation moves every 4, an epoch is 4."""
    more = [*PLAIN, "--steps"]
    first = train(data, tmp_path, *more, cut, "--workers", workers[0])
    assert first.digests == [course[cut]]
    again = ["--resume", run_of(tmp_path), "--seed", 9, "--workers", workers[1]]
    assert train(data, tmp_path, *more, cut + 5, *again).digests == [course[cut + 5]]
