"""evaluate.py as the command line calls it, on tiny models."""

import functools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

import evaluate
from attributes.network import Network, ReaderConfig
from attributes.reader import save_reader
from data.archive import encode_png, write_archive
from encoder.gaussian import GaussianConfig, GaussianEncoder
from encoder.model import save_encoder
from engine.rows import read_rows
from evaluation import inception
from inversion.methods import METHODS
from stylegan.checkpoint import save_generator
from tests.inversion.tiny import as_file, measured, tiny_generator
from tests.invert_case import quick_config, sha256

SIDE, SMALL, FACES = 32, 16, 5


def run(*words: object) -> Result:
    return CliRunner().invoke(evaluate.evaluate, [str(w) for w in words], prog_name="evaluate.py")


def succeed(*words: object) -> Result:
    done = run(*words)
    assert done.exit_code == 0, done.output
    return done


def fail(*words: object) -> str:
    done = run(*words)
    assert done.exit_code and done.stderr.count("error[") == 1 and "Traceback" not in done.output
    return f"{done.exit_code} {done.stderr}"


@pytest.fixture(scope="module")
def faces() -> list[Image.Image]:
    coarse = np.random.default_rng(0).integers(0, 256, (40, 4, 4, 3), np.uint8)
    return [Image.fromarray(levels).resize((SIDE, SIDE)) for levels in coarse]


@pytest.fixture
def data(faces, tmp_path: Path) -> Path:
    write_archive(tmp_path / "faces.zip", map(encode_png, faces))
    return tmp_path / "faces.zip"


@pytest.fixture
def generator(tmp_path: Path) -> Path:
    path = tmp_path / "generator.safetensors"
    save_generator(path, tiny_generator())
    return path


# ---- fid ----

MEASURES = "fd_pixels16 kid kid_stderr precision recall density coverage".split()
PIXELS = "--features=pixels16"


def test_a_generator_beside_a_data_set_is_one_line_of_json(data, generator, tmp_path) -> None:
    words = ["fid", "--generator", generator, "--data", data, PIXELS, "--num", 24]
    done = succeed(*words, "--json", tmp_path / "rows.jsonl")
    [line] = done.stdout.splitlines()
    row = json.loads(line)
    assert list(row)[:7] == MEASURES and all(row[name] == row[name] for name in MEASURES)
    assert row["features"]["network"] == "pixels16" and row["features"]["resize"]
    assert (row["num_real"], row["num_fake"], row["seed"], row["trunc"]) == (40, 24, 0, 1.0)
    assert row["generator_sha256"] == sha256(generator) and len(row["data_sha256"]) == 64
    assert row["versions"]["torch"] == torch.__version__.split("+")[0]
    assert read_rows(tmp_path / "rows.jsonl") == [row]
    assert (tmp_path / "faces.zip.fd_pixels16.safetensors").exists()
    again = json.loads(succeed(*words, "--batch", 7, "--workers", 0).stdout)
    assert {**again, "seconds": 0} == {**row, "seconds": 0}
    other = json.loads(succeed(*words, "--seed", 1, "--trunc", 0.5).stdout)
    assert other["fd_pixels16"] != row["fd_pixels16"] and other["trunc"] == 0.5


def test_a_folder_beside_itself_is_at_no_distance(faces, tmp_path) -> None:
    for k, face in enumerate(faces[:25]):
        face.save(tmp_path / f"{k}.png")
    cache = tmp_path.with_name(tmp_path.name + "-features")
    words = ["--images", tmp_path, "--data", tmp_path, PIXELS, "--reference", cache]
    row = json.loads(succeed("fid", *words).stdout)
    assert 0 <= row["fd_pixels16"] < 1e-6 and row["precision"] == row["coverage"] == 1
    assert row["images_sha256"] == row["data_sha256"] and cache.exists()


