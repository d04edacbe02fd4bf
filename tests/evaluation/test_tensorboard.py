"""What TensorBoard is given, and that a training neither needs nor fears it."""

import logging
import math
import sys
import types
from pathlib import Path

import pytest

from evaluation.tensorboard import writer

ROWS = [
    {"kimg": 0.5, "step": 4, "g_loss": 1.5, "p": 0, "bad": math.nan, "note": "text"},
    {"kimg": 1.0, "step": 8, "fd_pixels16": 30.25},
]


class Events:
    """Stands in for SummaryWriter."""

    made: list["Events"]

    def __init__(self, log_dir: str, purge_step: int | None = None) -> None:
        self.log_dir, self.purge_step = log_dir, purge_step
        self.scalars: list[tuple] = []
        self.flushed = 0
        self.made.append(self)

    def add_scalar(self, *args: object) -> None:
        self.scalars.append(args)

    def flush(self) -> None:
        self.flushed = len(self.scalars)


@pytest.fixture
def events(monkeypatch):
    module = types.ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = type("SummaryWriter", (Events,), {"made": []})
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    return module.SummaryWriter


def test_numbers_are_written_at_their_step(events, tmp_path: Path) -> None:
    board = writer(tmp_path)
    for row in ROWS:
        board.write(row)
    [made] = events.made
    assert (made.log_dir, made.purge_step) == (str(tmp_path), None)
    assert made.scalars == [("g_loss", 1.5, 4), ("p", 0, 4), ("fd_pixels16", 30.25, 8)]
    assert made.flushed == 3


def test_a_resumed_run_hides_what_came_after_its_state(events, tmp_path: Path) -> None:
    writer(tmp_path, 40)
    assert events.made[0].purge_step == 41


def test_nothing_happens_without_it(monkeypatch, tmp_path: Path, caplog) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)  # importing it fails
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    with caplog.at_level(logging.DEBUG):
        writer(tmp_path).write(ROWS[0])
    assert caplog.records == [] and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("method", ["__init__", "add_scalar", "flush"])
def test_its_faults_are_told_once_and_stop_nothing(events, tmp_path, caplog, method) -> None:
    def fail(*_: object, **__: object) -> None:
        raise TypeError("descriptors cannot be created directly")

    setattr(events, method, fail)
    with caplog.at_level(logging.INFO):
        board = writer(tmp_path)
        for row in ROWS:
            board.write(row)
    [record] = caplog.records
    assert record.levelno == logging.INFO and "descriptors" in record.getMessage()
