"""Trainings of several processes, started by torchrun as a user starts them."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from fault_case import wait_for
from train_gan_case import ROOT, TINY

from engine.record import read_record

TORCHRUN = (sys.executable, "-m", "torch.distributed.run")
TWO_HERE = ("--standalone", "--nproc-per-node", "2")
STEPS = 16
RECIPE = (*TINY, "--batch", 8, "--steps", STEPS, "--tick", 0.016, "--snap", 2)  # 4 steps a state
AUGMENTED = ("--aug", "ada", "--p", 0.3)
DIGEST = re.compile(r"^state digest: (\w{64})$", re.MULTILINE)


class Launch:
    """A torchrun and the processes it starts; what they print goes into files.

    No process of it outlives a `with` block.
    """

    def __init__(self, command, logs, env, cwd=None):
        logs.mkdir(parents=True, exist_ok=True)
        number = len(list(logs.iterdir()))
        self.paths = [logs / f"{number}-{name}" for name in ("stdout", "stderr")]
        env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **env}
        words = list(map(str, command))
        self.started = time.monotonic()
        with open(self.paths[0], "wb") as out, open(self.paths[1], "wb") as errors:
            self.process = subprocess.Popen(words, stdout=out, stderr=errors, env=env, cwd=cwd)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.signal_all(signal.SIGKILL)
        self.process.wait()

    @property
    def printed(self):
        return self.paths[0].read_text()

    @property
    def complaints(self):
        return self.paths[1].read_text()

    @property
    def errors(self):
        return [line for line in self.complaints.splitlines() if line.startswith("error[")]

    @property
    def digests(self):
        return DIGEST.findall(self.printed)

    def wait(self, timeout=110):
        code = self.process.wait(timeout)
        self.seconds = time.monotonic() - self.started
        return code

    def descendants(self):
        """Return the process ids below the first."""
        return _descendants(self.process.pid)

    def signal_all(self, number, but=()):
        for pid in {self.process.pid, *self.descendants()} - set(but):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def _descendants(pid):
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [below for child in map(int, children) for below in (child, *_descendants(child))]


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def launched(data, outdir, *args, launcher=TWO_HERE, prefix=(), **env):
    """Start a training."""
    verb = ["--", ROOT / "train_gan.py", "--data", data, "--outdir", outdir, *args]
    return Launch([*prefix, *TORCHRUN, *launcher, *verb], Path(f"{outdir}.logs"), env)


def train(data, outdir, *args, returns=0, **how):
    """Train to the end, which must be the one expected, and return the launch."""
    with launched(data, outdir, *args, **how) as launch:
        assert launch.wait() == returns, launch.complaints
    return launch


def run_of(outdir):
    [run] = outdir.iterdir()
    return run


def status_of(outdir):
    return read_record(run_of(outdir)).get("status") if any(outdir.glob("*")) else None


def wait_for_state(launch, outdir, seconds=60):
    """Wait until a training has published a state."""
    wait_for(lambda: any(outdir.glob("*/state-*")) or launch.process.poll() is not None, seconds)
    assert launch.process.poll() is None, launch.complaints
