"""invert.py: every file it writes is read back and judged by Pillow, numpy and scikit-image."""

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib import colormaps
from PIL import Image
from safetensors.torch import load_file
from skimage.color import deltaE_cie76, deltaE_ciede2000, rgb2lab

from colouring.result import SPREAD_BRIGHTEST
from inversion.config import InversionConfig
from inversion.inputs import Canvas, small_input
from inversion.operators import Frame
from inversion.pipeline import rebuild
from inversion.precondition import NUM_PROBES
from inversion.pulse import PulseConfig
from stylegan import load_generator
from tests.inversion.tiny import SIDE, as_file, as_measurement, measured, picture_of
from tests.invert_case import CHUNK, Case, Run, quick_config, run, save_grey, sha256

ROOT = Path(__file__).parent.parent
NO_ENCODER = "no --encoder for this generator: candidates start from the prior"


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    quick_config(monkeypatch)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    case = Case(tmp_path_factory.mktemp("invert"))
    yield case
    case.remove()


@pytest.fixture(scope="module")
def five(case: Case) -> Run:
    with pytest.MonkeyPatch.context() as patch:
        quick_config(patch)
        return case.run("--samples", 5)


# ---- the files ----


def test_all_files_are_there(five: Run) -> None:
    assert (five.code, five.stdout) == (0, f"5 candidates in {five.folder}: see grid.png\n")
    names = [f"candidate-{k}.png" for k in range(5)]
    names += ["grid.png", "result.json", "spread.png", "ws.safetensors"]
    assert sorted(p.name for p in five.folder.iterdir()) == sorted(names)
    assert not list(five.folder.parent.glob(".*"))
    for k in range(5):
        with Image.open(five.folder / f"candidate-{k}.png") as picture:
            assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", (SIDE, SIDE))


def test_whoever_may_read_one_file_may_read_all(five: Run) -> None:
    assert len({p.stat().st_mode for p in five.folder.iterdir()}) == 1


def assert_pictures_are_as_reported(done: Run, levels: np.ndarray) -> np.ndarray:
    """Measure every PNG again; return the errors [N, h, w]."""
    errors = []
    for row in done.result["candidates"]:
        error = as_file(measured(done.png(row["file"]), len(levels))) - levels.astype(float)
        assert row["residual_max_255"] == np.abs(error).max()
        assert row["residual_rms_255"] == pytest.approx(np.sqrt((error**2).mean()), abs=1e-5)
        assert row["share_identical"] == pytest.approx((error == 0).mean(), abs=1e-6)
        assert row["feasible"] == (np.abs(error).max() <= 1)
        errors.append(error)
    return np.stack(errors)


def test_every_picture_made_small_and_grey_is_the_input(case: Case, five: Run) -> None:
    errors = assert_pictures_are_as_reported(five, case.levels)
    assert errors.shape == (5, 16, 16) and np.abs(errors).max() <= 1
    assert five.stderr.count("\n") == 1  # no warning, only the note that there is no encoder


def test_result_names_inputs_versions_and_times(case: Case, five: Run) -> None:
    result = five.result
    hashes = {"image": sha256(case.image), "generator": sha256(case.generator), "encoder": None}
    assert result["sha256"] == hashes
    assert (result["seed"], result["notes"]) == (0, [NO_ENCODER])
    assert (result["solver"]["chunk"], result["solver"]["tau"]) == (CHUNK, 0.06)
    assert (result["output_size"], result["input_size"]) == ([SIDE, SIDE], [16, 16])
    solved = 3 * CHUNK * (4 + 1)  # three chunks, of 4 steps and the picture itself
    assert result["generator_evaluations"] == pytest.approx((NUM_PROBES + solved) / 5)
    assert result["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert {"irodori", "python", "torchvision", "numpy", "pillow", "safetensors"} <= result[
        "versions"
    ].keys()
    assert (
        set(result["seconds"]) == {"prepare", "solve", "write"}
        and min(result["seconds"].values()) >= 0
    )
    assert [row["file"] for row in result["candidates"]] == [f"candidate-{k}.png" for k in range(5)]
    assert [row["seed"] for row in result["candidates"]] == [[0, k] for k in range(5)]


def test_pulse_is_offered_to_compare_with(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PulseConfig.__init__, "__defaults__", (5, 0.4))
    done = case.run("--samples", 2, "--method", "pulse")
    assert (done.code, done.stderr) == (0, "")
    assert (done.result["method"], done.result["solver"]["lr"]) == ("pulse", 0.4)
    assert_pictures_are_as_reported(done, case.levels)
    refused = case.run("--method", "pulse", "--encoder", case.generator)
    assert refused.code == 2 and "--encoder" in refused.stderr
    assert not refused.folder.exists()


