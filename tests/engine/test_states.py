"""Training states: round trips, damage found, older ones taken, nothing executed."""

import json
import os
import random

import pytest
import torch
from fault_case import in_child, set_fault
from hostile_files import Bomb, assert_refused, flip_bit, recorded_events, write_half

from engine import states
from engine.digest import state_digest
from engine.files import file_sha256
from engine.manifest import StateError, check_manifest, write_manifest
from engine.states import (
    list_states,
    load_state,
    publish_state,
    remove_leftovers,
    resolve_state,
    state_folder,
)

STATE = {"step": 3, "x": torch.arange(1000.0), "nested": {0: {"y": torch.ones(2, 3)}}}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "run").mkdir()
    publish_state(tmp_path / "run", 3, STATE)
    return tmp_path / "run" / "state-000000003"


def steps(run):
    return [load_state(folder)["step"] for folder in list_states(run)]


def test_a_state_comes_back_exactly(folder):
    assert state_digest(load_state(folder)) == state_digest(STATE)
    assert sorted(os.listdir(folder)) == ["MANIFEST.json", "state.pt"]
    assert sorted(os.listdir(folder.parent)) == ["LATEST", folder.name]
    assert (folder.parent / "LATEST").read_text() == folder.name + "\n"
    manifest = json.loads((folder / "MANIFEST.json").read_text())
    content = (folder / "state.pt").read_bytes()
    entry = {"bytes": len(content), "sha256": file_sha256(folder / "state.pt")}
    assert manifest.pop("files") == {"state.pt": entry} and manifest.pop("sha256")
    facts = {"format_version": 1, "torch": torch.__version__, "step": 3}
    assert manifest == {**facts, "state_digest": state_digest(STATE)}


def test_every_flipped_bit_is_found(folder):
    size = (folder / "state.pt").stat().st_size
    for place in [0, *range(1, size, size // 30), size - 1]:
        flip_bit(folder / "state.pt", place)
        assert_refused(folder, "damaged", load=load_state)
        flip_bit(folder / "state.pt", place)
    load_state(folder)


def test_300_flipped_bits_and_200_truncations_are_found(folder):
    rng = random.Random(0)
    for path, flips, cuts in [(folder / "state.pt", 200, 150), (folder / "MANIFEST.json", 100, 50)]:
        content = path.read_bytes()
        for _ in range(flips):
            place = rng.randrange(len(content) - 1)  # the last of a manifest is a line's end
            flip_bit(path, place)
            assert_refused(folder, "damaged|incomplete", load=load_state)
            flip_bit(path, place)
        for _ in range(cuts):
            path.write_bytes(content[: rng.randrange(len(content) - 1)])
            assert_refused(folder, "damaged|incomplete", load=load_state)
        path.write_bytes(content)
    assert state_digest(load_state(folder)) == state_digest(STATE)


@pytest.mark.parametrize("keep", [0, 1, 100, -1])
def test_a_truncated_state(folder, keep):
    content = (folder / "state.pt").read_bytes()
    (folder / "state.pt").write_bytes(content[:keep])
    assert_refused(folder, "damaged", load=load_state)


@pytest.mark.parametrize("name", ["state.pt", "MANIFEST.json"])
def test_a_state_with_a_file_missing(folder, name):
    (folder / name).unlink()
    assert_refused(folder, "incomplete", load=load_state)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "3", '{"files": []}', '{"files": {"state.pt": 1}}']
)
def test_a_damaged_manifest(folder, text):
    (folder / "MANIFEST.json").write_text(text)
    assert_refused(folder, "incomplete", load=load_state)


def test_a_state_of_a_newer_format_is_refused_and_no_older_one_taken(folder, monkeypatch):
    monkeypatch.setattr("engine.manifest.FORMAT_VERSION", 999)
    publish_state(folder.parent, 4, {"step": 4})
    monkeypatch.undo()
    for load in (load_state, resolve_state):
        assert_refused(folder.with_name("state-000000004"), "format 999 is newer than 1", 76, load)
    with pytest.raises(StateError, match="newer than 1"):
        resolve_state(folder.parent)


def test_the_newest_is_taken_and_an_older_one_where_it_is_damaged(folder, caplog):
    newer, newest = (state_folder(folder.parent, step) for step in (10, 11))
    publish_state(folder.parent, 10, {"step": 10})
    publish_state(folder.parent, 11, {"step": 11})
    assert resolve_state(folder.parent) == newest
    flip_bit(newest / "state.pt", 40)
    (newer / "MANIFEST.json").unlink()
    assert resolve_state(folder.parent) == folder
    first, second = (record.getMessage() for record in caplog.records)
    for message, damaged in ((first, newest), (second, newer)):
        assert message.startswith(f"{damaged}: ") and f"Taking {folder} instead" in message
    flip_bit(folder / "state.pt", 40)
    with pytest.raises(StateError, match="damaged") as caught:
        resolve_state(folder.parent)
    assert str(caught.value).startswith(f"{newest}: ")


