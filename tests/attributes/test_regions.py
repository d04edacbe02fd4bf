"""The reader of regions: shapes, its file, and that it learns from drawn faces."""

import numpy as np
import pytest
import torch
from PIL import Image

from attributes.regions import (
    RegionsConfig,
    RegionsNetwork,
    RegionsReader,
    load_regions,
    regions_loss,
    save_regions,
)
from data.faces import describe, draw
from data.faces.regions import REGIONS, regions
from stylegan.checkpoint import CheckpointError
from stylegan.config import ConfigError


@pytest.fixture
def network() -> RegionsNetwork:
    torch.manual_seed(0)
    return RegionsNetwork(RegionsConfig(width=4)).eval()


@pytest.mark.parametrize("side", [16, 32, 64, 200])
def test_shares_of_every_size(network: RegionsNetwork, side: int) -> None:
    found = RegionsReader(network).read(torch.rand(2, 1, side, side) * 3 - 1.5)
    assert found.shape == (2, len(REGIONS), 64, 64)
    assert found.min() >= 0 and found.sum(1).max() <= 1 + 1e-6


def test_pictures_are_read_each_for_itself(network: RegionsNetwork) -> None:
    grey = torch.rand(3, 1, 40, 40)
    reader = RegionsReader(network)
    torch.testing.assert_close(reader.read(grey)[1:2], reader.read(grey[1:2]), rtol=0, atol=1e-6)


def test_a_file_gives_the_same_reader(network: RegionsNetwork, tmp_path) -> None:
    save_regions(tmp_path / "regions.safetensors", network)
    grey = torch.rand(1, 1, 64, 64)
    found = load_regions(tmp_path / "regions.safetensors")
    assert found.names == REGIONS
    assert torch.equal(found.read(grey), RegionsReader(network).read(grey))
    with pytest.raises(CheckpointError):
        load_regions(tmp_path / "none.safetensors")
    with pytest.raises(ConfigError, match="width"):
        RegionsConfig(width=0)


def test_loss_is_the_cross_entropy_by_hand() -> None:
    logits = torch.randn(1, len(REGIONS) + 1, 64, 64)
    shares = 0.9 * torch.softmax(torch.randn(1, len(REGIONS), 64, 64), 1)
    wanted = np.concatenate([shares.numpy(), np.full((1, 1, 64, 64), 0.1, np.float32)], 1)
    chances = np.exp(logits.numpy()) / np.exp(logits.numpy()).sum(1, keepdims=True)
    expected = -(wanted * np.log(chances)).sum(1).mean()
    assert float(regions_loss(logits, shares)) == pytest.approx(float(expected), rel=1e-5)


def test_it_learns_from_a_few_drawn_faces(network: RegionsNetwork) -> None:
    faces = [describe(8, k) for k in range(4)]
    greys = np.stack(
        [np.asarray(draw(f, 64, "grey").resize((64, 64), Image.BICUBIC)) for f in faces]
    )
    grey = torch.from_numpy(greys).float()[:, None] / 127.5 - 1
    shares = torch.from_numpy(np.stack([regions(f, 64) for f in faces])).permute(0, 3, 1, 2)
    blind = -(shares.mean((0, 2, 3)) * shares.mean((0, 2, 3)).log()).sum()
    optimizer = torch.optim.AdamW(network.train().parameters(), 1e-2)
    for _ in range(25):
        loss = regions_loss(network(grey), shares)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.7 * blind
