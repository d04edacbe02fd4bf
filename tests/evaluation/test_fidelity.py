"""The distance that a training reports, against one computed from all pictures at once."""

import math
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from attributes.network import Network, ReaderConfig
from attributes.reader import Reader, save_reader
from data.archive import PictureError, encode_png, write_archive
from data.dataset import ImageDataset
from data.faces import describe, draw
from data.image_io import from_uint8
from evaluation import fidelity
from evaluation.fidelity import METRICS, MetricError, TrainingMetric
from evaluation.frechet import Gaussian, frechet_distance
from stylegan.checkpoint import CheckpointError

COUNT, SIZE, NUM = 90, 16, 70


@pytest.fixture(scope="module")
def faces() -> list[Image.Image]:
    return [draw(describe(0, k), SIZE) for k in range(COUNT)]


@pytest.fixture(scope="module")
def reals(faces) -> Tensor:
    """All pictures of the set, [COUNT, 3, SIZE, SIZE]."""
    return from_uint8(np.stack([np.asarray(face) for face in faces]))


@pytest.fixture(scope="module")
def path(faces, tmp_path_factory):
    path = tmp_path_factory.mktemp("set") / "faces.zip"
    write_archive(path, map(encode_png, faces))
    return path


@pytest.fixture(scope="module")
def fakes() -> Tensor:
    noise = torch.randn(200, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    return (noise.cumsum(2).cumsum(3) / 20).tanh()


@pytest.fixture(autouse=True)
def small_features(monkeypatch):
    """Features that notice the order of columns, fewer than there are pictures."""
    monkeypatch.setitem(METRICS, "fd_small", lambda x: x[:, :, ::8, 2::4].flatten(1))


def gaussian(pictures: Tensor, name: str = "fd_small") -> Gaussian:
    features = METRICS[name](pictures).double().numpy()
    mean, cov = features.mean(0), np.cov(features, rowvar=False)
    return Gaussian(torch.from_numpy(mean), torch.from_numpy(cov))


def from_table(pictures: Tensor):
    return lambda indices: pictures[list(indices)]


@pytest.mark.parametrize("name", ["fd_small", "fd_pixels16"])
@pytest.mark.parametrize("mirror", [False, True])
def test_it_is_the_distance_of_all_pictures(path, reals, fakes, name, mirror) -> None:
    real = gaussian(torch.cat([reals, reals.flip(3)]) if mirror else reals, name)
    expected = frechet_distance(gaussian(fakes[:NUM], name), real)
    row = TrainingMetric(name, ImageDataset(path), mirror=mirror).row(from_table(fakes), NUM)
    assert row[name] == pytest.approx(expected, rel=1e-9)
    assert set(row) == {name, "seconds"} and 0 < row["seconds"] < 60


@pytest.mark.parametrize("cap", [40, 89, 90, 1000])
def test_of_a_large_set_a_spread_sample_is_read(path, reals, fakes, cap, monkeypatch) -> None:
    read = []
    get = ImageDataset.__getitem__
    monkeypatch.setattr(ImageDataset, "__getitem__", lambda s, k: (read.append(k), get(s, k))[1])
    metric = TrainingMetric("fd_small", ImageDataset(path), cap=cap)
    first, second = (metric.measure(from_table(fakes[start:]), NUM) for start in (0, 50))
    assert len(read) == len(set(read)) == min(cap, COUNT)  # once for both
    gaps = np.diff([-1, *read, COUNT])
    assert gaps.max() <= max(math.ceil(COUNT / cap), 1) + 1
    expected = frechet_distance(gaussian(fakes[:NUM]), gaussian(reals[read]))
    assert first == pytest.approx(expected, rel=1e-9) and second != first


def together(size: int, dataset: ImageDataset, sample, num: int) -> list[float]:
    """Measure as `size` ranks would; each must come to the same sums."""
    barrier, parts = Barrier(size, timeout=20), {}

    def rank_of(rank: int) -> float:
        def total(tensor: Tensor) -> Tensor:
            parts[rank] = tensor.clone()
            barrier.wait()
            tensor.copy_(sum(parts[k] for k in range(size)))
            barrier.wait()
            return tensor

        ranks = dict(rank=rank, size=size, total=total)
        return TrainingMetric("fd_pixels16", dataset, **ranks).measure(sample, num)

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(rank_of, range(size)))