def test_one_state_can_be_named(folder):
    publish_state(folder.parent, 10, {"step": 10})
    assert resolve_state(folder) == folder
    flip_bit(folder / "state.pt", 40)
    assert_refused(folder, "damaged", load=resolve_state)
    gone = folder.with_name("state-000000005")
    assert_refused(gone, "no training state there", 66, load=resolve_state)
    moved = folder.with_name("state-000000010").rename(folder.parent / "of-yesterday")
    assert_refused(moved, "no training state there", 66, load=resolve_state)  # whose run is gone


@pytest.mark.parametrize("content", ["", "state-000000099", "state-000000003/../.."])
def test_latest_is_a_hint_that_nobody_trusts(folder, content):
    (folder.parent / "LATEST").write_text(content)
    assert resolve_state(folder.parent) == folder
    (folder.parent / "LATEST").unlink()
    assert resolve_state(folder.parent) == folder


def test_a_run_without_a_state(tmp_path):
    for run in (tmp_path, tmp_path / "nowhere"):
        assert_refused(run, "no training state there", 66, load=resolve_state)


def test_half_written_states_are_not_states(folder):
    folder.rename(folder.with_name(".tmp-" + folder.name))
    assert_refused(folder.parent, "no training state there", 66, load=resolve_state)


def test_a_damaged_or_other_state_of_the_same_step_is_replaced(folder):
    flip_bit(folder / "state.pt", 40)
    for value in (3, 4):
        publish_state(folder.parent, 3, {"step": value})
        assert load_state(folder) == {"step": value}
        assert sorted(os.listdir(folder.parent)) == ["LATEST", folder.name]


def test_the_same_state_is_not_written_again(folder):
    before = (folder / "state.pt").stat()
    digest = publish_state(folder.parent, 3, load_state(folder))
    assert digest == state_digest(STATE) and (folder / "state.pt").stat() == before


def test_the_newest_are_kept(tmp_path):
    (tmp_path / "generator.safetensors").touch()
    for step in (8, 9, 10, 100, 1_000_000_000):
        publish_state(tmp_path, step, {"step": step}, keep=2)
    assert steps(tmp_path) == [100, 1_000_000_000]
    assert (tmp_path / "generator.safetensors").exists()


def test_folders_of_other_names_are_no_states(folder):
    for name in ("state-old", "state-000000099.copy", "state-"):
        folder.with_name(name).mkdir()
    publish_state(folder.parent, 20, {"step": 20})
    state_folder(folder.parent, 20).rename(folder.with_name("state-20"))
    assert resolve_state(folder.parent).name == "state-20"
    publish_state(folder.parent, 21, {"step": 21}, keep=1)
    assert steps(folder.parent) == [21]
    assert folder.with_name("state-old").exists()


def test_a_run_that_went_back_leaves_later_states_behind(tmp_path):
    for step in (1, 2, 3, 9):
        publish_state(tmp_path, step, {"step": step}, keep=9)
    flip_bit(state_folder(tmp_path, 9) / "state.pt", 40)
    publish_state(tmp_path, 4, {"step": 4}, keep=2)
    assert steps(tmp_path) == [3, 4]


def test_the_only_whole_state_is_kept_until_the_next_is_whole(tmp_path, monkeypatch):
    publish_state(tmp_path, 1, {"step": 1}, keep=1)
    set_fault(monkeypatch, "ckpt.mid_write@1=shortwrite")
    with pytest.raises(StateError, match=r"did not arrive.*damaged") as caught:
        publish_state(tmp_path, 2, {"step": 2}, keep=1)
    assert caught.value.code == "E-IO" and steps(tmp_path) == [1]
    publish_state(tmp_path, 2, {"step": 2}, keep=1)
    assert steps(tmp_path) == [2]


def test_a_pickle_in_a_state_is_never_run(tmp_path):
    marker, folder = tmp_path / "marker", tmp_path / "state-000000001"
    with pytest.raises(TypeError, match="state\\['payload'\\] is a Bomb"):
        publish_state(tmp_path, 1, {"payload": Bomb(marker)})
    folder.mkdir()
    torch.save({"payload": Bomb(marker)}, folder / "state.pt")  # with a manifest that agrees
    size, digest = (folder / "state.pt").stat().st_size, file_sha256(folder / "state.pt")
    write_manifest(folder, {"state.pt": {"bytes": size, "sha256": digest}})
    assert_refused(folder, "holds more than tensors", load=load_state)
    assert not marker.exists()
    torch.load(folder / "state.pt", weights_only=False)
    assert marker.exists(), "the bomb is a dud: the test shows nothing"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_state_that_is_not_finite_is_not_published(folder, value):
    lost = {"step": 4, "trainer": {"G": {"w": torch.tensor([1.0, value])}}}
    with pytest.raises(StateError, match=r"state\['trainer'\]\['G'\]\['w'\] holds") as caught:
        publish_state(folder.parent, 4, lost)
    assert caught.value.code == "E-TRAIN-NAN"
    assert steps(folder.parent) == [3]
    publish_state(folder.parent, 4, {"step": 4, "distance": value, "x": torch.tensor(1)})


