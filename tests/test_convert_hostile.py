"""convert.py on hostile pickles: none runs, though each does where Python loads it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hostile_pickles import SOURCES, hostile_pickles

TESTS = Path(__file__).parent
FORBIDDEN = {"exec", "compile", "import", "marshal", "pickle", "subprocess", "socket", "code"}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Return the folder of the corpus and what each of its pickles is, by name."""
    folder, kinds = tmp_path_factory.mktemp("corpus"), {}
    for number, (kind, make) in enumerate(hostile_pickles()):
        name = f"{number:03d}"
        (folder / f"{name}.pkl").write_bytes(make(str(folder / f"{name}.ran")))
        kinds[name] = kind
    return folder, kinds


@pytest.fixture(scope="module")
def trial(corpus):
    folder, _ = corpus
    command = [sys.executable, str(TESTS / "hostile_trial.py"), str(folder)]
    environment = {"PYTHONPATH": f"{TESTS.parent}:{TESTS}", "PATH": "/usr/bin:/bin", "HOME": "/tmp"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_every_hostile_pickle_is_live_where_python_loads_it(corpus, trial):
    _, kinds = corpus
    assert len(kinds) >= 100
    duds = [kinds[name] for name in kinds if name not in trial["live"]]
    assert not duds, f"these show nothing: {duds}"


def test_no_hostile_pickle_runs_or_imports_anything(corpus, trial):
    """All that may happen is that the file itself is opened, and one line is printed."""
    folder, kinds = corpus
    for name, kind in kinds.items():
        done, path = trial["offered"][name], str(folder / f"{name}.pkl")
        assert (done["ran"], done["imported"]) == (False, []), kind
        if kind not in SOURCES:
            assert [event[:3] for event in done["events"]] == [["open", path, "r"]], kind
            assert (done["exit_code"], done["made"]) == (65, []), kind
            assert done["output"].startswith(f"error[E-MODEL]: {path}: "), kind
            assert done["output"].count("\n") == 1, kind
            assert "nothing in it was run" in done["output"], kind


def test_source_in_a_good_file_is_not_run(corpus, trial):
    """The file is converted: its tensors and options are good, and its source is never read."""
    _, kinds = corpus
    for name in (name for name, kind in kinds.items() if kind in SOURCES):
        done = trial["offered"][name]
        assert (done["exit_code"], done["made"]) == (0, ["generator.safetensors"]), done["output"]
        assert not {event[0].split(".")[0] for event in done["events"]} & FORBIDDEN
