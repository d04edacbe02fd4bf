"""Training a reader of regions: what it learns from, and how it is judged."""

import itertools
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import train_attributes
from attributes import lessons
from attributes import region_examples as region_examples_module
from attributes.pictures import Task
from attributes.region_examples import RegionExamples, region_exam, region_examples
from attributes.region_training import overlap
from attributes.regions import RegionsConfig, load_regions
from data.faces import FaceDescription
from data.faces.regions import regions


def test_examples_depend_on_seed_and_index_alone() -> None:
    three, one = region_examples(Task(0, 4, 3)), region_examples(Task(0, 5, 1))
    assert np.array_equal(three.greys[1], one.greys[0])
    assert np.array_equal(three.shares[1], one.shares[0])
    for first, second in itertools.combinations(three.greys.astype(int), 2):
        assert np.abs(first - second).mean() > 5


def test_examples_have_the_shapes_and_ranges_of_pictures_and_shares() -> None:
    for index in range(4):
        greys, shares = region_examples(Task(1, index, 1))
        assert greys.shape == (1, 64, 64, 1) and shares.shape == (1, 64, 64, 5)
        assert shares.min() >= 0 and shares.sum(3).max() <= 1.1
        background = shares[0, :, :, 4]
        inside = (background == 1).mean()
        assert 0.05 < inside < 0.8
    held_out = region_exam(Task(0, 0, 2))
    assert held_out.greys.shape == (2, 64, 64, 1) and held_out.shares.sum(3).max() <= 1.02


def test_shares_move_with_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn as its own hair region, a picture shows after all changes what its shares say."""

    def hair_alone(face: FaceDescription, size: int, medium: str) -> Image.Image:
        return Image.fromarray(np.round(255 * regions(face, size)[:, :, 0]).astype(np.uint8))

    monkeypatch.setattr(region_examples_module, "draw", hair_alone)
    monkeypatch.setattr(region_examples_module, "_toned", lambda picture, dice: picture)
    greys, shares = region_examples(Task(2, 0, 8))
    for grey, share in zip(greys[..., 0], shares[..., 0], strict=True):
        assert np.corrcoef(grey.ravel(), share.ravel())[0, 1] > 0.8  # what is small is blurred


def test_overlap_by_hand() -> None:
    drawn = np.zeros((1, 64, 64, 2), np.float32)
    drawn[0, :, :32, 0] = 1
    drawn[0, :, 32:, 1] = 1
    read = torch.zeros(1, 2, 64, 64)
    read[0, 0, :, :16] = 1  # half of it
    read[0, 1, :, 32:] = 0.5
    reader = SimpleNamespace(names=("hair", "skin"), read=lambda grey: read)
    paper = RegionExamples(np.zeros((1, 64, 64, 1), np.uint8), drawn)
    assert overlap(reader, [paper, paper]) == pytest.approx({"hair": 0.5, "skin": 0.5})


def test_the_verb_trains_a_reader_of_regions(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(train_attributes, "NUM_HELD_OUT", 2)
    monkeypatch.setattr(lessons, "RegionsConfig", lambda: RegionsConfig(width=2))
    words = "--reader regions --steps 2 --eval-every 1 --batch 2 --workers 0 --fp32 true"
    done = CliRunner().invoke(train_attributes.main, [*words.split(), "--outdir", str(tmp_path)])
    assert done.exit_code == 0, done.output
    folder = tmp_path / "00000-regions-batch2"
    rows = [json.loads(line) for line in (folder / "stats.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2]
    assert {"train_loss", "overlap_hair", "overlap_background"} <= set(rows[0])
    shares = load_regions(folder / "regions.safetensors").read(torch.zeros(1, 1, 32, 32))
    assert shares.shape == (1, 5, 64, 64)
