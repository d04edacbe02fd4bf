"""Features by name: whose they are, and what is said where a network is missing."""

import hashlib
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from attributes.network import Network, ReaderConfig
from attributes.reader import Reader, save_reader
from evaluation import features as module
from evaluation import inception
from evaluation.features import Extractor, open_extractor
from evaluation.frechet import FeatureError, pixels16
from evaluation.inception import WeightsError, find_weights
from stylegan.checkpoint import CheckpointError

# TorchScript is deprecated, and still what Inception's weights come in
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")


def noise(seed: int, num: int = 3, side: int = 20) -> Tensor:
    return torch.rand(num, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def on_the_grid(pictures: Tensor) -> Tensor:
    return ((pictures + 1) * 127.5).round() / 127.5 - 1


class StandIn(nn.Module):
    """What the file of Inception looks like from outside: `layers` from normalised pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = StandInLayers()

    def forward(self, x: Tensor, return_features: bool = True) -> Tensor:
        return self.layers(x)


class StandInLayers(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        """Keep 2048 of the numbers."""
        return x[:, :, ::11, ::11].flatten(1)[:, :2048]


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in of Inception under any name; its SHA-256 counts as the right one."""
    path = tmp_path / "my weights.pt"
    torch.jit.script(StandIn()).save(str(path))
    monkeypatch.setattr(inception, "SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return path


def test_inception_sees_what_pillow_resizes(weights: Path) -> None:
    found = open_extractor(f"inception:{weights}")
    pictures = noise(0)
    levels = ((on_the_grid(pictures) + 1) * 127.5).round().permute(0, 2, 3, 1).numpy()
    planes = [
        [
            np.asarray(Image.fromarray(p[..., c]).resize((299, 299), Image.Resampling.BICUBIC))
            for c in range(3)
        ]
        for p in levels
    ]
    seen = (np.clip(planes, 0, 255) - 128) / 128
    expected = seen[:, :, ::11, ::11].reshape(3, -1)[:, :2048]
    assert np.abs(found(pictures).numpy() - expected).max() < 1e-5
    assert found.key == "fid" and "clean-fid" in found.facts["resize"]
    assert found.facts["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()


def test_weights_are_found_by_file_by_folder_and_in_the_cache(weights: Path, tmp_path: Path):
    assert find_weights(weights, False) == weights
    cached = tmp_path / "cache" / "irodori" / inception.NAME
    cached.parent.mkdir(parents=True)
    cached.write_bytes(weights.read_bytes())
    assert find_weights(cached.parent, False) == cached
    assert find_weights(None, False) == cached


def test_missing_weights_are_told_with_everything_one_needs(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as error:
        open_extractor("inception")
    said = str(error.value)
    where = str(tmp_path / "cache" / "irodori" / "inception-2015-12-05.pt")
    needed = (where, inception.SHA256, "95.6 MB", "--features attributes", "fd_attr")
    assert all(word in said for word in (*needed, "--allow-download", "inception:PATH"))
    assert error.value.code == "E-MODEL-MISSING"


def test_other_weights_are_not_fid(weights: Path) -> None:
    weights.write_bytes(weights.read_bytes() + b"\0")
    with pytest.raises(WeightsError, match="not the weights of FID") as error:
        open_extractor(f"inception:{weights}")
    assert error.value.code == "E-MODEL-MISMATCH"


def test_nothing_is_downloaded_unless_allowed(weights: Path, monkeypatch, tmp_path: Path) -> None:
    asked = []
    get = inception.urllib.request.urlopen
    monkeypatch.setattr(inception, "URL", weights.as_uri())
    monkeypatch.setattr(
        inception.urllib.request, "urlopen", lambda *a, **k: (asked.append(a), get(*a, **k))[1]
    )
    with pytest.raises(WeightsError):
        open_extractor("inception")
    assert not asked
    assert open_extractor("inception", allow_download=True).key == "fid" and len(asked) == 1
    assert open_extractor("inception", allow_download=True).key == "fid" and len(asked) == 1


def test_a_download_that_fails_leaves_nothing(weights: Path, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(inception, "URL", (tmp_path / "none.pt").as_uri())
    with pytest.raises(WeightsError, match="cannot be fetched") as error:
        find_weights(None, True)
    assert error.value.code == "E-MODEL-UNAVAILABLE"
    assert not list((tmp_path / "cache" / "irodori").iterdir())


def test_readers_have_keys_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = Network(ReaderConfig(width=2, num_features=8, side=32))
    network.train()(torch.rand(16, 3, 32, 32) * 2 - 1)
    path = tmp_path / "my-reader.safetensors"
    save_reader(path, network)
    pictures = noise(1)
    expected = Reader(network).features(on_the_grid(pictures))
    own = open_extractor(str(path))
    torch.testing.assert_close(own(pictures), expected, rtol=1e-4, atol=1e-5)
    assert own.key == "fd_my_reader" and own.resize == "antialiased bicubic to 32"
    monkeypatch.setattr(module, "PRETRAINED", path)
    assert open_extractor("attributes").key == "fd_attr"
    assert open_extractor("attributes").facts == own.facts
    monkeypatch.setattr(module, "PRETRAINED", tmp_path / "none.safetensors")
    with pytest.raises(CheckpointError, match="no such file"):
        open_extractor("attributes")


def test_torchscript_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "edges.pt"
    torch.jit.script(StandInLayers()).save(str(path))
    found = open_extractor(str(path))
    assert found.key == "fd_edges" and found.resize == "none"
    assert torch.equal(found(noise(2)), StandInLayers()(on_the_grid(noise(2))))
    path.write_bytes(b"junk")
    with pytest.raises(WeightsError, match="neither a reader"):
        open_extractor(str(path))


def test_an_unknown_name_is_told_the_known_ones() -> None:
    with pytest.raises(WeightsError, match=r"Give inception, inception:PATH, attributes, pixels16"):
        open_extractor("resnet")


def extractor(features) -> Extractor:
    return Extractor("fd_x", features, "x", "none", "none")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_only_the_picture_that_is_not_finite_is_nan(value: float) -> None:
    pictures = noise(3)
    pictures[1, 2, 3, 3] = value
    found = extractor(pixels16)(pictures)
    assert found[1].isnan().all() and found[[0, 2]].isfinite().all()


def test_pictures_are_seen_as_a_file_holds_them() -> None:
    pictures = noise(4) * 1.5
    expected = on_the_grid(pictures.clamp(-1, 1)).flatten(1)
    assert torch.equal(extractor(lambda x: x.flatten(1))(pictures), expected)


def test_features_that_are_none_are_refused() -> None:
    with pytest.raises(FeatureError, match=r"\(3, 3, 20, 20\)"):
        extractor(lambda x: x)(noise(5))
