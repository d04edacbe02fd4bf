"""Files of models: round trips, and every damaged, foreign or hostile file refused."""

import hashlib
import io
import json
import os
import pickle
import random
import struct
from pathlib import Path

import pytest
import torch
from hostile_files import Bomb, assert_refused, flip_bit, recorded_events, write_half
from safetensors import safe_open
from safetensors.torch import save_file
from tiny_models import G_CONFIG, digest, tiny_discriminator, tiny_generator

import runtime
from engine.files import file_sha256
from stylegan import checkpoint, load_generator
from stylegan.checkpoint import CheckpointError, save_generator, save_weights

FORMAT_1 = {"kind": "generator", "format_version": "1", "config": json.dumps(G_CONFIG.to_dict())}


@pytest.fixture(scope="module")
def whole_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "g.safetensors"
    save_generator(path, tiny_generator(), trained_kimg=1.5)
    return path


@pytest.fixture
def file(tmp_path, whole_file):
    """A generator's file to damage, alone in its folder."""
    path = tmp_path / "generator.safetensors"
    path.write_bytes(whole_file.read_bytes())
    return path


# --- round trips -------------------------------------------------------------------------------


def test_generator_comes_back_exactly(whole_file):
    G, loaded = tiny_generator(), load_generator(str(whole_file))
    assert loaded.config == G_CONFIG
    assert digest(dict(loaded.state_dict())) == digest(dict(G.state_dict()))
    assert not loaded.training
    assert not any(p.requires_grad for p in loaded.parameters())


def test_metadata_are_strings_that_say_what_the_file_is(whole_file):
    with safe_open(whole_file, "pt") as file:
        metadata = file.metadata()
    content = whole_file.read_bytes().replace(metadata.pop("sha256").encode(), b"0" * 64)
    assert json.loads(metadata.pop("config")) == G_CONFIG.to_dict()
    assert metadata == {"kind": "generator", "format_version": "2", "trained_kimg": "1.5"}
    assert hashlib.sha256(content).hexdigest().encode() in whole_file.read_bytes()


def test_the_same_weights_are_the_same_bytes(tmp_path, whole_file):
    """Encoders name their generator by the digest of its file; safetensors shuffles metadata."""
    content = set()
    for k in range(8):
        save_generator(tmp_path / f"{k}.safetensors", tiny_generator(), trained_kimg=1.5)
        content.add((tmp_path / f"{k}.safetensors").read_bytes())
    assert content == {whole_file.read_bytes()}
    assert int.from_bytes(whole_file.read_bytes()[:8], "little") % 8 == 0


# --- what is refused ---------------------------------------------------------------------------


def test_missing_file(tmp_path):
    assert_refused(tmp_path / "nothing.safetensors", "no such file", 66)


@pytest.mark.parametrize("keep", [0, 1, 7, 8, 9, 200, 0.5, -1])
def test_truncated_file(file, keep):
    content = file.read_bytes()
    file.write_bytes(content[: int(keep * len(content)) if keep == 0.5 else keep])
    assert_refused(file, "not a whole safetensors file")


def test_trailing_bytes(file):
    file.write_bytes(file.read_bytes() + b"\0" * 8)
    assert_refused(file, "not a whole safetensors file")


@pytest.mark.parametrize("length", [2**63, 2**40, 0])
def test_absurd_header_length(file, length):
    file.write_bytes(struct.pack("<Q", length) + file.read_bytes()[8:])
    assert_refused(file, "not a whole safetensors file")


