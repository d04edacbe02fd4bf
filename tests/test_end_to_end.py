"""A user's own way, each step a command: pictures, data set, generator, encoder, coloured faces."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open

from data.dataset import ImageDataset
from data.faces import describe, draw

ROOT = Path(__file__).parent.parent
SIDE, SMALL, SAMPLES = 32, 16, 2
SMALL_NETWORK = (
    "--cbase 256 --cmax 8 --num-layers 4 --z-dim 16 --w-dim 16 --margin 4 --first-cutoff 2 "
    "--first-stopband 4"
).split()
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
# train_encoder.py, but for the 2,000 pictures that a real training is judged by
TRAIN_ENCODER = "import train_encoder; train_encoder.NUM_HELD_OUT = 100; train_encoder.main()"
pytestmark = pytest.mark.timeout(400)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def metadata(path: Path) -> dict[str, str]:
    with safe_open(path, "pt") as file:
        return file.metadata()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which all four commands were run, one after the other."""
    place = tmp_path_factory.mktemp("user")

    def call(*args: object) -> None:
        command = [sys.executable, *map(str, args)]
        done = subprocess.run(command, cwd=place, env=ENVIRONMENT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        remarks = [line.partition(":")[0] for line in done.stderr.splitlines()]
        assert set(remarks) <= {"note", "warning"}, done.stderr

    (place / "pictures").mkdir()
    for k in range(64):  # of other sizes and kinds than those wanted
        draw(describe(0, k), 48).save(place / "pictures" / f"{k:02d}.{('png', 'jpg')[k % 2]}")
    face = Image.open(place / "pictures" / "10.png").convert("L")
    face.resize((SMALL, SMALL), Image.Resampling.BICUBIC).save(place / "small.png")

    call(ROOT / "make_dataset.py", "pack", "--source=pictures", f"--size={SIDE}", "--out=faces.zip")
    options = ["--batch=4", "--gamma=1", "--steps=3", "--outdir=runs", *SMALL_NETWORK]
    call(ROOT / "train_gan.py", "--data=faces.zip", *options)
    [gan] = (place / "runs").iterdir()
    generator = ["--generator", gan / "generator.safetensors"]
    call("-c", TRAIN_ENCODER, *generator, "--outdir=runs", "--steps=2", "--batch=4")
    [encoder] = (place / "runs").glob("*-encoder-*")
    models = [*generator, "--encoder", encoder / "encoder.safetensors"]
    call(ROOT / "invert.py", "--image=small.png", *models, "--samples", SAMPLES, "--outdir=out")
    return place


@pytest.mark.slow
def test_every_step_leaves_what_the_next_one_needs(place: Path) -> None:
    [gan] = (place / "runs").glob("00000-*")
    [encoder] = (place / "runs").glob("00001-*")
    dataset = ImageDataset(place / "faces.zip")
    assert (len(dataset), dataset.resolution) == (64, SIDE)
    assert json.loads((gan / "RUN.json").read_text())["status"] == "done"
    assert metadata(gan / "generator.safetensors")["data"] == dataset.digest()
    trained_for = metadata(encoder / "encoder.safetensors")
    assert sha256(gan / "generator.safetensors") in str(trained_for)
    result = (place / "out" / "result.json").read_text()
    for path in (gan / "generator.safetensors", encoder / "encoder.safetensors"):
        assert sha256(path) in result


def test_the_faces_made_small_and_grey_are_the_input(place: Path) -> None:
    """As Pillow makes them so, which works in whole levels: a level more than invert.py allows."""
    result = json.loads((place / "out" / "result.json").read_text())
    faces = [Image.open(place / "out" / row["file"]) for row in result["candidates"]]
    small = np.asarray(Image.open(place / "small.png"), int)
    for face in faces:
        assert (face.mode, face.size) == ("RGB", (256, 256))
        reduced = face.convert("L").resize((SMALL, SMALL), Image.Resampling.BICUBIC)
        assert np.abs(np.asarray(reduced, int) - small).max() <= 2
    assert len(faces) == SAMPLES == len({face.tobytes() for face in faces})