@pytest.mark.parametrize(("size", "num"), [(2, 200), (5, NUM)])
def test_ranks_share_the_work_and_the_result(path, fakes, size, num) -> None:
    """With 5 ranks and batches of 32 some have nothing to do."""
    asked = {1: [], size: []}

    def sample(indices):
        asked[current].append(tuple(indices))
        return fakes[list(indices)]

    current = 1
    [alone] = together(1, ImageDataset(path), sample, num)
    current = size
    found = together(size, ImageDataset(path), sample, num)
    assert len(set(found)) == 1 and found[0] == pytest.approx(alone, rel=1e-9)
    assert sorted(asked[size]) == asked[1] and sum(map(len, asked[1])) == num
    assert max(map(len, asked[1])) == fidelity.BATCH


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["fd_small", "fd_pixels16"])
def test_pictures_that_are_not_finite_give_nan(path, fakes, name, value) -> None:
    metric = TrainingMetric(name, ImageDataset(path))
    broken = fakes.clone()
    broken[40, 1, 3, 3] = value
    assert math.isnan(metric.measure(from_table(broken), NUM))
    assert metric.measure(from_table(fakes), NUM) > 0  # the next is none the worse


def test_pictures_of_inference_mode_are_welcome(path, fakes) -> None:
    with torch.inference_mode():
        made = fakes.clone()
    metric = TrainingMetric("fd_small", ImageDataset(path))
    assert metric.measure(from_table(made), NUM) == metric.measure(from_table(fakes), NUM)


def test_bad_pictures_are_an_error_or_left_out(tmp_path, faces, reals, fakes) -> None:
    for k, face in enumerate(faces):
        face.save(tmp_path / f"{k:03d}.png")
    for k in (5, *range(32, 64)):  # one of a batch, and a whole batch
        (tmp_path / f"{k:03d}.png").write_bytes(b"junk")
    with pytest.raises(PictureError, match=r"005\.png"):
        TrainingMetric("fd_small", ImageDataset(tmp_path)).measure(from_table(fakes), NUM)
    kept = torch.cat([reals[:5], reals[6:32], reals[64:]])
    found = TrainingMetric("fd_small", ImageDataset(tmp_path, skip_bad=True))
    expected = frechet_distance(gaussian(fakes[:NUM]), gaussian(kept))
    assert found.measure(from_table(fakes), NUM) == pytest.approx(expected, rel=1e-9)


def test_an_unknown_name_is_told_the_known_ones(tmp_path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(MetricError, match="fd_pixels16") as error:
        TrainingMetric("fid50k_full", ImageDataset(tmp_path))
    assert error.value.code == "E-USAGE-METRIC"


# --- fd_attr -----------------------------------------------------------------------------------


@pytest.fixture
def reader_path(tmp_path, monkeypatch):
    """Where the default reader is for the length of a test; nothing is there yet."""
    path = tmp_path / "attributes.safetensors"
    monkeypatch.setattr(fidelity, "PRETRAINED", path)
    fidelity._default_reader.cache_clear()
    yield path
    fidelity._default_reader.cache_clear()


def test_fd_attr_is_the_distance_of_the_default_readers_features(path, reals, fakes, reader_path):
    torch.manual_seed(0)
    network = Network(ReaderConfig(width=2, num_features=8, side=32))
    network.train()(torch.rand(16, 3, 32, 32) * 2 - 1)
    save_reader(reader_path, network)
    features = Reader(network).features

    def known(pictures: Tensor) -> Gaussian:
        found = features(pictures).double().numpy()
        return Gaussian(*map(torch.from_numpy, (found.mean(0), np.cov(found, rowvar=False))))

    expected = frechet_distance(known(fakes[:NUM]), known(reals))
    found = TrainingMetric("fd_attr", ImageDataset(path)).measure(from_table(fakes), NUM)
    assert found == pytest.approx(expected, rel=1e-4) and found > 0


def test_without_a_reader_fd_attr_is_refused_at_once(path, reader_path) -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        TrainingMetric("fd_attr", ImageDataset(path))
