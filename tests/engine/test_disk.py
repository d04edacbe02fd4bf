"""Full disks: recognised, foreseen, survived twice."""

import errno
import os

import pytest
from fault_case import set_fault

from engine.disk import FullDisk, is_full, require_room
from engine.manifest import StateError
from engine.ranks import ALONE
from engine.record import read_record
from engine.session import Session


def full(number=errno.ENOSPC):
    return OSError(number, os.strerror(number))


def test_which_errors_mean_a_full_disk():
    assert all(is_full(full(n)) for n in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
    assert is_full(StateError("x", "E-IO-FULL"))
    for other in (full(errno.EIO), StateError("x", "E-IO"), ValueError("x"), OSError("x")):
        assert not is_full(other)


def test_room_is_asked_for_with_a_margin(tmp_path):
    found = os.statvfs(tmp_path)
    free = found.f_bavail * found.f_frsize
    require_room(tmp_path, round(free / 1.3))
    with pytest.raises(OSError, match="No space left") as caught:
        require_room(tmp_path, round(free / 1.1))
    assert caught.value.filename == str(tmp_path)


def test_the_third_failure_in_a_row_ends_the_run(caplog):
    disk = FullDisk()
    for left in (2, 1):
        with disk.survived("snapshot of step 5"):
            raise full()
        assert "snapshot of step 5: not written ([Errno 28] No space left" in caplog.text
        assert f"ends after {left} more" in caplog.text
    assert disk.trouble.startswith("snapshot of step 5: not written (")
    with disk.survived("x"):
        pass
    assert disk.trouble == ""
    for _ in range(2):
        with disk.survived("x"):
            raise StateError("x", "E-IO-FULL")
    with pytest.raises(OSError, match="No space left"), disk.survived("x"):
        raise full()


@pytest.mark.parametrize("error", [full(errno.EIO), StateError("x", "E-TRAIN-NAN"), KeyError("x")])
def test_other_errors_pass(error):
    with pytest.raises(type(error)), FullDisk().survived("x"):
        raise error


def test_a_session_says_why_states_are_missing_and_insists_on_the_last(tmp_path, monkeypatch):
    set_fault(monkeypatch, "ckpt.before_write@1..5=enospc")  # every state is tried twice
    with pytest.raises(StateError, match="No space left"), Session(tmp_path, ALONE) as session:
        session.begin(0)
        session.after_step(1)
        assert session.save({}) is None
        found = read_record(tmp_path)
        assert (found["status"], found["last_good"]) == ("running", None)
        assert "state of step 1: not written" in found["reason"]
        session.after_step(2)
        session.save({}, is_final=True)
    assert read_record(tmp_path)["status"] == "failed"
    with Session(tmp_path, ALONE) as session:
        session.begin(0)
        assert session.save({}) is not None  # the second try
        assert read_record(tmp_path)["reason"] == ""
