"""Which run a start goes on with."""

import os
import socket
from pathlib import Path

import pytest
import torch

from engine.record import RunRecord, launch
from engine.resume import begun_run, named_run, state_to_resume
from engine.states import StateError, publish_state, state_folder


@pytest.fixture
def outdir(tmp_path):
    for name in ("00000-t-faces", "00001-t-faces", "00002-r-faces", "x-t-faces"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_a_named_run():
    run = Path("/runs/00000-a")
    assert named_run(run) == named_run(run / "state-000000004") == run
    assert named_run(None) is None and named_run(Path("auto")) is None


def test_auto_is_the_newest_of_its_name(outdir):
    assert begun_run(Path("auto"), outdir, "t-faces").name == "00001-t-faces"
    assert begun_run(Path("auto"), outdir, "t-others") is None


def test_auto_does_not_mind_the_number_of_processes(tmp_path):
    for name in ("00003-t-a-gpus16-batch8", "00004-t-a-gpus16-batch9", "00005-t-b-gpus2-batch8"):
        (tmp_path / name).mkdir()
    found = begun_run(Path("auto"), tmp_path, "t-a-gpus2-batch8")
    assert found.name == "00003-t-a-gpus16-batch8"


def test_a_restart_finds_what_it_began(outdir, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "mine")
    RunRecord(outdir / "00000-t-faces").start(0)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "another's")
    RunRecord(outdir / "00001-t-faces").start(0)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "mine")
    for count, expected in (("0", None), ("1", outdir / "00000-t-faces")):
        monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", count)
        assert begun_run(None, outdir, "t-faces") == expected
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "new")
    assert begun_run(None, outdir, "t-faces") is None


def test_the_state_to_resume(outdir):
    run = outdir / "00000-t-faces"
    for resume in (None, Path("auto")):
        assert state_to_resume(run, resume) is None
    with pytest.raises(StateError, match="no training state"):
        state_to_resume(run, run)
    for step in (2, 4):
        publish_state(run, step, {"a": torch.ones(1)})
    for resume in (None, Path("auto"), run):
        assert state_to_resume(run, resume) == run / "state-000000004"
    assert state_to_resume(run, run / "state-000000002") == run / "state-000000002"


def test_a_restart_of_a_run_that_went_back_goes_on_with_its_newest_state(outdir, monkeypatch):
    """The state that the command line names may be gone by then."""
    run = outdir / "00000-t-faces"
    for step in (2, 4):
        publish_state(run, step, {"a": torch.ones(1)})
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "mine")
    RunRecord(run).start(2)
    for count, step in (("0", 2), ("1", 4)):
        monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", count)
        assert state_to_resume(run, run / "state-000000002") == state_folder(run, step)


def test_launches_without_a_name_are_told_apart(monkeypatch):
    for name, expected in ((None, None), ("job7", "job7")):
        monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
        if name:
            monkeypatch.setenv("TORCHELASTIC_RUN_ID", name)
        assert launch() == expected
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    assert launch() == f"{socket.gethostname()}:{os.getppid()}"