def test_flipped_bits_are_found_by_the_manifest(file):
    entry = {"sha256": file_sha256(file)}
    (file.parent / "manifest.json").write_text(json.dumps({"files": {file.name: entry}}))
    load_generator(file)
    size = file.stat().st_size
    for place in [0, 7, 8, 100, *range(size // 2, size, size // 20), size - 1]:
        flip_bit(file, place)
        assert_refused(file, "damaged, its SHA-256")
        flip_bit(file, place)
    load_generator(file)


def test_300_flipped_bits_and_200_truncations_are_found_without_a_manifest(file):
    """Half of the flips in the header, half in the tensors; safetensors alone finds few."""
    content, rng = file.read_bytes(), random.Random(0)
    start = 8 + int.from_bytes(content[:8], "little")
    places = [rng.randrange(start) for _ in range(150)]
    places += [rng.randrange(start, len(content)) for _ in range(150)]
    for place in places:
        flip_bit(file, place)
        assert_refused(file, None)
        flip_bit(file, place)
    load_generator(file)
    for _ in range(200):
        file.write_bytes(content[: rng.randrange(len(content))])
        assert_refused(file, "not a whole safetensors file")


@pytest.mark.slow
def test_every_flipped_bit_of_the_header_is_found(file):
    content = file.read_bytes()
    for bit in range(8 * (8 + int.from_bytes(content[:8], "little"))):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        file.write_bytes(damaged)
        assert_refused(file, None)


def test_a_digest_cannot_be_left_out(file):
    """Else a flip in its name, or in the number of the format, would hide the next one."""
    content = file.read_bytes()
    file.write_bytes(content.replace(b'"sha256":', b'"sha255":'))
    assert_refused(file, "damaged, its SHA-256")
    file.write_bytes(content.replace(b'"format_version":"2"', b'"format_version":"1"'))
    assert_refused(file, "damaged, its SHA-256")


def test_files_of_format_1_have_no_digest(tmp_path):
    G = tiny_generator()
    save_file(G.state_dict(), tmp_path / "old.safetensors", FORMAT_1)
    loaded = load_generator(tmp_path / "old.safetensors")
    assert digest(dict(loaded.state_dict())) == digest(dict(G.state_dict()))


def test_a_manifest_need_not_list_the_file(file):
    entry = {"sha256": "0" * 64}
    (file.parent / "manifest.json").write_text(json.dumps({"files": {"another": entry}}))
    load_generator(file)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"files": []}', '{"files": 3}', "\xff"])
def test_damaged_manifest(file, text):
    manifest = file.parent / "manifest.json"
    manifest.write_bytes(text.encode("latin-1"))
    with pytest.raises(CheckpointError, match="not a list of model files") as caught:
        load_generator(file)
    assert str(caught.value).startswith(f"{manifest}: ")


def test_another_kind(tmp_path):
    path = tmp_path / "d.safetensors"
    save_weights(path, "discriminator", {}, tiny_discriminator().state_dict())
    assert_refused(path, "holds discriminator weights, generator weights are needed")


def test_a_safetensors_file_of_somebody_else(tmp_path):
    save_file({"x": torch.zeros(3)}, tmp_path / "x.safetensors")
    assert_refused(tmp_path / "x.safetensors", "unnamed weights")


def saved_with(path, config=None, state=None, **metadata):
    config = G_CONFIG.to_dict() if config is None else config
    state = tiny_generator().state_dict() if state is None else state
    save_weights(path, "generator", config, state, **metadata)


def test_newer_format(tmp_path):
    path = tmp_path / "new.safetensors"
    saved_with(path, config={"z_dim": 16, "invented_later": 1}, format_version=3)
    assert_refused(path, "format 3 is newer than 2. Update Irodori", 76)
    saved_with(path, format_version="many")
    assert_refused(path, "format_version is no number")


@pytest.mark.parametrize(
    "config",
    [{**G_CONFIG.to_dict(), "invented": 1}, {**G_CONFIG.to_dict(), "img_resolution": 17}, [], 3],
    ids=["unknown name", "bad value", "list", "number"],
)
def test_configuration_that_cannot_be_used(tmp_path, config):
    saved_with(tmp_path / "c.safetensors", config=config)
    assert_refused(tmp_path / "c.safetensors", "its configuration cannot be used")


@pytest.mark.parametrize("damage", ["missing", "left over", "shape"])
def test_weights_that_do_not_fit_the_configuration(tmp_path, damage):
    state = dict(tiny_generator().state_dict())
    if damage == "missing":
        del state["mapping.w_avg"]
    elif damage == "left over":
        state["more"] = torch.zeros(1)
    else:
        state["mapping.w_avg"] = torch.zeros(17)
    saved_with(tmp_path / "s.safetensors", state=state)
    assert_refused(tmp_path / "s.safetensors", "does not fit its own configuration")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite(tmp_path, value):
    """Somebody else's file: ours are not written with such values, and have a digest."""
    save_file({"w": torch.tensor([0, value])}, tmp_path / "w.safetensors", FORMAT_1)
    assert_refused(tmp_path / "w.safetensors", "not finite")


def test_weights_that_are_not_finite_are_not_written(tmp_path):
    G, path = tiny_generator(), tmp_path / "g.safetensors"
    save_generator(path, G)
    before = path.read_bytes()
    with torch.no_grad():
        G.synthesis.layers[2].bias[1] = float("nan")
    with pytest.raises(CheckpointError, match=r"not written, synthesis\.layers\.2\.bias") as caught:
        save_generator(path, G)
    assert runtime.exit_code(caught.value.code) == 79
    assert path.read_bytes() == before and os.listdir(tmp_path) == [path.name]


def test_things_that_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe.safetensors")
    (tmp_path / "folder.safetensors").mkdir()
    for path in (tmp_path / "pipe.safetensors", tmp_path / "folder.safetensors", Path("/dev/zero")):
        assert_refused(path, "not a model file")


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "huge.safetensors"
    with path.open("wb") as file:
        file.truncate(checkpoint.MAX_BYTES + 1)  # sparse: takes no space
    assert_refused(path, "not a model file")


# --- hostile pickles ---------------------------------------------------------------------------


def pickled(payload):
    return pickle.dumps(payload)


def torch_saved(payload, path):
    torch.save({"G_ema": payload, "x": torch.zeros(3)}, path)
    return path.read_bytes()


@pytest.mark.parametrize("name", ["network.pkl", "network.pt", "network.safetensors"])
@pytest.mark.parametrize("is_torch", [False, True], ids=["pickle", "torch"])
def test_pickles_are_refused_and_never_run(tmp_path, name, is_torch):
    marker, path = tmp_path / "marker", tmp_path / name
    content = torch_saved(Bomb(marker), path) if is_torch else pickled(Bomb(marker))
    path.write_bytes(content)
    assert_refused(path, "pickled weights .* are never opened")
    assert not marker.exists()
    if is_torch:
        torch.load(io.BytesIO(content), weights_only=False)
    else:
        pickle.loads(content)
    assert marker.exists(), "the bomb is a dud: the test shows nothing"


# --- writing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("is_first", [True, False])
def test_a_failed_write_leaves_no_trace(tmp_path, monkeypatch, is_first):
    path = tmp_path / "g.safetensors"
    if not is_first:
        save_generator(path, tiny_generator())
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    monkeypatch.setattr(Path, "write_bytes", write_half)
    with pytest.raises(OSError, match="No space left"):
        save_generator(path, tiny_generator(seed=5))
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_what_is_published_was_synced_first(tmp_path, monkeypatch):
    """A file must be on the disk before its name is, or a power cut leaves an empty one."""
    events = recorded_events(monkeypatch)
    save_generator(tmp_path / "g.safetensors", tiny_generator())
    at = events.index("name")
    assert any(event.startswith("sync .g.safetensors.tmp") for event in events[:at])
    assert f"sync {tmp_path.name}" in events[at:]
