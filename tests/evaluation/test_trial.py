"""Trials of methods: nothing left out, failures counted, and the files that tell of it."""

import csv
import io
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from data.archive import DatasetError
from data.dataset import ImageDataset
from evaluation.cases import HeldOut, Pairs
from evaluation.methods import Answer, Method, method_of
from evaluation.scores import Judges
from evaluation.tables import as_csv, figure, grid, markdown, per_face
from evaluation.trial import attempt, row_of, trial

SIDE, SMALL, FACES = 24, 8, 9


def small(x: Tensor) -> Tensor:
    """Make pictures grey and small, roughly: every third pixel of green."""
    return ((x[:, 1:2, 1::3, 1::3].float() + 1) * 127.5).round() / 127.5 - 1


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    (tmp_path / "truth").mkdir()
    (tmp_path / "input").mkdir()
    for k in range(FACES):
        levels = rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
        Image.fromarray(levels).save(tmp_path / "truth" / f"{k}.png")
        Image.fromarray(levels[1::3, 1::3, 1]).save(tmp_path / "input" / f"{k}.png")
    return tmp_path


@pytest.fixture
def cases(folder: Path) -> HeldOut:
    return HeldOut(ImageDataset(folder / "truth"), small)


def grey(y: Tensor) -> Answer:
    """Two candidates: the input three times as large, and nearly that."""
    x = y.repeat_interleave(3, 2).repeat_interleave(3, 3).expand(-1, 3, -1, -1)
    return Answer(torch.cat([x, x * 0.5]), {"before": [1.0, 3.0], "evaluations": [7.0]})


# ---- cases ----


def test_held_out_pictures_are_evenly_spaced_files(folder: Path) -> None:
    cases = HeldOut(ImageDataset(folder / "truth"), small, num=3)
    assert len(cases) == 3 and [case.name for case in cases] == ["0.png", "3.png", "6.png"]
    levels = np.asarray(Image.open(folder / "truth" / "3.png"))
    case = list(cases)[1]
    assert np.array_equal(((case.x[0] + 1) * 127.5).round().permute(1, 2, 0).numpy(), levels)
    assert torch.equal(case.y, small(case.x))
    assert len(HeldOut(ImageDataset(folder / "truth"), small, num=50)) == FACES


def test_pairs_are_files_of_the_same_name(folder: Path) -> None:
    (folder / "input" / "4.png").rename(folder / "input" / "4.bmp")
    asked = []
    pairs = Pairs(folder, lambda size: (asked.append(size), small)[1], most=SMALL)
    held_out = HeldOut(ImageDataset(folder / "truth"), small)
    assert len(pairs) == FACES and set(asked) == {(SMALL, SMALL)}
    for one, other in zip(pairs, held_out, strict=True):
        assert one.name == other.name and torch.equal(one.x, other.x)
        torch.testing.assert_close(one.y, other.y, rtol=0, atol=1e-6)


def junk(path: Path) -> None:
    path.write_bytes(b"junk")


def wide(path: Path) -> None:
    Image.new("RGB", (SIDE + 1, SIDE)).save(path)


@pytest.mark.parametrize(
    ("name", "spoil", "said"),
    [
        ("truth/3.png", junk, "truth/3.png"),
        ("truth/3.png", wide, r"truth/3.png: it is 25x24, not 24x24"),
        ("input/3.png", junk, "input/3.png"),
        ("input/3.png", wide, r"input/3.png: it (is|has) 25x24"),
        ("input/3.png", Path.unlink, r"truth/3.png: there is no input picture of that name"),
        ("truth/3.png", Path.unlink, r"input/3.png: there is no truth picture of that name"),
    ],
)
def test_a_bad_pair_is_an_error_that_names_it(folder: Path, name: str, spoil, said: str) -> None:
    spoil(folder / name)
    with pytest.raises(ValueError, match=said) as error:
        Pairs(folder, lambda size: small, most=SMALL)
    assert error.value.code.startswith(("E-DATA", "E-IMG"))


def test_a_bad_held_out_picture_is_named_before_anything_is_done(folder: Path) -> None:
    junk(folder / "truth" / "8.png")
    with pytest.raises(DatasetError, match=r"8\.png"):
        HeldOut(ImageDataset(folder / "truth"), small)


# ---- trials ----


def test_a_result_has_the_facts_of_the_method_and_the_scores_of_its_files(cases: HeldOut) -> None:
    [case, *_] = cases
    result = attempt(Method("grey", grey), case, Judges(None, None))
    assert result.pictures.shape == (2, SIDE, SIDE, 3) and result.pictures.dtype == np.uint8
    assert (result.scores["before"], result.scores["evaluations"]) == ([1, 3], [7])
    assert result.scores["max"][0] == 0 and result.scores["failed"] == [0]
    expected = np.abs(result.pictures.astype(float) - result.x).mean((1, 2, 3))
    assert result.scores["l1"] == pytest.approx(expected, rel=1e-6)
    assert result.scores["seconds"][0] > 0


def fails(y: Tensor) -> Answer:
    raise RuntimeError("no idea")


def broken(value: float):
    return lambda y: Answer(torch.full((1, 3, SIDE, SIDE), value))


