"""Files of rows: appended to, read back, and cut where a resumed run goes on."""

import os
import resource

import pytest
from fault_case import in_child

from engine.rows import append_line, append_row, forget_rows, read_rows


def test_rows_come_back(tmp_path):
    path = tmp_path / "stats.jsonl"
    assert read_rows(path) == []
    rows = [{"step": k, "loss": 0.1 * k, "text": "ä\n"} for k in range(3)]
    for row in rows:
        append_row(path, row)
    assert read_rows(path) == rows


def test_a_line_that_a_kill_cut_off_is_left_out(tmp_path):
    path = tmp_path / "stats.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n{"st')
    assert read_rows(path) == [{"step": 1}, {"step": 2}]


def test_forgetting(tmp_path):
    path = tmp_path / "stats.jsonl"
    forget_rows(path, 1)
    assert not path.exists()
    path.write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n{"st')
    forget_rows(path, 2)
    assert path.read_text() == '{"step": 1}\n{"step": 2}\n'
    assert [p.name for p in tmp_path.iterdir()] == ["stats.jsonl"]


def test_a_line_that_finds_no_room_leaves_nothing(tmp_path, caplog):
    """The file may not grow beyond 20 bytes: the third line would be cut in two."""
    path = tmp_path / "stats.jsonl"

    def append_three():
        resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20))
        for k in range(3):
            append_row(path, {"k": k})
        assert caplog.text.count("stats.jsonl: a line is missing") == 1

    assert in_child(append_three) == 0
    assert read_rows(path) == [{"k": 0}, {"k": 1}] and path.stat().st_size == 18


def test_a_full_device_costs_the_line_only(caplog):
    append_line("/dev/full", "x")
    assert "/dev/full: a line is missing (No space left on device)" in caplog.text


def test_other_errors_pass(tmp_path):
    with pytest.raises(IsADirectoryError):
        append_line(tmp_path, "x")
    assert os.listdir(tmp_path) == []
