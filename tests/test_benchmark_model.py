"""`benchmarks.model`: distances with their floor, what is drawn, sheets, nearest neighbours."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from tiny_models import tiny_generator

from attributes.network import Network, ReaderConfig
from attributes.reader import save_reader
from benchmarks import model as benchmark
from data.archive import encode_png, write_archive
from data.faces import describe, draw
from data.image_io import to_uint8
from evaluation.features import open_extractor
from stylegan.checkpoint import save_generator
from stylegan.sampling import Sampler

COUNT = 16


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Files of a generator and of a reader that has seen a few pictures."""
    folder = tmp_path_factory.mktemp("models")
    save_generator(folder / "generator.safetensors", tiny_generator())
    torch.manual_seed(0)
    network = Network(ReaderConfig(width=2, num_features=8, side=32))
    network.train()(torch.rand(16, 3, 32, 32) * 2 - 1)
    torch.nn.init.normal_(network.heads.weight, std=30)  # answers differ from picture to picture
    save_reader(folder / "reader.safetensors", network.eval())
    return folder


@pytest.fixture(scope="module")
def report(models, tmp_path_factory):
    """The folder that a call writes; the data hold samples of the generator itself."""
    folder = tmp_path_factory.mktemp("report")
    pictures = to_uint8(Sampler(tiny_generator())(range(20)))
    encoded = (encode_png(Image.fromarray(picture)) for picture in pictures[::-1])
    write_archive(folder / "data.zip", encoded)
    options = ["--generator", models / "generator.safetensors"]
    options += ["--reader", models / "reader.safetensors", "--data", folder / "data.zip"]
    options += ["--outdir", folder / "out", "--count", COUNT]
    result = CliRunner().invoke(benchmark.main, list(map(str, options)), catch_exceptions=False)
    assert result.exit_code == 0
    return folder / "out", result.stdout


def test_what_is_reported(report):
    folder, output = report
    told = json.loads((folder / "report.json").read_text())
    assert (folder / "report.md").read_text().strip() == output.strip()
    assert list(told["distances"])[:2] == ["faces of another set", "G"]
    few = told["distances"]["3 of G, psi 1.0"]
    assert few["fd_reader"] != pytest.approx(told["distances"]["G"]["fd_reader"])
    for names in told["shares"].values():
        np.testing.assert_allclose(np.sum(list(names.values()), axis=0), 1)
    assert len(told["shares"]["hair_colour"]) == 13
    for name in ("samples", "walk", "truncation", "neighbours"):
        assert len(np.unique(np.asarray(Image.open(folder / f"{name}.png")))) > 10


def test_the_distance_is_that_of_the_features(models, report):
    """Between Gaussians of features computed picture by picture, with scipy's matrix root."""
    from scipy.linalg import sqrtm

    extractor = open_extractor(str(models / "reader.safetensors"))
    G = tiny_generator()
    fakes = torch.cat([extractor(Sampler(G)([k])) for k in range(COUNT)]).double().numpy()
    faces = [np.asarray(draw(describe(benchmark.HELD_OUT, k), 16)) for k in range(COUNT)]
    pictures = torch.from_numpy(np.stack(faces)).permute(0, 3, 1, 2) / 127.5 - 1
    reals = extractor(pictures).double().numpy()
    means = fakes.mean(0) - reals.mean(0)
    a, b = (np.cov(x, rowvar=False) for x in (fakes, reals))
    expected = means @ means + np.trace(a + b - 2 * sqrtm(a @ b).real)
    told = json.loads((report[0] / "report.json").read_text())["distances"]["G"]
    assert told["fd_reader"] == pytest.approx(expected, rel=1e-3)


def test_shares_are_of_what_is_read(models, report):
    reader = benchmark.the_reader(str(models / "reader.safetensors"))
    made = reader.read(Sampler(tiny_generator())(range(COUNT // 2)))
    drawn = reader.read(benchmark.Drawn(1, 16)(range(COUNT // 2)))
    told = json.loads((report[0] / "report.json").read_text())["shares"]
    for choice, names in told.items():
        assert {name: share for name, (_, share) in names.items()} == made.shares(choice)
        assert {name: share for name, (share, _) in names.items()} == drawn.shares(choice)
    assert any(made.shares(choice) != drawn.shares(choice) for choice in told)


def test_the_nearest_neighbour_of_a_picture_in_the_data_is_itself(report):
    sheet = np.asarray(Image.open(report[0] / "neighbours.png"))
    cell, gap, left, top = 192, 4, 8 + 6 * len("sample 0"), 18
    row = sheet[top : top + cell]
    samples, nearest = (row[:, x : x + cell] for x in (left, left + cell + gap))
    np.testing.assert_array_equal(samples, nearest)
    assert not np.array_equal(samples, row[:, left + 2 * (cell + gap) :][:, :cell])


def test_ratios():
    text = benchmark.share_table({"hair_colour": {"red": [0.1, 0.25], "teal": [0.0, 0.5]}})
    assert "| hair_colour | red | 10.0% | 25.0% | 2.50 |" in text
    assert "| hair_colour | teal | 0.0% | 50.0% | - |" in text
