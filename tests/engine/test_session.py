"""What happens round the steps of a training."""

import os
import signal

import pytest
import torch
from ranks_case import start

from engine.failpoints import requested
from engine.lock import LockError, run_lock
from engine.ranks import ALONE
from engine.record import RunRecord, read_record
from engine.session import Session
from engine.states import list_states, publish_state
from engine.stop import TrainingStopped

STATE = {"weight": torch.ones(3)}
ENTER = """
import sys
from engine.ranks import joined
from engine.session import Session
with joined() as ranks, Session(__import__("pathlib").Path(sys.argv[1]), ranks) as session:
    session.begin(0)
"""


@pytest.fixture(autouse=True)
def no_fault():
    requested.cache_clear()


def test_a_run_from_begin_to_end(tmp_path):
    with Session(tmp_path, ALONE) as session:
        session.begin(0)
        assert read_record(tmp_path)["status"] == "running"
        assert session.after_step(1) == (False, 0)
        assert len(session.save(STATE)) == 64
        session.finish()
    found = read_record(tmp_path)
    assert [found[k] for k in ("status", "step", "last_good")] == ["done", 1, 1]


def test_a_state_is_due_after_some_minutes(tmp_path):
    with Session(tmp_path, ALONE, save_minutes=1e-9) as session:
        session.begin(0)
        assert session.after_step(1) == (True, 0)


def test_a_signal_is_obeyed_after_the_step(tmp_path):
    with pytest.raises(TrainingStopped), Session(tmp_path, ALONE) as session:
        session.begin(0)
        os.kill(os.getpid(), signal.SIGTERM)
        wish = session.after_step(1)
        assert wish == (True, signal.SIGTERM)
        session.save(STATE, is_final=True)
        session.tell_stop(wish.stop)
        session.leave(wish.stop)
    assert read_record(tmp_path)["reason"] == "SIGTERM"
    assert read_record(tmp_path)["status"] == "preempted"


def test_a_failure_is_recorded_once_the_run_has_begun(tmp_path):
    RunRecord(tmp_path).update("done", 7)
    for is_begun in (False, True):
        with pytest.raises(ZeroDivisionError), Session(tmp_path, ALONE) as session:
            if is_begun:
                session.begin(3)
            1 / 0  # noqa: B018
        found = read_record(tmp_path)
        assert [found["status"], found["step"]] == (["failed", 3] if is_begun else ["done", 7])
    assert found["reason"].startswith("rank 0: ZeroDivisionError")


def test_a_run_that_goes_back_leaves_its_later_states(tmp_path):
    for step in (1, 2, 3):
        publish_state(tmp_path, step, STATE)
    with Session(tmp_path, ALONE) as session:
        session.begin(2)
    assert [p.name[-1] for p in list_states(tmp_path)] == ["1", "2"]


def test_two_processes_that_are_refused_leave_the_holder_s_record_alone(tmp_path):
    RunRecord(tmp_path).start(5)
    before = (tmp_path / "RUN.json").read_bytes()
    with run_lock(tmp_path):
        processes = start(ENTER, 2, args=[tmp_path])
        errors = [process.communicate(timeout=60)[1] for process in processes]
    assert LockError.__name__ in errors[0] and "E-TRAIN-LOST" not in errors[0]
    assert all(process.returncode for process in processes)
    assert (tmp_path / "RUN.json").read_bytes() == before
