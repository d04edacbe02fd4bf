"""Run a piece of a test in several processes that know of each other."""

import os
import socket
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(code, num, *, args=(), **env):
    """Start `num` processes of Python `code`; each finds its part of sys.argv and of the ranks."""
    shared = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), **env}
    shared |= {"WORLD_SIZE": str(num), "LOCAL_WORLD_SIZE": str(num), "OMP_NUM_THREADS": "1"}
    shared["PYTHONPATH"] = os.pathsep.join([str(TESTS.parent), *filter(None, sys.path)])
    command = [sys.executable, "-c", code, *map(str, args)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return [
        subprocess.Popen(command, env={**shared, "RANK": str(rank)}, **pipes) for rank in range(num)
    ]


def finish(processes, timeout=100):
    """Return what each printed; all must have ended well."""
    outputs = [process.communicate(timeout=timeout) for process in processes]
    for process, (_, errors) in zip(processes, outputs, strict=True):
        assert process.returncode == 0, errors
    return [output for output, _ in outputs]