def test_a_state_that_cannot_be_written_leaves_no_trace(folder, monkeypatch):
    monkeypatch.setattr(torch, "save", lambda value, tally: write_half(tally.file.name))
    for step in (3, 4):
        with pytest.raises(StateError, match="No space left") as caught:
            publish_state(folder.parent, step, {"step": 4})
        assert caught.value.code == "E-IO-FULL"
    assert sorted(os.listdir(folder.parent)) == ["LATEST", folder.name]
    assert load_state(folder)["step"] == 3


@pytest.mark.parametrize("point", ["before_write", "mid_write", "before_fsync", "before_manifest"])
def test_a_full_disk_gets_a_second_try_with_one_state_less(tmp_path, monkeypatch, point):
    for step in (1, 2, 3):
        publish_state(tmp_path, step, {"step": step})
    set_fault(monkeypatch, f"ckpt.{point}@1=enospc")
    publish_state(tmp_path, 4, {"step": 4})
    assert steps(tmp_path) == [2, 3, 4]
    set_fault(monkeypatch, f"ckpt.{point}=enospc")
    with pytest.raises(StateError, match="No space left"):
        publish_state(tmp_path, 5, {"step": 5})
    assert steps(tmp_path) == [3, 4]
    flip_bit(state_folder(tmp_path, 4) / "state.pt", 40)
    with pytest.raises(StateError, match="No space left"):
        publish_state(tmp_path, 5, {"step": 5}, keep=1)
    assert resolve_state(tmp_path) == state_folder(tmp_path, 3)
    flip_bit(state_folder(tmp_path, 4) / "state.pt", 40)  # whole again
    with pytest.raises(StateError, match="No space left"):
        publish_state(tmp_path, 5, {"step": 5}, keep=1)
    assert steps(tmp_path) == [4]
    assert not list(tmp_path.glob(".tmp-*"))


def test_room_is_looked_for_before_anything_is_written(folder, monkeypatch):
    asked = []
    monkeypatch.setattr(states, "require_room", lambda where, size: asked.append((where, size)))
    publish_state(folder.parent, 4, {"x": torch.ones(1000), "y": [torch.ones(3, dtype=torch.int8)]})
    assert asked == [(folder.parent, 4003)]


@pytest.mark.parametrize("point", ["before_write", "mid_write", "before_manifest", "before_rename"])
def test_another_error_of_the_disk(folder, monkeypatch, point):
    set_fault(monkeypatch, f"ckpt.{point}=eio")
    for step in (3, 4):
        with pytest.raises(StateError, match="Input/output error") as caught:
            publish_state(folder.parent, step, {"step": 4})
        assert caught.value.code == "E-IO"
        assert str(caught.value).startswith(str(state_folder(folder.parent, step)))
    assert steps(folder.parent) == [3]


def test_the_hint_is_not_worth_an_error(folder, monkeypatch, caplog):
    set_fault(monkeypatch, "ckpt.before_latest=enospc")
    publish_state(folder.parent, 4, {"step": 4})
    assert "LATEST: not renewed" in caplog.text and steps(folder.parent) == [3, 4]


POINTS = (
    "before_write mid_write before_fsync before_manifest "
    "before_rename after_rename before_latest mid_prune"
).split()


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_anywhere_loses_nothing(tmp_path, monkeypatch, point):
    def publish_four():
        for step in (1, 2, 3, 4):
            publish_state(tmp_path, step, {"step": step, "x": torch.full((99,), step)}, keep=2)

    set_fault(monkeypatch, f"ckpt.{point}@2=kill")
    assert in_child(publish_four) == -9
    is_there = point in ("after_rename", "before_latest")
    last = 4 if point == "mid_prune" else 2 if is_there else 1
    assert load_state(resolve_state(tmp_path))["step"] == last
    assert len(list(tmp_path.glob(".tmp-*"))) == (point not in ("before_write", *POINTS[5:7]))
    remove_leftovers(tmp_path)
    assert not list(tmp_path.glob(".*"))
    assert all(check_manifest(folder) for folder in list_states(tmp_path))
    assert load_state(resolve_state(tmp_path))["step"] == last


def test_leftovers_of_every_kind_are_removed_and_nothing_else(folder):
    run = folder.parent
    (run / ".tmp-state-000000004-0123").mkdir()
    (run / ".tmp-state-000000004-0123" / "state.pt").touch()
    for name in (".generator.safetensors.tmp-0123", ".lock", "stats.jsonl", "notes.tmp-1"):
        (run / name).touch()
    remove_leftovers(run)
    assert {p.name for p in run.iterdir()} == {
        ".lock",
        "LATEST",
        "notes.tmp-1",
        "state-000000003",
        "stats.jsonl",
    }


def test_what_is_published_was_synced_first(tmp_path, monkeypatch):
    events = recorded_events(monkeypatch)
    publish_state(tmp_path, 1, STATE)
    at = events.index("name")
    assert {"sync state.pt", "sync MANIFEST.json"} <= set(events[:at])
    assert events[at - 1].startswith("sync .tmp-state-000000001-")
    assert events[at + 1] == f"sync {tmp_path.name}"
