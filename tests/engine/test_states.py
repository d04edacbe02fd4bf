"""Training states: round trips, damage found, older ones taken, nothing executed."""

import json
import os
import random

import pytest
import torch
from hostile_files import Bomb, assert_refused, flip_bit, recorded_events, write_half
from tiny_models import digest

from engine.files import file_sha256
from engine.states import (
    StateError,
    load_training_state,
    newest_training_state,
    prune_training_states,
    save_training_state,
)

STATE = {"step": 3, "x": torch.arange(1000.0), "nested": {0: {"y": torch.ones(2, 3)}}}


@pytest.fixture
def folder(tmp_path):
    save_training_state(tmp_path / "run" / "state-000000003", STATE)
    return tmp_path / "run" / "state-000000003"


def test_training_state_comes_back_exactly(folder):
    assert digest(load_training_state(folder)) == digest(STATE)
    assert sorted(os.listdir(folder)) == ["MANIFEST.json", "state.pt"]
    assert os.listdir(folder.parent) == [folder.name]
    entry = json.loads((folder / "MANIFEST.json").read_text())["files"]["state.pt"]
    content = (folder / "state.pt").read_bytes()
    assert entry == {"bytes": len(content), "sha256": file_sha256(folder / "state.pt")}


def test_every_flipped_bit_is_found(folder):
    size = (folder / "state.pt").stat().st_size
    for place in [0, *range(1, size, size // 30), size - 1]:
        flip_bit(folder / "state.pt", place)
        assert_refused(folder, "damaged", load=load_training_state)
        flip_bit(folder / "state.pt", place)
    load_training_state(folder)


def test_300_flipped_bits_and_200_truncations_are_found(folder):
    rng = random.Random(0)
    for path, flips, cuts in [(folder / "state.pt", 200, 150), (folder / "MANIFEST.json", 100, 50)]:
        content = path.read_bytes()
        for _ in range(flips):
            place = rng.randrange(len(content))
            flip_bit(path, place)
            assert_refused(folder, "damaged|incomplete", load=load_training_state)
            flip_bit(path, place)
        for _ in range(cuts):
            path.write_bytes(content[: rng.randrange(len(content))])
            assert_refused(folder, "damaged|incomplete", load=load_training_state)
        path.write_bytes(content)
    assert digest(load_training_state(folder)) == digest(STATE)


@pytest.mark.parametrize("keep", [0, 1, 100, -1])
def test_truncated_training_state(folder, keep):
    content = (folder / "state.pt").read_bytes()
    (folder / "state.pt").write_bytes(content[:keep])
    assert_refused(folder, "damaged", load=load_training_state)


@pytest.mark.parametrize("name", ["state.pt", "MANIFEST.json"])
def test_training_state_with_a_file_missing(folder, name):
    (folder / name).unlink()
    assert_refused(folder, "incomplete", load=load_training_state)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "3", '{"files": []}', '{"files": {"state.pt": 1}}']
)
def test_damaged_manifest_of_a_training_state(folder, text):
    (folder / "MANIFEST.json").write_text(text)
    assert_refused(folder, "incomplete", load=load_training_state)


def test_newest_state_is_taken_and_the_previous_where_it_is_damaged(folder, caplog):
    newer = folder.with_name("state-000000010")
    save_training_state(newer, {"step": 10})
    assert newest_training_state(folder.parent) == {"step": 10}
    flip_bit(newer / "state.pt", 40)
    assert newest_training_state(folder.parent)["step"] == 3
    assert str(newer) in caplog.text and "damaged" in caplog.text
    flip_bit(folder / "state.pt", 40)
    with pytest.raises(StateError, match="damaged"):
        newest_training_state(folder.parent)


def test_a_run_without_a_state(tmp_path):
    for run in (tmp_path, tmp_path / "nowhere"):
        assert_refused(run, "no training state there", 66, load=newest_training_state)


def test_half_written_states_are_not_states(folder):
    folder.rename(folder.with_name(".tmp-" + folder.name))
    assert_refused(folder.parent, "no training state there", 66, load=newest_training_state)


def test_a_state_of_the_same_name_is_replaced(folder):
    flip_bit(folder / "state.pt", 40)
    save_training_state(folder, {"step": 4})
    assert load_training_state(folder) == {"step": 4}
    assert os.listdir(folder.parent) == [folder.name]


def test_pruning_keeps_the_newest(tmp_path):
    for step in (8, 9, 10, 100):
        save_training_state(tmp_path / f"state-{step:09d}", {"step": step})
    (tmp_path / "generator.safetensors").touch()
    prune_training_states(tmp_path, keep=2)
    assert sorted(os.listdir(tmp_path)) == [
        "generator.safetensors",
        "state-000000010",
        "state-000000100",
    ]


def test_a_pickle_in_a_training_state_is_never_run(tmp_path):
    marker, folder = tmp_path / "marker", tmp_path / "state-1"
    save_training_state(folder, {"payload": Bomb(marker)})  # with a manifest that agrees
    assert_refused(folder, "holds more than tensors", load=load_training_state)
    assert not marker.exists()
    torch.load(folder / "state.pt", weights_only=False)
    assert marker.exists(), "the bomb is a dud: the test shows nothing"


def test_a_failed_training_state_leaves_no_trace(folder, monkeypatch):
    monkeypatch.setattr(torch, "save", lambda value, path: write_half(path))
    for name in (folder.name, "state-000000004"):
        with pytest.raises(OSError, match="No space left"):
            save_training_state(folder.with_name(name), {"step": 4})
    assert os.listdir(folder.parent) == [folder.name]
    assert load_training_state(folder)["step"] == 3


def test_what_is_published_was_synced_first(tmp_path, monkeypatch):
    events = recorded_events(monkeypatch)
    save_training_state(tmp_path / "state-1", STATE)
    at = events.index("name")
    assert {"sync state.pt", "sync MANIFEST.json"} <= set(events[:at])
    assert f"sync {tmp_path.name}" in events[at:]