def test_latents_rebuild_the_pictures(case: Case, five: Run) -> None:
    ws = load_file(five.folder / "ws.safetensors")["ws"]
    G = load_generator(case.generator)
    canvas = Canvas(SIDE, SIDE, InversionConfig())
    given = small_input(as_measurement(case.levels), Frame(16), canvas)
    again = rebuild(G, ws, given, CHUNK).pixels.double().numpy()
    for k, picture in enumerate(np.round((again.transpose(0, 2, 3, 1) + 1) * 127.5)):
        assert np.array_equal(picture, five.png(f"candidate-{k}.png"))


def test_residual_before_and_correction_are_of_the_generators_own_picture(
    case: Case, five: Run
) -> None:
    ws = load_file(five.folder / "ws.safetensors")["ws"]
    assert ws.shape == (5, case.G.config.num_ws, 16) and ws.dtype == torch.float32
    for row, w in zip(five.result["candidates"], ws, strict=True):
        own = np.clip(case.G.synthesis(w[None])[0].double().numpy(), -1, 1)
        own = (own.transpose(1, 2, 0) + 1) * 127.5
        before = measured(own, 16) - case.levels
        correction = five.png(row["file"]) - own
        for name, error in (("residual_before", before), ("correction", correction)):
            found = row[f"{name}_rms_255"]
            assert found == pytest.approx(np.sqrt((error**2).mean()), rel=1e-3), name


def test_ranking_is_by_residual_before_and_the_grid_follows_it(case: Case, five: Run) -> None:
    rows, order = five.result["candidates"], five.result["ranking"]
    residuals = [rows[k]["residual_before_rms_255"] for k in order]
    assert all(row["feasible"] for row in rows)
    assert sorted(order) == list(range(5)) and residuals == sorted(residuals)
    assert order != list(range(5)), "a poor example: any order would pass"
    grid = five.png("grid.png")
    assert grid.shape == (2 * 264 - 8, 5 * 264 - 8, 3)
    shown = [case.levels[..., None].repeat(3, 2).repeat(16, 0).repeat(16, 1)]
    shown += [five.png(f"candidate-{k}.png").repeat(8, 0).repeat(8, 1) for k in order]
    for cell, expected in zip([0, 2, 3, 4, 5, 6], shown, strict=True):
        top, left = cell // 5 * 264, cell % 5 * 264
        assert np.array_equal(grid[top : top + 256, left : left + 256], expected)


def test_spread_is_the_mean_difference_of_pairs_at_every_pixel(five: Run) -> None:
    lab = [rgb2lab(five.png(f"candidate-{k}.png") / 255) for k in range(5)]
    pairs = [deltaE_ciede2000(a, b) for a, b in itertools.combinations(lab, 2)]
    expected = colormaps["inferno"](np.mean(pairs, axis=0) / SPREAD_BRIGHTEST, bytes=True)
    found = five.png("spread.png").astype(int)
    assert np.abs(found - expected[..., :3]).max() <= 3 and found.std() > 10


def test_one_candidate_has_no_spread(case: Case) -> None:
    assert not (case.run("--samples", 1).folder / "spread.png").exists()


def test_colour_distances_are_those_of_scikit_image(case: Case, five: Run) -> None:
    ws = load_file(five.folder / "ws.safetensors")["ws"]
    own = (case.G.synthesis(ws).clamp(-1, 1).permute(0, 2, 3, 1).double().numpy() + 1) / 2
    finished = np.stack([five.png(f"candidate-{k}.png") / 255 for k in range(5)])
    for name, pictures, distance in (
        ("ciede2000", finished, deltaE_ciede2000),
        ("ciede2000_before", own, deltaE_ciede2000),
        ("cie76", finished, deltaE_cie76),
    ):
        lab = [rgb2lab(picture) for picture in pictures]
        table = np.array([[distance(a, b).mean() for b in lab] for a in lab])
        np.testing.assert_allclose(five.result[name]["pairs"], table, atol=0.02, err_msg=name)
        pairs = table[np.triu_indices(5, 1)]
        assert five.result[name]["mean"] == pytest.approx(pairs.mean(), abs=0.02)
        assert five.result[name]["min"] == pytest.approx(pairs.min(), abs=0.02)


# ---- again, fewer, elsewhere ----


def test_the_same_command_gives_the_same_bytes(case: Case, five: Run) -> None:
    again = case.run("--samples", 5)
    files = five.bytes_of("*.png", "ws.safetensors")
    assert len(files) == 8 and again.bytes_of("*.png", "ws.safetensors") == files
    first, second = five.result, again.result
    assert {**first, "seconds": 0} == {**second, "seconds": 0}


def test_fewer_samples_are_the_first_of_more(case: Case, five: Run) -> None:
    three = case.run("--samples", 3)
    files = three.bytes_of("candidate-*.png")
    assert len(files) == 3 and files.items() <= five.bytes_of("candidate-*.png").items()
    ws, more = (load_file(done.folder / "ws.safetensors")["ws"] for done in (three, five))
    assert torch.equal(ws, more[:3])
    assert three.result["candidates"] == five.result["candidates"][:3]


