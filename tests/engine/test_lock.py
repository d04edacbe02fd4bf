"""One training per run folder: who is refused, and that nothing outlives its process."""

import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from fault_case import wait_for

import runtime
from engine import lock
from engine.lock import LockError, run_lock

HOLD = """
import sys, time
from engine import lock
lock.fcntl.flock = {flock}
lock.HEARTBEAT = 0.05
with lock.run_lock(sys.argv[1]):
    print("held", flush=True)
    {action}
"""
HONEST, UNABLE = "lock.fcntl.flock", "lambda *_: (_ for _ in ()).throw(OSError(95, 'no locks'))"


@pytest.fixture
def another(tmp_path):
    """Start processes that hold the lock of `tmp_path`; end them after the test."""
    started = []

    def start(flock=HONEST, action="time.sleep(60)"):
        code = HOLD.format(flock=flock, action=action)
        process = subprocess.Popen(
            [sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture(params=["flock", "heartbeat"])
def system(request, monkeypatch):
    """What `another` shall be given; this process's system keeps the same kind of locks."""
    if request.param == "flock":
        return HONEST

    def flock(*_):
        raise OSError(errno.EOPNOTSUPP, "no locks")

    monkeypatch.setattr(fcntl, "flock", flock)
    monkeypatch.setattr(lock, "HEARTBEAT", 0.05)
    return UNABLE


def test_the_second_is_refused_and_told_by_whom(tmp_path, another, system):
    first = another(system)
    began = time.monotonic()
    with pytest.raises(LockError) as caught, run_lock(tmp_path):
        pass
    assert time.monotonic() - began < 3
    who = f"process {first.pid} on {socket.gethostname()} trains in it"
    assert str(caught.value).startswith(f"{tmp_path}: {who}")
    assert runtime.exit_code(caught.value.code) == 73
    assert first.poll() is None


def test_a_killed_holder_leaves_no_lock(tmp_path, another, system):
    first = another(system)
    first.send_signal(signal.SIGKILL)
    began = time.monotonic()
    with run_lock(tmp_path):  # not even waited for
        assert time.monotonic() - began < 3
        [file] = tmp_path.iterdir()
        wait_for(lambda: file.read_text())
        assert json.loads(file.read_text())["pid"] == os.getpid()
    assert not any(tmp_path.iterdir())


def test_a_lock_ends_with_its_block_even_by_an_error(tmp_path, system):
    for _ in range(3):
        with pytest.raises(KeyError), run_lock(tmp_path):
            raise KeyError
        assert not any(tmp_path.iterdir())


def test_forked_loaders_do_not_keep_the_lock(tmp_path, another):
    fork = "import os; os.fork() and print('forked', flush=True); time.sleep(4)"
    first = another(action=fork)
    assert first.stdout.readline() == "forked\n"
    first.kill()
    first.wait()
    with run_lock(tmp_path):
        pass


def test_a_forked_child_that_ends_does_not_free_the_lock(tmp_path, another, monkeypatch):
    monkeypatch.setattr(lock, "PATIENCE", 0.1)
    fork = "import os; os.fork() and (os.wait(), print('forked', flush=True), time.sleep(60))"
    first = another(action=fork)
    assert first.stdout.readline() == "forked\n"
    with pytest.raises(LockError, match=f"process {first.pid} "), run_lock(tmp_path):
        pass
    assert (tmp_path / ".lock").exists()


def test_of_two_that_wait_one_gets_it(tmp_path, another, monkeypatch):
    """The last holder removes the file that the others have open."""
    monkeypatch.setattr(lock, "PATIENCE", 10)
    another(action="time.sleep(0.2)")
    real, opened = os.open, []

    def late(path, *args):
        opened.append(real(path, *args))
        if len(opened) == 1:
            time.sleep(0.5)  # the file is removed meanwhile
        return opened[-1]

    monkeypatch.setattr(os, "open", late)
    with run_lock(tmp_path):
        monkeypatch.undo()
        assert (tmp_path / ".lock").exists()
        assert os.path.samestat(os.stat(tmp_path / ".lock"), os.fstat(opened[-1]))


def test_a_file_of_a_silent_host_is_taken_over_and_a_beating_one_not(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "HEARTBEAT", 0.05)
    beating = tmp_path / lock.BEATING
    beating.write_text(json.dumps({"pid": 1, "host": "elsewhere", "beat": 4}))
    assert not lock._is_alive(beating)
    with lock._beating(beating):
        assert lock._is_alive(beating)
    assert not beating.exists()


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"host": "x" * 500})])
def test_a_damaged_file_of_a_dead_holder(tmp_path, system, text):
    (tmp_path / (lock.LOCK if system == HONEST else lock.BEATING)).write_text(text)
    with run_lock(tmp_path):
        [file] = tmp_path.iterdir()
        wait_for(file.read_text)
        assert json.loads(file.read_text())["pid"] == os.getpid()


def test_a_file_of_a_dead_process_of_this_host_is_not_watched(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "HEARTBEAT", 100)
    for pid in ({}, {"pid": 2**22 + 1}):
        (tmp_path / "x").write_text(json.dumps({"host": socket.gethostname(), **pid}))
        assert not lock._is_alive(tmp_path / "x")


@pytest.mark.parametrize("error", [errno.EROFS, errno.EACCES])
def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch, error):
    def refuse(path, *_):
        raise OSError(error, os.strerror(error), str(path))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(LockError, match="cannot be written") as caught, run_lock(tmp_path):
        pass
    assert runtime.exit_code(caught.value.code) == 73
    assert str(caught.value).startswith(f"{tmp_path}: ")
