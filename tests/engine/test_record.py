"""RUN.json: what it says, that the first failure stays, that a full disk does not silence it."""

import errno
import json
import os
import socket
from datetime import datetime, timezone

import pytest

from engine import record
from engine.record import RunRecord, read_record


def course(run):
    found = read_record(run)
    return [found[name] for name in ("status", "step", "last_good", "reason")]


def test_everything_that_is_promised_is_there(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "job 7")
    RunRecord(tmp_path, 3, {"torch": "2.15"}).start(5, 4)
    found = json.loads((tmp_path / "RUN.json").read_text())
    age = datetime.now(timezone.utc) - datetime.fromisoformat(found.pop("started"))
    assert -1 <= age.total_seconds() < 60
    assert found == {
        "status": "running",
        "step": 5,
        "last_good": 4,
        "reason": "",
        "rank": 3,
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "launch": "job 7",
        "versions": {"torch": "2.15"},
    }


def test_the_course_of_a_run(tmp_path):
    mine = RunRecord(tmp_path)
    mine.start(0)
    assert course(tmp_path) == ["running", 0, None, ""]
    mine.last_good = 8
    for status, step, reason in [("running", 8, ""), ("preempted", 9, "SIGTERM"), ("done", 10, "")]:
        mine.update(status, step, reason)
        assert course(tmp_path) == [status, step, 8, reason]
    assert os.listdir(tmp_path) == ["RUN.json"]


def test_the_first_failure_stays_until_the_next_start(tmp_path):
    first, second = RunRecord(tmp_path, 0), RunRecord(tmp_path, 1)
    first.start(0)
    second.update("failed", 5, "rank 1: RuntimeError: fault at step")
    first.update("failed", 5, "rank 0: another process is gone")
    first.update("preempted", 5, "SIGTERM")
    assert course(tmp_path) == ["failed", 5, None, "rank 1: RuntimeError: fault at step"]
    assert read_record(tmp_path)["rank"] == 1
    first.start(4, 4)
    assert course(tmp_path) == ["running", 4, 4, ""]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_still_learns_why(tmp_path, monkeypatch, number):
    mine = RunRecord(tmp_path)
    mine.start(3, 3)

    def full(path):
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(record, "atomic_file", full)
    mine.update("failed", 5, "no room " * 10)
    assert course(tmp_path) == ["failed", 5, 3, "no room " * 10]
    mine.start(3, 3)  # shorter than what it overwrites
    assert course(tmp_path) == ["running", 3, 3, ""]


def test_a_run_does_not_end_for_want_of_a_record(tmp_path, caplog):
    mine = RunRecord(tmp_path / "nowhere")
    mine.start(3)
    assert "RUN.json: not renewed (No such file or directory)" in caplog.text


@pytest.mark.parametrize("text", [None, "", "{", "[]", "7"])
def test_no_record_or_a_damaged_one(tmp_path, text):
    if text is not None:
        (tmp_path / "RUN.json").write_text(text)
    assert read_record(tmp_path) == {}
    RunRecord(tmp_path).update("running", 1)
    assert course(tmp_path) == ["running", 1, None, ""]


def test_a_kill_at_any_time_leaves_a_whole_record(tmp_path):
    def write_for_ever():
        mine = RunRecord(tmp_path)
        mine.start(0)
        os.write(ready, b"x")
        for step in range(10**9):
            mine.update("running", step, "y" * (step % 5000))

    for _ in range(5):
        read, ready = os.pipe()
        child = os.fork()
        if child == 0:
            write_for_ever()
        os.read(read, 1)
        os.kill(child, 9)
        os.waitpid(child, 0)
        assert course(tmp_path)[0] == "running"