def test_another_seed_gives_other_pictures(case: Case, five: Run) -> None:
    other = case.run("--samples", 2, "--seed", 1)
    assert other.result["seed"] == 1
    for name, data in other.bytes_of("candidate-*.png").items():
        assert data != (five.folder / name).read_bytes()


def test_one_sample_has_no_pairs(case: Case) -> None:
    result = case.run("--samples", 1).result
    assert result["ranking"] == [0] and result["ciede2000"]["mean"] is None


def test_an_existing_folder_is_never_touched(case: Case, tmp_path: Path) -> None:
    taken = tmp_path / "face"
    taken.mkdir()
    (taken / "candidate-0.png").write_text("mine")
    first = case.run("--samples", 1, outdir=taken)
    second = case.run("--samples", 1, outdir=taken)
    assert first.stdout == f"1 candidates in {taken}-2: see grid.png\n"
    assert second.stdout == f"1 candidates in {taken}-3: see grid.png\n"
    assert [p.name for p in taken.iterdir()] == ["candidate-0.png"]
    assert (taken / "candidate-0.png").read_text() == "mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["face", "face-2", "face-3"]


def test_results_go_to_out_and_the_pictures_name(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("--image", case.image, "--generator", case.generator, "--samples", 1)
    assert done.stdout == "1 candidates in out/lowres: see grid.png\n"
    assert (tmp_path / "out" / "lowres" / "grid.png").exists()


def test_size_reduces_first_and_says_so(case: Case) -> None:
    done = case.run("--samples", 1, "--size", 8)
    note = "reduced from 16x16 to 8x8 (bicubic)"
    assert (
        done.result["notes"] == [note, NO_ENCODER]
        and f"note: {case.image}: {note}\n" in done.stderr
    )
    assert done.result["input_size"] == [8, 8]
    small = as_file(measured(case.levels[..., None].repeat(3, 2), 8))
    assert np.abs(assert_pictures_are_as_reported(done, small)).max() <= 1


def test_large_colour_pictures_are_brought_to_size(case: Case, tmp_path: Path) -> None:
    colour = picture_of(case.G, seed=3)
    Image.fromarray(colour).resize((80, 64)).save(tmp_path / "large.png")
    done = case.run("--samples", 1, image=tmp_path / "large.png")
    starts = [note.split()[0] for note in done.result["notes"]]
    assert starts == ["colour", "80x64", "reduced", "no"]
    assert done.result["input_size"] == [26, SIDE]
    assert done.result["candidates"][0]["feasible"]


# ---- inputs that no picture reproduces ----


def nearest() -> np.ndarray:
    """Every second pixel of thin strokes."""
    v, u = np.mgrid[:SIDE, :SIDE]
    strokes = np.abs((u * 3 + v * 2) % 17 - 8) < 2
    return np.where(strokes, 20, 230).astype(np.uint8)[1::2, 1::2]


def dithered() -> np.ndarray:
    ramp = np.linspace(60, 200, 256).reshape(16, 16).round().astype(np.uint8)
    return np.asarray(Image.fromarray(ramp).convert("1").convert("L"))


@pytest.mark.parametrize("make", [nearest, dithered])
def test_what_no_picture_reproduces_is_written_with_one_warning(
    case: Case, tmp_path: Path, make
) -> None:
    levels = make()
    done = case.run("--samples", 2, image=save_grey(tmp_path / "x.png", levels))
    assert done.code == 0 and len(done.bytes_of("*.png")) == 4
    warnings = [line for line in done.stderr.splitlines() if line.startswith("warning:")]
    assert len(warnings) == 1 and "2 of 2 candidates miss the input" in warnings[0]
    assert [row["feasible"] for row in done.result["candidates"]] == [False, False]
    assert np.abs(assert_pictures_are_as_reported(done, levels)).max() > 1


# ---- as a process, with the defaults ----


@pytest.mark.slow
def test_two_processes_write_the_same_bytes(case: Case, tmp_path: Path) -> None:
    runs = []
    for name in ("0", "1"):
        command = [sys.executable, "invert.py", "--image", case.image, "--samples", "2"]
        command += ["--generator", case.generator, "--outdir", tmp_path / name]
        env = {**os.environ, "PYTHONHASHSEED": name}
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
        runs.append(Run(done.returncode, done.stdout, done.stderr, tmp_path / name))
    for done in runs:
        assert (done.code, done.stdout) == (0, f"2 candidates in {done.folder}: see grid.png\n")
        assert done.stderr.count("\n") == 1  # the note; no progress bar where there is no terminal
        assert np.abs(assert_pictures_are_as_reported(done, case.levels)).max() <= 1
    assert runs[0].bytes_of("*.png", "ws*") == runs[1].bytes_of("*.png", "ws*")
