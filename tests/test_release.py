"""pretrained/release.py: weights of a run become the default model, stored as float16."""

import hashlib
import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors import safe_open
from tiny_models import small_resnet, tiny_generator

from attributes.network import Network, ReaderConfig
from attributes.reader import load_reader, save_reader
from encoder import Encoder, EncoderConfig, load_encoder
from encoder.gaussian import GaussianConfig, GaussianEncoder
from encoder.model import save_encoder
from pretrained import release
from stylegan import load_generator
from stylegan.checkpoint import save_generator


@pytest.fixture
def folder(tmp_path, monkeypatch):
    folder = tmp_path / "pretrained"
    folder.mkdir()
    monkeypatch.setattr(release, "FOLDER", folder)
    return folder


def released(kind, path):
    result = CliRunner().invoke(release.main, [kind, str(path)])
    assert result.exit_code == 0, result.output


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def assert_rounded_to_float16(loaded, original):
    for name, value in original.state_dict().items():
        expected = value.numpy()
        if value.is_floating_point():
            expected = expected.astype(np.float16).astype(np.float32)
        np.testing.assert_array_equal(loaded.state_dict()[name].numpy(), expected, err_msg=name)


def test_generator_is_half_as_large_and_nearly_the_same(folder, tmp_path):
    G, path = tiny_generator(), tmp_path / "whole.safetensors"
    save_generator(path, G, trained_kimg=1.5)
    released("generator", path)
    loaded = load_generator(folder / "generator.safetensors")
    assert_rounded_to_float16(loaded, G)
    assert (folder / "generator.safetensors").stat().st_size < 0.65 * path.stat().st_size
    z = torch.randn(4, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert (loaded(z) - G(z)).square().mean().sqrt() < 1e-3 * G(z).std()
    with safe_open(folder / "generator.safetensors", "pt") as file:
        metadata = file.metadata()
    assert (metadata["trained_kimg"], metadata["parent_sha256"]) == ("1.5", sha256(path))


def of_the_first_kind(generator_sha256):
    encoder = GaussianEncoder(GaussianConfig(16, generator_sha256))
    encoder.backbone.net.bn1.num_batches_tracked.fill_(70_001)  # not a float16
    return encoder


def of_this_kind(generator_sha256):
    return Encoder(EncoderConfig(16, 6, generator_sha256, 14))


@pytest.mark.parametrize("kind", [of_the_first_kind, of_this_kind])
def test_encoder_belongs_to_the_released_generator(folder, tmp_path, monkeypatch, kind):
    for module in ("backbone", "gaussian"):
        monkeypatch.setattr(f"encoder.{module}.resnet50", small_resnet)
    save_generator(tmp_path / "g.safetensors", tiny_generator())
    released("generator", tmp_path / "g.safetensors")
    generator = folder / "generator.safetensors"
    torch.manual_seed(0)
    encoder = kind(sha256(generator)).eval()
    save_encoder(tmp_path / "e.safetensors", encoder, trained_steps=3)
    released("encoder", tmp_path / "e.safetensors")
    assert_rounded_to_float16(load_encoder(folder / "encoder.safetensors", generator), encoder)


def test_the_reader_of_attributes(folder, tmp_path):
    torch.manual_seed(0)
    network = Network(ReaderConfig(width=2, num_features=8, side=32))
    save_reader(tmp_path / "a.safetensors", network, accuracy=0.9)
    released("attributes", tmp_path / "a.safetensors")
    assert_rounded_to_float16(load_reader(folder / "attributes.safetensors").network, network)
    with safe_open(folder / "attributes.safetensors", "pt") as file:
        assert file.metadata()["accuracy"] == "0.9"


def test_what_float16_cannot_hold_is_refused(folder, tmp_path):
    G = tiny_generator()
    with torch.no_grad():
        G.synthesis.layers[2].bias[1] = 7e4  # float16 ends at 65504
    save_generator(tmp_path / "g.safetensors", G)
    result = CliRunner().invoke(release.main, ["generator", str(tmp_path / "g.safetensors")])
    assert "layers.2.bias holds values that are not finite" in str(result.exception)
    assert not list(folder.iterdir())


def test_the_manifest_lists_every_file(folder, tmp_path):
    save_generator(tmp_path / "g.safetensors", tiny_generator())
    released("generator", tmp_path / "g.safetensors")
    file = folder / "generator.safetensors"
    manifest = json.loads((folder / "manifest.json").read_text())
    entry = {"bytes": file.stat().st_size, "sha256": sha256(file)}
    assert manifest["files"] == {"generator.safetensors": entry}
