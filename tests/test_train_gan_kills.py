"""train_gan.py killed, stopped, hanging or started twice: rows D5 to D8, E1 and E6, one process.

Whatever happened, the resumed run ends in the state of one that nothing happened to.
"""

import functools
import random
import re
import signal
import time

import pytest
from fault_case import wait_for
from kept_case import (
    EVERY,
    TOTAL,
    course,
    data,
    digests,
    has_state,
    only_run,
    resumed,
    start,
    steps,
    straight,
)
from train_gan_case import assert_refused, invoke, training

from engine.record import read_record

__all__ = ["data", "start", "straight"]  # fixtures
POINTS = (
    "before_write mid_write before_fsync before_manifest "
    "before_rename after_rename before_latest mid_prune"
).split()
slow = pytest.mark.slow


@pytest.mark.parametrize(
    "point",
    [p if p == "mid_write" else pytest.param(p, marks=slow) for p in POINTS],
)
def test_killed_while_saving(data, tmp_path, straight, start, point):
    process = start("--steps", TOTAL, fault=f"ckpt.{point}@2=kill")
    assert process.wait(100) == -9
    run = only_run(tmp_path)
    assert course(run)[0] == "running" and (run / ".lock").exists()
    assert steps(run) == ([3, 4, 5] if point == "mid_prune" else [1, 2])[: len(steps(run))]
    assert resumed(data, tmp_path) == straight[-1]


@slow
@pytest.mark.timeout(900)
def test_killed_twenty_times_at_random(data, tmp_path, start):
    total = ["--steps", 700]
    rng = random.Random(0)
    for _ in range(20):
        before = sum(read_record(p).get("step", 0) for p in tmp_path.iterdir())
        process = start(*total)
        wait_for(functools.partial(has_record_of, tmp_path, process.pid, before + 1), 60)
        time.sleep(rng.random())
        process.kill()
        assert process.wait(10) == -9
    last = start(*total)
    output, errors = last.communicate(timeout=300)
    assert last.returncode == 0, errors
    expected = training(data, tmp_path / "straight", *total)
    found = re.findall("state digest: .*", output)[-1]
    assert found == re.findall("state digest: .*", expected.stdout)[-1]


def has_record_of(outdir, pid, step):
    records = [read_record(run) for run in outdir.iterdir()]
    return any(r.get("pid") == pid and r["step"] >= step for r in records)


STOPPED = "error[E-TRAIN-STOPPED]: "


@pytest.mark.parametrize(
    ("number", "exit_code", "said"),
    [
        (signal.SIGTERM, 75, STOPPED),
        pytest.param(signal.SIGUSR1, 75, STOPPED, marks=slow),
        pytest.param(signal.SIGHUP, 75, STOPPED, marks=slow),
        pytest.param(signal.SIGINT, 130, "interrupted", marks=slow),
    ],
)
def test_stopped_by_a_signal(data, tmp_path, start, number, exit_code, said):
    process = start("--steps", 10_000)
    wait_for(lambda: has_state(tmp_path, 2), 60)
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == exit_code, errors
    assert errors.splitlines()[-1].startswith(said) and "Traceback" not in errors
    run = only_run(tmp_path)
    status, step, last_good = course(run)
    assert (status, step) == ("preempted", last_good) and steps(run)[-1] == step >= 2
    assert read_record(run)["reason"] == number.name
    more = [*EVERY, "--steps", step + 2]
    found = digests(training(data, tmp_path, "--resume", "auto", *more))
    assert found == digests(training(data, tmp_path / "straight", *more))[-2:]


@slow
@pytest.mark.timeout(900)
def test_stopped_twenty_times(data, tmp_path, start):
    seconds, last = [], 0
    for attempt in range(20):
        process = start("--steps", 10_000)
        wait_for(functools.partial(has_record_of, tmp_path, process.pid, last + 1), 60)
        time.sleep(0.05 * attempt)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        wait_for(lambda: course(only_run(tmp_path))[0] == "preempted", 30)
        seconds.append(time.monotonic() - began)
        assert process.wait(30) == 75
        status, step, last_good = course(only_run(tmp_path))
        assert status == "preempted" and step == last_good > last
        last = step
    print(f"\nfrom SIGTERM to the record: at most {max(seconds):.2f} s, {last} steps")
    assert max(seconds) < 5
    found = training(data, tmp_path, *EVERY, "--resume", "auto", "--steps", last + 1)
    expected = training(data, tmp_path / "straight", "--steps", last + 1)
    assert digests(found)[-1] == digests(expected)[-1]


@pytest.mark.slow
def test_a_second_run_is_refused_and_a_second_ctrl_c_acts_at_once(data, tmp_path, straight, start):
    first = start("--steps", TOTAL, fault="step@3=hang")
    wait_for(lambda: has_state(tmp_path, 2), 60)
    run = only_run(tmp_path)
    began = time.monotonic()
    result = invoke("--resume", run, "--steps", TOTAL)
    assert time.monotonic() - began < 3
    assert_refused(result, "E-OUT-LOCKED", 73)
    assert f"{run}: process {first.pid} on " in result.stderr
    first.send_signal(signal.SIGINT)
    time.sleep(0.1)
    assert first.poll() is None  # it waits for the end of the step, which never comes
    first.send_signal(signal.SIGINT)
    _, errors = first.communicate(timeout=10)
    assert first.returncode == 130 and errors.splitlines()[-1] == "interrupted"
    assert steps(run) == [1, 2] and course(run) == ("preempted", 3, 2)
    assert resumed(data, tmp_path) == straight[-1]


@slow
def test_a_killed_run_leaves_no_lock(data, tmp_path, straight, start):
    first = start("--steps", TOTAL, fault="step@3=hang")
    wait_for(lambda: has_state(tmp_path, 2), 60)
    first.kill()
    assert resumed(data, tmp_path) == straight[-1]


@slow
def test_a_hanging_run_ends_and_says_where_it_stood(data, tmp_path, straight, start):
    process = start("--steps", TOTAL, "--hang-timeout", 5, fault="step@3=hang")
    wait_for(lambda: has_state(tmp_path, 2), 60)
    _, errors = process.communicate(timeout=15)
    assert process.returncode == 75
    run = only_run(tmp_path)
    for text in (errors, (run / "hang-rank0.txt").read_text()):
        assert "failpoints.py" in text and "course.py" in text
    assert course(run) == ("failed", 3, 2)
    assert "no step for 5 s" in read_record(run)["reason"]
    assert resumed(data, tmp_path) == straight[-1]
