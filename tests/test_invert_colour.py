"""invert.py under the control of colours: files and words in, evidence and notes out."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from tests.inversion.tiny import SIDE, picture_of
from tests.invert_case import Case, Run, assert_refused, quick_config, sha256

COLOURS = ("hair", "skin", "eyes", "clothes", "background")


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    quick_config(monkeypatch)
    monkeypatch.setattr("inversion.starts.NUM_GUESSES", 3)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    case = Case(tmp_path_factory.mktemp("colour"))
    yield case
    case.remove()


def saved(path: Path, array: np.ndarray) -> Path:
    Image.fromarray(array).save(path)
    return path


def painted(path: Path, side: int = SIDE) -> Path:
    """A red stroke through the upper left quarter."""
    strokes = np.zeros((side, side, 4), np.uint8)
    strokes[side // 4 : side // 2, side // 8 : side // 2] = (200, 40, 60, 255)
    return saved(path, strokes)


def quarters(names: tuple[str, ...] = COLOURS[:4]) -> SimpleNamespace:
    """A reader that sees a part in each quarter of every picture."""
    shares = torch.zeros(1, len(names), 64, 64)
    for k in range(len(names)):
        row, column = divmod(k, 2)
        shares[0, k, 32 * row : 32 * row + 32, 32 * column : 32 * column + 32] = 1
    return SimpleNamespace(names=names, read=lambda grey: shares)


def rms_of(done: Run) -> list[dict[str, float]]:
    assert done.code == 0, done.stderr
    return [row["evidence_rms_255"] for row in done.result["candidates"]]


def test_files_of_colour_become_evidence_and_are_recorded(case: Case) -> None:
    hint = painted(case.folder / "hint.png")
    cue = saved(case.folder / "cue.png", picture_of(case.G, seed=4))
    palette = saved(case.folder / "palette.png", picture_of(case.G, seed=5))
    done = case.run("--samples", 2, "--hint", hint, "--cue", cue, "--palette", palette)
    assert [set(row) for row in rms_of(done)] == [{"input", "hint", "cue", "palette"}] * 2
    assert all(done.result["sha256"][p.stem] == sha256(p) for p in (hint, cue, palette))
    assert done.result["options"]["hint"] == str(hint)
    assert max(row["residual_max_255"] for row in done.result["candidates"]) <= 1


def test_a_hint_of_another_size_is_resized_with_a_note(case: Case) -> None:
    hint = painted(case.folder / "large.png", side=100)
    done = case.run("--samples", 1, "--hint", hint)
    assert "hint" in rms_of(done)[0]
    assert "--hint: resized from 100x100 to the picture's 16x16" in done.stderr


def test_colours_by_name_go_where_the_parts_are(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The upper left quarter is hair: the tiny generator paints it redder, or bluer."""
    monkeypatch.setattr("colouring.steering.load_regions", quarters)
    quick_config(monkeypatch, num_steps=25)
    monkeypatch.setattr("inversion.starts.NUM_GUESSES", 16)
    redness = {}
    for colour in ("#d04040", "#4040d0"):
        done = case.run("--samples", 2, "--hair", colour)
        pictures = [done.png(row["file"]).astype(float) for row in done.result["candidates"]]
        assert set(rms_of(done)[0]) == {"input", "parts"}
        hair = np.stack(pictures)[:, : SIDE // 2, : SIDE // 2].mean((1, 2))
        redness[colour] = (hair[:, 0] - hair[:, 2]).mean()
    assert redness["#d04040"] > redness["#4040d0"] + 40, redness


def test_what_the_luma_does_not_allow_is_said(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("colouring.steering.load_regions", quarters)
    said = case.run("--samples", 1, "--hair", "#200010", "--eyes", "#FFF").stderr
    assert "--hair #200010 has a luma of 11, the input's hair" in said
    assert "--eyes #ffffff has a luma of 255" in said


def test_a_part_that_is_not_seen_is_left_out(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("colouring.steering.load_regions", lambda: quarters(("hair",)))
    done = case.run("--samples", 1, "--eyes", "#a03050")
    assert set(rms_of(done)[0]) == {"input"}
    assert "warning: " in done.stderr and "the input shows no eyes: left out" in done.stderr


def test_the_colours_of_a_candidate_are_taken_again(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("colouring.steering.load_regions", quarters)
    first = case.run("--samples", 2, "--seed", 5)
    quick_config(monkeypatch, num_steps=25)
    like = f"{first.folder / 'result.json'}:1"
    again = case.run("--samples", 2, "--like", like)
    assert "parts" in rms_of(again)[0]
    assert again.result["options"]["like"] == like
    assert again.result["sha256"]["like"] == sha256(first.folder / "candidate-1.png")


def test_words_that_name_no_colour_or_candidate_are_refused(case: Case, tmp_path: Path) -> None:
    for words in (("--hair", "#12345"), ("--eyes", "red"), ("--like", "result.json")):
        assert_refused(case.run(*words, outdir=tmp_path / "out"), 2, tmp_path, "E-USAGE")


def record(folder: Path, text: str) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "result.json").write_text(text)
    return f"{folder / 'result.json'}:0"


def test_records_that_hold_no_such_candidate_are_refused(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("colouring.steering.load_regions", quarters)
    outs, records = tmp_path / "outs", tmp_path / "records"
    outs.mkdir()
    outside = json.dumps({"candidates": [{"file": "../secret.png"}]})
    one = json.dumps({"candidates": [{"file": "candidate-0.png"}]})
    cases = {
        record(records, "{"): (65, "E-DATA-RESULT"),
        f"{tmp_path}/none.json:0": (66, "E-IO-MISSING"),
    }
    for like, (code, kind) in cases.items():
        assert_refused(case.run("--like", like, outdir=outs / "out"), code, outs, kind)
    for text, code, kind in ((outside, 65, "E-DATA-RESULT"), (one, 66, "E-IMG-MISSING")):
        like = record(records, text)
        assert_refused(case.run("--like", like, outdir=outs / "out"), code, outs, kind)
    like = record(records, one).replace(":0", ":7")
    assert_refused(case.run("--like", like, outdir=outs / "out"), 2, outs, "E-USAGE-LIKE")


def test_controls_that_cannot_be_followed_are_refused(case: Case, tmp_path: Path) -> None:
    empty = saved(case.folder / "empty.png", np.zeros((32, 32, 4), np.uint8))
    hint = painted(case.folder / "some.png")
    outs = tmp_path / "out"
    assert_refused(case.run("--hint", empty, outdir=outs), 65, tmp_path, "E-INV-HINT")
    assert_refused(case.run("--cue", empty, outdir=outs), 65, tmp_path, "E-INV-HINT")
    missing = case.folder / "nowhere.png"
    assert_refused(case.run("--palette", missing, outdir=outs), 66, tmp_path, "E-IMG-MISSING")
    for words in (("--input", "colour"), ("--method", "pulse")):
        done = case.run("--hint", hint, *words, outdir=outs)
        assert_refused(done, 2, tmp_path, "E-USAGE-CONTROL")