def test_fid_names_what_it_lacks(data, generator, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    said = fail("fid", "--generator", generator, "--data", data)
    for needed in (inception.NAME, inception.SHA256, "95.6 MB", str(tmp_path), "attributes"):
        assert needed in said
    assert said.startswith("66 error[E-MODEL-MISSING]")


def test_reference_of_something_else_is_refused(data, generator, faces, tmp_path) -> None:
    words = ["fid", "--generator", generator, PIXELS, "--num", 4, "--data"]
    succeed(*words, data)
    data.unlink()
    write_archive(data, map(encode_png, faces[:30]))
    said = fail(*words, data)
    assert said.startswith("76 error[E-DATA-MISMATCH]") and "--reference" in said


def test_three_bad_pictures_are_named(faces, tmp_path) -> None:
    for k, face in enumerate(faces[:8]):
        face.save(tmp_path / f"{k}.png")
    for k in (2, 5, 6):
        (tmp_path / f"{k}.png").write_bytes(b"junk")
    said = fail("fid", "--images", tmp_path, "--data", tmp_path, PIXELS)
    assert said.startswith("65 ") and all(f"{k}.png" in said for k in (2, 5, 6))


def test_options_that_make_no_sense_are_refused(data, generator) -> None:
    assert "one of --generator and --images" in fail("fid", "--data", data)
    both = ["--generator", generator, "--images", data]
    assert "one of" in fail("fid", "--data", data, *both)
    assert "--every needs" in fail("fid", "--data", data, "--generator", generator, "--every", 1)


def test_the_snapshots_of_a_run_become_a_curve(data, tmp_path, monkeypatch) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    for kimg in (0, 4):
        save_generator(folder / f"generator-{kimg:06d}.safetensors", tiny_generator(kimg))
    (folder / "RUN.json").write_text('{"status": "running"}')
    monkeypatch.setattr(evaluate, "POLL_SECONDS", 0)
    real, calls = evaluate.time.sleep, []

    def sleep(seconds: float) -> None:
        calls.append(seconds)
        save_generator(folder / "generator-000008.safetensors", tiny_generator(8))
        (folder / "RUN.json").write_text('{"status": "done"}')
        real(0)

    monkeypatch.setattr(evaluate.time, "sleep", sleep)
    words = ["fid", "--generator", folder, "--every", 4, "--data", data, PIXELS, "--num", 8]
    lines = succeed(*words).stdout.splitlines()
    assert [json.loads(line)["kimg"] for line in lines] == [0, 4, 8] and len(calls) == 1
    assert len(read_rows(folder / "evaluation-fd_pixels16.jsonl")) == 3
    curve = np.asarray(Image.open(folder / "evaluation-fd_pixels16.png"))
    assert curve.std() > 1
    assert succeed(*words).stdout == ""  # nothing is done twice


# ---- equivariance ----


def test_equivariance_is_one_line_of_json(generator) -> None:
    row = json.loads(succeed("equivariance", "--generator", generator, "--num", 2).stdout)
    assert list(row)[:3] == ["eq_t", "eq_t_frac", "eq_r"] and row["eq_t"] > 10
    assert (row["num"], row["generator_sha256"]) == (2, sha256(generator))


# ---- inversion and compare ----


@pytest.fixture
def models(generator, tmp_path, monkeypatch) -> list[str]:
    quick_config(monkeypatch)
    monkeypatch.setattr("inversion.methods.InversionConfig", quick())
    encoder = tmp_path / "encoder.safetensors"
    save_encoder(encoder, GaussianEncoder(GaussianConfig(16, sha256(generator))))
    reader = tmp_path / "reader.safetensors"
    torch.manual_seed(0)
    network = Network(ReaderConfig(width=2, num_features=8, side=32))
    network.train()(torch.rand(16, 3, 32, 32) * 2 - 1)
    save_reader(reader, network)
    load = evaluate_reader(reader)
    monkeypatch.setattr("attributes.reader.PRETRAINED", reader)
    monkeypatch.setattr("attributes.reader.load_reader", load)
    return ["--generator", str(generator), "--encoder", str(encoder), "--samples", "3"]


def quick():
    from inversion.config import InversionConfig

    return functools.partial(InversionConfig, num_steps=3, chunk=3)


def evaluate_reader(path: Path):
    from attributes.reader import load_reader

    return functools.partial(load_reader, path)


COLUMNS = (
    "residual_before_rms_255 residual_rms_255 psnr_best psnr_mean ssim_best ssim_mean l1_best "
    "l1_mean l2_best l2_mean de2000_best de2000_mean pairwise_de2000 attr_distance "
    "attribute_agreement rank_a_p rank_b_p generator_evaluations seconds peak_memory_mb failed"
).split()


@pytest.mark.parametrize(
    "methods",
    [
        ("ours", "encoder"),
        pytest.param(METHODS, marks=[pytest.mark.slow, pytest.mark.timeout(600)]),
    ],
)
def test_compare_tries_every_method_on_the_same_faces(
    methods, data, models, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr("inversion.methods.METHODS", methods)
    path = tmp_path / "table" / "rows.json"
    words = ["compare", "--data", data, "--size", SMALL, "--count", FACES, "--json", path]
    done = succeed(*words, *models)
    rows = json.loads(path.read_text())
    assert [row["method"] for row in rows] == [m for m in methods if m != "flow"]  # it has none
    assert all(row["faces"] == FACES and row["failed"] == 0 for row in rows)
    assert all(row["run"]["size"] == SMALL and row["run"]["data_sha256"] for row in rows)
    assert set(COLUMNS) <= rows[0].keys() and rows[0]["residual_rms_255"] < 1
    assert [row["candidates"] for row in rows] == [3] * (len(rows) - 1) + [1]
    assert done.stdout.strip() == path.with_suffix(".md").read_text().strip()
    assert "| ours | grey | 3 |" in done.stdout and "no colourisers there" in done.stderr
    sheet = np.asarray(Image.open(path.with_suffix(".png")))
    assert sheet.shape[0] == 18 + FACES * 132 and sheet.std() > 10


@pytest.fixture
def pairs(faces, tmp_path: Path) -> Path:
    folder = tmp_path / "pairs"
    for name in ("truth", "input"):
        (folder / name).mkdir(parents=True)
    for k, face in enumerate(faces[:FACES]):
        face.save(folder / "truth" / f"{k}.png")
        grey = as_file(measured(np.asarray(face), SMALL))
        Image.fromarray(grey).save(folder / "input" / f"{k}.png")
    return folder


def test_inversion_leaves_rows_a_summary_and_grids(pairs, models, tmp_path) -> None:
    out = tmp_path / "out"
    words = ["inversion", "--pairs", pairs, "--outdir", out, *models]
    succeed(*words, "--method", "encoder", "--method", "ours")
    lines = (out / "per_image.csv").read_text().splitlines()
    assert len(lines) == 1 + 2 * FACES
    assert {"method", "face", "ssim_best", "rank_a", "error"} <= set(lines[0].split(","))
    rows = json.loads((out / "summary.json").read_text())
    assert [row["method"] for row in rows] == ["encoder", "ours"]
    assert rows[1]["residual_max_255"] <= 1 and rows[0]["residual_max_255"] > 1
    assert {p.name for p in out.glob("*.png")} == {"grid-encoder.png", "grid-ours.png"}


def test_inversion_names_the_pair_that_is_wrong(pairs, models, tmp_path) -> None:
    (pairs / "input" / "3.png").unlink()
    said = fail("inversion", "--pairs", pairs, "--outdir", tmp_path / "out", *models)
    assert said.startswith("66 ") and "truth/3.png" in said and not (tmp_path / "out").exists()


def test_an_unknown_method_is_told_the_known_ones(pairs, models, tmp_path) -> None:
    said = fail("inversion", "--pairs", pairs, "--method", "magic", *models)
    assert "Known: ours, pulse, encoder" in said
