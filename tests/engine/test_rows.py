"""Files of rows: appended to, read back, and cut where a resumed run goes on."""

from engine.rows import append_row, forget_rows, read_rows


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
