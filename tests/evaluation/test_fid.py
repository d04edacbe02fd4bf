"""All measures of a set of pictures: against other libraries, whatever the batch and the ranks."""

import json
import logging
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
import scipy.linalg
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from data.archive import DatasetError, encode_png, write_archive
from data.dataset import ImageDataset
from engine.ranks import Ranks
from evaluation.features import Extractor, open_extractor
from evaluation.fid import Folder, Judge, compare_features, features_of
from evaluation.fidelity import TrainingMetric
from evaluation.follow import snapshots
from evaluation.frechet import FeatureError
from evaluation.reference import StoredFeaturesError, beside

COUNT, SIDE, DIM = 200, 16, 12
FACTS = {"device": "cpu", "versions": {"torch": "2"}}


class Small(nn.Module):
    """A network whose arithmetic depends on the batch, as real ones' does."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(
            nn.Conv2d(3, 32, 3, stride=2), nn.ReLU(), nn.Conv2d(32, DIM, 3), nn.ReLU()
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).mean((2, 3))


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    return Extractor("fd_small", Small(), "small", "0" * 64, "none")


@pytest.fixture(scope="module")
def faces():
    coarse = np.random.default_rng(0).integers(0, 256, (COUNT, 4, 4, 3), np.uint8)
    return [Image.fromarray(levels).resize((SIDE, SIDE)) for levels in coarse]


@pytest.fixture
def path(faces, tmp_path: Path) -> Path:
    write_archive(tmp_path / "faces.zip", map(encode_png, faces))
    return tmp_path / "faces.zip"


@pytest.fixture(scope="module")
def fakes() -> Tensor:
    noise = torch.randn(COUNT, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    return (noise.cumsum(2).cumsum(3) / 20).tanh()


def from_table(pictures: Tensor):
    return lambda numbers: pictures[list(numbers)]


def normals(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# ---- the arithmetic ----


def test_known_normal_distributions_have_the_distance_of_the_closed_form() -> None:
    """Samples whose mean and covariance are exactly given: whitened, then coloured."""
    d, n = 64, 500

    def exactly(seed: int, mean: Tensor, scales: Tensor) -> Tensor:
        x = normals(seed, n, d).double()
        x = x - x.mean(0)
        root = torch.linalg.cholesky(x.T @ x / (n - 1))
        return torch.linalg.solve_triangular(root, x.T, upper=False).T * scales + mean

    m1, m2 = normals(2, d).double(), normals(3, d).double()
    s1, s2 = normals(4, d).double().exp(), normals(5, d).double().exp()
    found = compare_features(exactly(0, m1, s1), exactly(1, m2, s2), "fd")["fd"]
    assert found == pytest.approx(((m1 - m2) ** 2 + (s1 - s2) ** 2).sum().item(), rel=1e-10)


def test_fid_is_that_of_scipys_root_and_of_torchmetrics() -> None:
    fid = pytest.importorskip("torchmetrics.image.fid")
    reals, fakes = normals(0, 300, 24), normals(1, 200, 24) @ normals(2, 24, 24) / 5 + 0.3
    found = compare_features(reals, fakes, "fid")["fid"]
    x, y = reals.double().numpy(), fakes.double().numpy()
    s1, s2 = np.cov(x.T), np.cov(y.T)
    root = scipy.linalg.sqrtm(s1 @ s2)
    offset = ((x.mean(0) - y.mean(0)) ** 2).sum()
    assert found == pytest.approx(offset + np.trace(s1 + s2 - 2 * root.real), rel=1e-8)
    other = fid.FrechetInceptionDistance(feature=Passes(), normalize=True).set_dtype(torch.float64)
    other.update(reals.double()[:, :, None, None].expand(-1, -1, 1, 1), real=True)
    other.update(fakes.double()[:, :, None, None], real=False)
    assert found == pytest.approx(other.compute().item(), rel=1e-6)


class Passes(nn.Module):
    """Features that are the numbers of the 'picture' themselves."""

    num_features = 24

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)


def test_equal_sets_are_at_no_distance() -> None:
    x = normals(3, 50, 64) * torch.logspace(2, -3, 64)  # fewer pictures than features
    found = compare_features(x, x, "fid")
    assert 0 <= found["fid"] <= 1e-6 * x.var(0).sum()
    assert (found["precision"], found["recall"], found["coverage"]) == (1, 1, 1)


def test_pictures_that_are_not_finite_give_nan_and_no_error(extractor, path, fakes) -> None:
    broken = fakes.clone()
    broken[150, 0, 0, 0] = math.nan
    row = Judge(extractor, ImageDataset(path), FACTS).row(from_table(broken), COUNT)
    named = ("fd_small", "kid", "kid_stderr", "precision", "recall", "density", "coverage")
    assert all(math.isnan(row[name]) for name in named)
    assert json.loads(json.dumps(row))  # still a line of JSON as Python reads it


def test_one_picture_is_too_few(extractor, path, fakes) -> None:
    with pytest.raises(FeatureError, match="of 1 pictures: too few"):
        Judge(extractor, ImageDataset(path), FACTS).row(from_table(fakes), 1)


# ---- whatever the batch, the workers and the ranks ----


@pytest.mark.parametrize(("batch", "workers"), [(1, 2), (7, 0), (64, 2)])
def test_batch_and_workers_change_no_bit(extractor, path, fakes, batch, workers) -> None:
    dataset = ImageDataset(path)
    plain = Judge(extractor, dataset, FACTS, reference=path.with_name("a"))
    other = Judge(
        extractor, dataset, FACTS, batch=batch, workers=workers, reference=path.with_name("b")
    )
    assert torch.equal(plain.reals, other.reals)
    rows = [judge.row(from_table(fakes), 100) for judge in (plain, other)]
    assert {**rows[0], "seconds": 0} == {**rows[1], "seconds": 0}


def ranks_of(size: int) -> list[Ranks]:
    barrier, box = Barrier(size, timeout=20), {}

    class Thread(Ranks):
        def sum_(self, tensor: Tensor) -> Tensor:
            box[self.rank] = tensor.clone()
            barrier.wait()
            tensor.copy_(sum(box[k] for k in range(size)))
            barrier.wait()
            return tensor

        def of_first(self, value):
            if self.is_first:
                box["value"] = value
            barrier.wait()
            found = box["value"]
            barrier.wait()
            return found

    return [Thread(rank, size) for rank in range(size)]


@pytest.mark.parametrize("size", [2, 5])
def test_ranks_share_the_work_and_find_the_same(extractor, path, fakes, size) -> None:
    alone = Judge(extractor, ImageDataset(path), FACTS, reference=path.with_name("a"))
    expected = alone.row(from_table(fakes), 90)
    made = []

    def rank_of(ranks: Ranks) -> dict:
        def sample(numbers):
            made.append((ranks.rank, *numbers))
            return fakes[list(numbers)]

        here = dict(ranks=ranks, reference=path.with_name("b"))
        return Judge(extractor, ImageDataset(path), FACTS, **here).row(sample, 90)

    with ThreadPoolExecutor(size) as pool:
        first, *others = pool.map(rank_of, ranks_of(size))
    measured = set(expected) - {"seconds", "processes"}
    assert {name: first[name] for name in measured} == {name: expected[name] for name in measured}
    assert not any("fd_small" in row for row in others)
    assert sorted(number for _, *numbers in made for number in numbers) == list(range(90))
    assert len({rank for rank, *_ in made}) == min(size, 3)


def test_progress_is_told(extractor, fakes) -> None:
    told = []
    features_of(from_table(fakes), 50, extractor, batch=20, on_batch=told.append)
    assert told == [20, 20, 10]


def test_it_is_the_distance_that_a_training_reports(path, fakes) -> None:
    files = ((fakes + 1) * 127.5).round() / 127.5 - 1
    judge = Judge(open_extractor("pixels16"), ImageDataset(path), FACTS)
    found = judge.row(from_table(files), COUNT)["fd_pixels16"]
    reported = TrainingMetric("fd_pixels16", ImageDataset(path)).measure(from_table(files), COUNT)
    assert found == pytest.approx(reported, rel=1e-6)


# ---- the pictures of a folder ----


def test_mirrored_pictures_follow_the_others(path, faces) -> None:
    folder = Folder(ImageDataset(path), mirror=True, workers=2)
    assert len(folder) == 2 * COUNT
    one, other = folder([3, COUNT + 3])
    assert torch.equal(one.flip(2), other) and not torch.equal(one, other)
    levels = np.asarray(faces[3]).transpose(2, 0, 1)
    assert np.array_equal(((one + 1) * 127.5).round().numpy(), levels)


@pytest.mark.parametrize("workers", [0, 2])
def test_all_bad_pictures_are_named(tmp_path, faces, extractor, workers) -> None:
    for k in range(12):
        faces[k].save(tmp_path / f"{k}.png")
    (tmp_path / "3.png").write_bytes(b"junk")
    faces[0].resize((8, 8)).save(tmp_path / "7.png")
    (tmp_path / "9.png").write_bytes((tmp_path / "1.png").read_bytes()[:300])
    with pytest.raises(DatasetError) as error:
        Judge(extractor, ImageDataset(tmp_path), FACTS, workers=workers)
    assert str(error.value).startswith(f"{tmp_path}: 3 pictures cannot be used: ")
    assert all(f"{k}.png" in str(error.value) for k in (3, 7, 9)) and "1.png" not in str(
        error.value
    )
    assert error.value.code.startswith("E-DATA-")
    assert not beside(tmp_path, "fd_small").exists()


def test_one_bad_picture_is_named(tmp_path, faces, extractor) -> None:
    for k in range(4):
        faces[k].save(tmp_path / f"{k}.png")
    (tmp_path / "2.png").write_bytes(b"junk")
    with pytest.raises(DatasetError, match=r"2\.png"):
        Judge(extractor, ImageDataset(tmp_path), FACTS)


# ---- stored features ----


def test_features_of_the_data_are_computed_once(extractor, path, fakes) -> None:
    calls = []
    counting = Extractor(
        "fd_small", lambda x: (calls.append(1), extractor.features(x))[1], "small", "0" * 64, "none"
    )
    first = Judge(counting, ImageDataset(path), FACTS)
    num = len(calls)
    second = Judge(counting, ImageDataset(path), FACTS)
    assert num > COUNT and len(calls) == num
    rows = [judge.row(from_table(fakes), 60) for judge in (first, second)]
    assert {**rows[0], "seconds": 0} == {**rows[1], "seconds": 0}


@pytest.mark.parametrize("name", ["network", "sha256", "resize", "data_sha256", "mirror", "device"])
def test_a_difference_is_refused(extractor, path, name) -> None:
    Judge(extractor, ImageDataset(path), FACTS)
    file = beside(path, "fd_small")
    with safe_open(file, "pt") as stored:
        facts, features = json.loads(stored.metadata()["facts"]), stored.get_tensor("features")
    facts[name] = "something else"
    save_file({"features": features}, file, {"facts": json.dumps(facts)})
    with pytest.raises(StoredFeaturesError, match=f"its {name} is 'something else', not") as error:
        Judge(extractor, ImageDataset(path), FACTS)
    assert error.value.code == "E-DATA-MISMATCH" and str(file) in str(error.value)


def test_changed_versions_numbers_and_junk_are_refused(extractor, path, faces) -> None:
    Judge(extractor, ImageDataset(path), FACTS)
    with pytest.raises(StoredFeaturesError, match="its versions is"):
        Judge(extractor, ImageDataset(path), {**FACTS, "versions": {"torch": "3"}})
    file = beside(path, "fd_small")
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)
    with pytest.raises(StoredFeaturesError, match="its features_sha256 is"):
        Judge(extractor, ImageDataset(path), FACTS)
    file.write_bytes(b"junk")
    with pytest.raises(StoredFeaturesError, match="no stored features"):
        Judge(extractor, ImageDataset(path), FACTS)


def test_where_nothing_can_be_kept_the_measure_goes_on(extractor, path, fakes, caplog) -> None:
    with caplog.at_level(logging.INFO):
        judge = Judge(extractor, ImageDataset(path), FACTS, reference=path / "under" / "a file")
    assert judge.row(from_table(fakes), 50)["fd_small"] > 0
    assert "cannot be kept there" in caplog.text


# ---- snapshots of a training ----


def test_snapshots_come_as_they_appear_until_the_training_ends() -> None:
    def files(*kimgs: int) -> list[Path]:
        return [Path(f"generator-{kimg:06d}.safetensors") for kimg in kimgs]

    states = [(False, files(0, 4)), (False, files(0, 4, 8, 12)), (True, files(0, 4, 8, 12, 16, 20))]
    waits = []
    found = list(snapshots(lambda: states[len(waits)], 8, lambda: waits.append(1)))
    assert [kimg for kimg, _ in found] == [0, 8, 16] and len(waits) == 2
    assert found[1][1].name == "generator-000008.safetensors"
    every = snapshots(lambda: states[2], 0, lambda: None)
    assert [kimg for kimg, _ in every] == [0, 4, 8, 12, 16, 20]
