"""The job script for Slurm, with stand-ins for Slurm's own commands."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fault_case import wait_for
from torchrun_case import AUGMENTED, RECIPE, Launch, run_of, train
from train_gan_case import ROOT, make_pictures

from engine.record import read_record

SCRIPT = ROOT / "docs" / "slurm" / "train_gan.sbatch"
SRUN = """#!/bin/bash
while [[ $1 == --* ]]; do shift; done
exec "$@"
"""
SCONTROL = """#!/bin/bash
[[ $1 == show ]] && echo localhost || echo "$@" >> "$ASKED"
"""


def test_it_is_a_shell_script():
    subprocess.run(["bash", "-n", SCRIPT], check=True)


@pytest.fixture
def submit(tmp_path):
    """Run the script as Slurm would, the n-th time for the same job."""
    commands = tmp_path / "bin"
    commands.mkdir()
    for name, code in {"srun": SRUN, "scontrol": SCONTROL}.items():
        (commands / name).write_text(code)
        (commands / name).chmod(0o755)
    (commands / "torchrun").symlink_to(Path(sys.executable).with_name("torchrun"))

    def submit(*args, start=0, **env):
        env |= {"SLURM_JOB_ID": "4242", "SLURM_NNODES": "1", "SLURM_JOB_NODELIST": "localhost"}
        env |= {"SLURM_RESTART_COUNT": str(start), "PROCESSES_PER_NODE": "2"}
        env |= {"ASKED": str(tmp_path / "asked"), "PATH": f"{commands}:/usr/bin:/bin"}
        return Launch(["bash", SCRIPT, *args], tmp_path / "logs", env, cwd=ROOT)

    return submit


def asked(tmp_path):
    path = tmp_path / "asked"
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.slow
@pytest.mark.parametrize("everybody", [False, True], ids=["steps", "shell too"])
def test_a_job_that_is_stopped_and_requeued(submit, tmp_path, everybody):
    """At the time limit Slurm signals the steps; where it preempts, the script's shell too."""
    data = make_pictures(tmp_path / "faces.zip")
    straight = train(data, tmp_path / "straight", *RECIPE, *AUGMENTED)
    folder = tmp_path / "one training"
    args = [folder, "--data", data, *RECIPE, *AUGMENTED]
    with submit(*args) as job:
        wait_for(lambda: any(folder.glob("*/state-*")), 60)
        job.signal_all(signal.SIGTERM, but=() if everybody else [job.process.pid])
        assert job.wait() == 0, job.complaints
    assert read_record(run_of(folder))["status"] == "preempted"
    assert asked(tmp_path) == ["requeue 4242"]
    with submit(*args, start=1) as job:
        assert job.wait() == 0, job.complaints
    assert job.digests[-1] == straight.digests[-1]
    assert "start 1 of job 4242 ended: done" in job.printed
    assert asked(tmp_path) == ["requeue 4242"]


@pytest.mark.slow
def test_a_job_that_cannot_begin_is_not_requeued(submit, tmp_path):
    with submit(tmp_path / "runs", "--data", tmp_path / "none.zip", *RECIPE) as job:
        assert job.wait() == 1
    assert "E-DATA-MISSING" in job.complaints
    assert "ended: not begun" in job.printed and asked(tmp_path) == []
