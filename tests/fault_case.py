"""Faults on purpose, and processes that suffer them."""

import os
import signal
import subprocess
import time

import torch

from engine import failpoints

READ_FAULT = failpoints.requested.__wrapped__
FAULTY = ("FAULT", "RANK", "TORCHELASTIC_RESTART_COUNT", "TORCHELASTIC_RUN_ID")


def set_fault(monkeypatch, text, **environment):
    for name in FAULTY:
        monkeypatch.delenv(name, raising=False)
    for name, value in {"FAULT": text, **environment}.items():
        monkeypatch.setenv(name, value)
    fault = READ_FAULT()
    monkeypatch.setattr(failpoints, "requested", lambda: fault)
    return fault


def in_child(action, *arguments):
    """Fork, run `action` there, and return how the child ended, as subprocess does."""
    child = os.fork()
    if child == 0:
        try:
            torch.set_num_threads(1)
            action(*arguments)
            os._exit(0)
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def wait_for(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


def end(process: subprocess.Popen):
    process.send_signal(signal.SIGKILL)
    process.wait()