@pytest.mark.parametrize(
    ("solve", "said"),
    [
        (fails, "RuntimeError: no idea"),
        (broken(math.nan), "not finite"),
        (lambda y: Answer(torch.zeros(2, 3, 8, 8)), r"are (2, 3, 8, 8), not [K, 3, 24, 24]"),
        (lambda y: Answer(torch.zeros(0, 3, SIDE, SIDE)), "not [K, 3, 24, 24]"),
    ],
)
def test_what_fails_is_judged_as_a_grey_picture(cases: HeldOut, solve, said: str, caplog) -> None:
    [case, *_] = cases
    result = attempt(Method("poor", solve), case, Judges(None, None))
    plain = attempt(Method("plain", broken(0.0)), case, Judges(None, None))
    assert said in result.error and result.scores["failed"] == [1] and "poor" in caplog.text
    timing = ("failed", "seconds", "peak_memory_mb")
    kept = [{k: v for k, v in r.scores.items() if k not in timing} for r in (result, plain)]
    assert kept[0] == kept[1] and (result.pictures == 128).all()


def test_one_failure_does_not_end_the_trial_nor_leave_a_face_out(cases: HeldOut) -> None:
    names = iter(case.name for case in cases)

    def sometimes(y: Tensor) -> Answer:
        return fails(y) if next(names) in ("2.png", "5.png") else grey(y)

    done = []
    method = Method("sometimes", sometimes, settings={"lr": 0.1})
    results = list(trial(method, cases, Judges(None, None), lambda: done.append(1)))
    row = row_of(method, results)
    assert len(done) == len(results) == row["faces"] == FACES
    assert (row["failed"], row["method"], row["lr"], row["candidates"]) == (2, "sometimes", 0.1, 2)
    means = [np.abs(r.pictures.astype(float) - r.x).mean() for r in results]
    weights = [len(r.pictures) for r in results]  # a failure is one candidate
    assert row["l1_mean"] == pytest.approx(np.average(means, weights=weights), abs=1e-3)


class Painter:
    """A colouriser as `baselines` has them; it may look at the truth."""

    name, seen = "painter", "colour cue"

    def see(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.cat([x, -x])

    def __call__(self, seen: Tensor) -> Tensor:
        return seen[:1]


def test_a_colouriser_is_a_method(cases: HeldOut) -> None:
    results = list(trial(method_of(Painter()), cases, Judges(None, None)))
    row = row_of(method_of(Painter()), results)
    assert (row["method"], row["sees"], row["l2_mean"]) == ("painter", "colour cue", 0)


# ---- files ----


@pytest.fixture
def table(cases: HeldOut) -> dict:
    methods = [Method("grey", grey), method_of(Painter())]
    return {m.name: list(trial(m, cases, Judges(None, None))) for m in methods}


def test_the_table_has_the_best_in_bold(table: dict) -> None:
    rows = [row_of(Method(name, grey), results) for name, results in table.items()]
    text = markdown(rows)
    head, _, grey_line, painter_line, *_ = text.splitlines()
    titles = [cell.strip() for cell in head.strip("|").split("|")]
    cells = dict(zip(titles, (c.strip() for c in painter_line.strip("|").split("|")), strict=True))
    assert cells["method"] == "painter" and cells["L1"] == "**0.00**" and cells["dE"] == "**0.00**"
    assert cells["spread"] == "" and "LPIPS" not in titles
    assert "**" not in grey_line.split("|")[titles.index("L1") + 1]
    assert "16.25/747.29" in text and "39.09/3046.84" in text


def test_every_face_is_a_line_of_the_csv(table: dict) -> None:
    rows = [row for name, results in table.items() for row in per_face(name, results)]
    found = list(csv.DictReader(io.StringIO(as_csv(rows))))
    assert [(r["method"], r["face"]) for r in found] == [
        (name, f"{k}.png") for name in table for k in range(FACES)
    ]
    expected = np.abs(table["grey"][4].pictures.astype(float) - table["grey"][4].x).mean()
    assert float(found[4]["l1_mean"]) == pytest.approx(expected, abs=1e-3)
    assert found[4]["residual_before_rms_255"] == "2.0" and "rank_a" in found[4]
    assert found[FACES]["residual_before_rms_255"] == ""  # the painter has none


def test_the_grid_shows_best_median_and_worst(table: dict) -> None:
    results = table["grey"]
    sheet = grid(results)
    num, cell = FACES // 3, 132
    assert sheet.shape[0] == 18 + 3 * num * cell
    worst = max(results, key=lambda r: np.mean(r.scores["de2000"]))
    last = sheet[-132:-4, -3 * cell : -2 * cell - 4]  # the truth, before two candidates
    shown = Image.fromarray(worst.x).resize((128, 128), Image.Resampling.NEAREST)
    assert np.array_equal(last, np.asarray(shown))


def test_the_figure_has_two_candidates_of_those_with_several(table: dict) -> None:
    sheet = figure(table, faces=4)
    assert sheet.shape[0] == 18 + 4 * 132
    left = sheet.shape[1] - 5 * 132  # input, truth, two of grey, one of the painter
    assert 0 < left < 132
    painter = sheet[18:146, -132:-4]
    truth = sheet[18:146, left + 132 : left + 260]
    assert np.array_equal(painter, truth)
