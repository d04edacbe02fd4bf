"""The hang watch: ends what stands still, leaves stacks, and nothing else."""

import subprocess
import sys
import time

import pytest
from fault_case import wait_for

import runtime
from engine.watch import EXIT_CODE, LOOKS, HangWatch

STUCK = """
import signal, sys, time
from pathlib import Path
from engine import watch
run = Path(sys.argv[1])

def stuck_here():
    {stuck}

def leave_a_word(reason):
    {word}

watch.GRACE = 0.5
with watch.HangWatch(run, {timeout}, 3, leave_a_word) as guard:
    for _ in range(10):
        guard.beat()
        time.sleep(0.05)
    print("moved", flush=True)
    stuck_here()
"""
WRITE = '(run / "word").write_text(reason)'


def run_stuck(run, stuck="time.sleep(60)", word=WRITE, timeout=0.2):
    code = STUCK.format(stuck=stuck, word=word, timeout=timeout)
    return subprocess.run(
        [sys.executable, "-c", code, run], capture_output=True, text=True, timeout=30
    )


def test_what_stands_still_is_ended_and_leaves_its_stacks(tmp_path):
    began = time.monotonic()
    done = run_stuck(tmp_path)
    assert time.monotonic() - began < 10
    assert done.returncode == EXIT_CODE == runtime.exit_code("E-TRAIN-HUNG")
    assert done.stdout == "moved\n"  # ten times the timeout went by before
    stacks = (tmp_path / "hang-rank3.txt").read_text()
    for text in (stacks, done.stderr):
        assert "in stuck_here" in text
    reason = "rank 3: no step for 0.2 s, see hang-rank3.txt"
    assert (tmp_path / "word").read_text() == reason
    assert done.stderr.splitlines()[-1] == f"error[E-TRAIN-HUNG]: {reason}"


def test_others_have_time_to_leave_their_stacks(tmp_path):
    run_stuck(tmp_path, timeout=1.0)
    assert time.time() - (tmp_path / "word").stat().st_mtime > 2 * 1.0 / LOOKS


@pytest.mark.parametrize("word", ["time.sleep(60)", "raise KeyError"])
def test_it_ends_even_where_its_last_words_fail(tmp_path, word):
    done = run_stuck(tmp_path, word=word)
    assert done.returncode == 75 and "in stuck_here" in done.stderr
    assert ("error[E-TRAIN-HUNG]" in done.stderr) == (word == "raise KeyError")


def test_it_ends_even_where_the_folder_is_gone(tmp_path):
    done = run_stuck(tmp_path / "nowhere", word="pass")
    assert done.returncode == 75 and "in stuck_here" in done.stderr


def test_a_suspended_process_is_not_a_hanging_one(tmp_path):
    code = STUCK.format(
        stuck="[(guard.beat(), time.sleep(0.1)) for _ in range(8)]", word="pass", timeout=1
    )
    process = subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"moved\n"
    process.send_signal(19)  # SIGSTOP
    time.sleep(1.5)
    process.send_signal(18)  # SIGCONT
    assert process.wait(30) == 0
    process.stdout.close()
    assert not any(tmp_path.iterdir())


def test_nothing_is_left_after_the_block(tmp_path):
    with HangWatch(tmp_path, 0.1) as watch:
        thread = watch.thread
        assert thread.is_alive()
    wait_for(lambda: not thread.is_alive())
    time.sleep(0.3)
    assert not any(tmp_path.iterdir())


def test_no_timeout_watches_nothing(tmp_path):
    with HangWatch(tmp_path, 0) as watch:
        watch.beat()
        assert not watch.thread.is_alive()
