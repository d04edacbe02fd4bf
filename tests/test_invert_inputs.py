"""invert.py --input and --pose: the files of every kind, judged by Pillow and numpy."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from inversion.pose import Pose
from tests.inversion.tiny import LUMA, SIDE, as_file, picture_of, resize
from tests.invert_case import Case, Run, quick_config, save_grey


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    quick_config(monkeypatch, num_steps=2)
    monkeypatch.setattr("inversion.pipeline.NUM_PROBES", 8)
    monkeypatch.setattr("inversion.joint.NUM_STEPS", 2)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    case = Case(tmp_path_factory.mktemp("inputs"))
    yield case
    case.remove()


def finished(done: Run) -> np.ndarray:
    assert done.code == 0, done.stderr
    return done.png("candidate-0.png").astype(float)


def test_full_keeps_size_and_luma(case: Case, tmp_path: Path) -> None:
    levels = as_file(resize(picture_of(case.G, seed=1) @ LUMA, 40))
    image = save_grey(tmp_path / "x.png", levels)
    done = case.run("--samples", 1, "--input", "full", image=image)
    picture = finished(done)
    assert picture.shape == (40, 40, 3) and np.ptp(picture, axis=2).max() > 20
    assert np.abs(picture @ LUMA - levels).max() <= 1
    assert done.result["output_size"] == done.result["input_size"] == [40, 40]


def test_colour_is_given_and_kept(case: Case, tmp_path: Path) -> None:
    small = np.stack([resize(c, 14) for c in picture_of(case.G, 1).transpose(2, 0, 1) / 1.0], 2)
    Image.fromarray(as_file(small)).save(tmp_path / "x.png")
    done = case.run("--samples", 1, "--input", "colour", image=tmp_path / "x.png")
    picture = finished(done)
    for c in range(3):
        found = as_file(resize(picture[..., c], 14)).astype(int)
        assert np.abs(found - as_file(small)[..., c]).max() <= 1
    grey = case.run("--samples", 1, "--input", "colour")
    assert "it has no colour: all three were taken to be alike" in grey.result["notes"]


def test_a_crop_of_an_oblong_page(case: Case, tmp_path: Path) -> None:
    page = np.full((30, 60), 255, np.uint8)
    page[5:21, 40:52] = case.levels[:, 2:14]
    image = save_grey(tmp_path / "page.png", page)
    done = case.run("--samples", 1, "--crop", "40,5,12,16", image=image)
    small = as_file(resize(finished(done) @ LUMA, 16))[:, 2:14].astype(int)
    assert np.abs(small - case.levels[:, 2:14]).max() <= 1
    assert done.result["input_size"] == [16, 12]
    assert done.result["notes"][0] == "cropped to 12x16 pixels from 40,5"
    for box in ("1,2,3", "a,b,c,d", "1,2,3,-4"):
        assert case.run("--crop", box).code == 2
    refused = case.run("--crop", "50,5,12,16", image=image)
    assert refused.code == 65 and "is not inside the picture's 60x30 pixels" in refused.stderr


@pytest.mark.parametrize("kind", ["lineart", "screentone", "auto"])
def test_other_kinds_are_solved_and_said(case: Case, kind: str) -> None:
    done = case.run("--samples", 2, "--input", kind)
    picture = finished(done)
    own = load_file(done.folder / "ws.safetensors")["ws"]
    drawn = case.G.synthesis(own)[0].permute(1, 2, 0).numpy().clip(-1, 1)
    moved = np.abs(picture - (drawn + 1) * 127.5)
    assert done.result["options"]["input"] == kind and "warning" not in done.stderr
    if kind == "lineart":
        assert moved.max() < 0.6
    if kind == "auto":
        tones = done.result["tones"]
        assert f"blurred by {tones['blur']:.2f} of its pixels" in done.stderr
        assert moved.mean() > 0.5
    if kind == "screentone":
        assert "no screen of dots was found" in done.stderr


def test_a_posed_face_is_drawn_as_it_lies(case: Case) -> None:
    done = case.run("--samples", 1, "--pose", "auto")
    pose = Pose(**done.result["pose"])
    assert f"turned by {pose.degrees:.1f} degrees" in done.stderr
    [w] = load_file(done.folder / "ws.safetensors")["ws"]
    lying, upright = (
        case.G.synthesis(w[None], t)[0].permute(1, 2, 0).numpy().clip(-1, 1)
        for t in (pose.transform(), None)
    )
    picture = finished(done) / 127.5 - 1
    reported = done.result["candidates"][0]["correction_rms_255"] / 127.5
    assert np.sqrt(np.square(picture - lying).mean()) == pytest.approx(reported, rel=0.02)
    assert np.abs(lying - upright).mean() > 1e-3
    small = as_file(resize(finished(done) @ LUMA, 16)).astype(int)
    assert np.abs(small - case.levels).max() <= 1


@pytest.mark.slow
def test_a_replay_finds_the_same_pose_and_tones(case: Case, tmp_path: Path) -> None:
    words = ("--samples", 1, "--pose", "auto", "--input", "auto")
    one = case.run(*words)
    two = case.run(*words)
    assert one.result["pose"] == two.result["pose"] and one.result["tones"] == two.result["tones"]
    assert one.bytes_of("*.png", "ws*") == two.bytes_of("*.png", "ws*")
    ws = [load_file(done.folder / "ws.safetensors")["ws"] for done in (one, two)]
    assert torch.equal(*ws)


def test_the_search_is_filmed(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    quick_config(monkeypatch, num_steps=5)
    plain = case.run("--samples", 3)
    filmed = case.run("--samples", 3, "--save-every", 2)
    assert filmed.code == 0 and filmed.bytes_of("cand*") == plain.bytes_of("cand*")
    with Image.open(filmed.folder / "search.png") as film:
        assert film.n_frames == 4 and film.size == (4 * 128, 128)  # steps 0, 2, 4; finished
        frames = [np.asarray((film.seek(k), film.convert("RGB"))[1]).astype(int) for k in range(4)]
    for k in range(3):
        cell = frames[-1][:, 128 * k : 128 * (k + 1)]
        small = np.asarray(Image.fromarray(cell.astype(np.uint8)).resize((SIDE, SIDE), 3))
        difference = small.astype(int) - filmed.png(f"candidate-{k}.png")
        assert np.abs(difference).mean() < 6
    assert frames[-1][:, 3 * 128 :].min() == 255
    assert all(np.abs(a - b).max() > 2 for a, b in itertools.pairwise(frames))
    assert not (plain.folder / "search.png").exists()
