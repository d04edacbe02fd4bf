"""The encoder: what it takes, what it samples, and which files it refuses."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_models import digest, small_resnet, tiny_generator

import runtime
from encoder import Encoder, EncoderConfig, load_encoder
from encoder.model import save_encoder
from encoder.training import set_residual_covariance
from engine.files import file_sha256
from stylegan.checkpoint import CheckpointError, save_generator, save_weights


@pytest.fixture(scope="module")
def generator_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("generator") / "generator.safetensors"
    save_generator(path, tiny_generator())
    return path


@pytest.fixture
def encoder(monkeypatch, generator_path):
    monkeypatch.setattr("encoder.backbone.resnet50", small_resnet)
    torch.manual_seed(0)
    return Encoder(EncoderConfig(16, file_sha256(generator_path), 32)).eval().requires_grad_(False)


def test_the_network_is_a_resnet50_for_one_channel():
    encoder = Encoder(EncoderConfig(16, "")).eval()
    official = 25_557_032  # parameters of ResNet-50 as published, 1000 classes included
    expected = official - (2048 * 1000 + 1000) - 64 * 3 * 49 + 64 * 1 * 9 + (2048 * 16 + 16)
    assert sum(p.numel() for p in encoder.parameters()) == expected
    shapes = []
    encoder.backbone.net.layer4.register_forward_hook(lambda *io: shapes.append(io[2].shape))
    with torch.no_grad():
        assert encoder(torch.zeros(1, 1, 32, 32)).shape == (1, 16)
    assert shapes == [(1, 2048, 2, 2)]  # 32 / 16: the stem halves once, not twice


@pytest.mark.parametrize("size", range(16, 65, 4))
def test_any_size_will_do(encoder, size):
    y = torch.rand(2, 1, size, size, generator=torch.Generator().manual_seed(size)) * 2 - 1
    assert encoder(y).shape == (2, 16)
    assert encoder(y).isfinite().all()


@pytest.mark.parametrize("size", [16, 40, 64])
def test_other_sizes_are_resized_as_pillow_does(encoder, size):
    fine = np.random.default_rng(0).uniform(-1, 1, (size, size)).astype(np.float32)
    resized = np.asarray(Image.fromarray(fine).resize((32, 32), Image.Resampling.BICUBIC))
    given, expected = (encoder(torch.tensor(a)[None, None]) for a in (fine, resized))
    torch.testing.assert_close(given, expected, rtol=0, atol=1e-4)


def test_samples_have_the_mean_and_the_covariance_of_the_errors(encoder):
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(16, 16))
    errors = rng.normal(size=(500, 16)) @ mixing.T + 0.3
    set_residual_covariance(encoder, torch.zeros(500, 16), torch.from_numpy(errors).float())
    second_moment = errors.T @ errors / 500
    y = torch.rand(1, 1, 32, 32)
    noise = torch.randn(200_000, 16, generator=torch.Generator().manual_seed(0))
    v = encoder.sample(y, noise).double().numpy()
    spread = np.sqrt(np.diag(second_moment))
    mean = encoder(y)[0].double().numpy()
    assert (np.abs(v.mean(0) - mean) < 5 * spread / np.sqrt(len(v))).all()
    error = (np.cov(v.T) - second_moment) / np.outer(spread, spread)
    assert np.abs(error).max() < 5 * np.sqrt(2 / len(v))


def test_residual_root_of_few_errors(encoder):
    """Fewer errors than dimensions: a singular covariance, still a real root."""
    errors = torch.randn(5, 16, generator=torch.Generator().manual_seed(0))
    set_residual_covariance(encoder, torch.zeros(5, 16), errors)
    root = encoder.residual_sqrt_cov.double().numpy()
    np.testing.assert_allclose(root, root.T, atol=1e-7)
    np.testing.assert_allclose(root @ root, errors.T.double() @ errors.double() / 5, atol=1e-5)


# --- files -------------------------------------------------------------------------------------


def test_encoder_comes_back_exactly(tmp_path, encoder, generator_path):
    encoder.residual_sqrt_cov.copy_(torch.randn(16, 16))
    path = tmp_path / "encoder.safetensors"
    save_encoder(path, encoder, trained_steps=3)
    loaded = load_encoder(str(path), str(generator_path))
    assert loaded.config == encoder.config
    assert digest(dict(loaded.state_dict())) == digest(dict(encoder.state_dict()))
    assert not loaded.training and not any(p.requires_grad for p in loaded.parameters())


def assert_refused(path, generator_path, what, exit_code):
    with pytest.raises(CheckpointError, match=what) as caught:
        load_encoder(path, generator_path)
    assert str(caught.value).startswith(f"{path}: ")
    assert runtime.exit_code(caught.value.code) == exit_code


def test_an_encoder_of_another_generator_is_refused(tmp_path, encoder, generator_path):
    path, other = tmp_path / "encoder.safetensors", tmp_path / "other.safetensors"
    save_encoder(path, encoder)
    save_generator(other, tiny_generator(seed=9))
    first, second = file_sha256(generator_path)[:12], file_sha256(other)[:12]
    assert_refused(path, other, f"generator {first}, but .* is {second}", 76)


def test_files_that_are_no_encoder_are_refused(tmp_path, encoder, generator_path):
    path = tmp_path / "e.safetensors"
    assert_refused(path, generator_path, "no such file", 66)
    assert_refused(
        generator_path, generator_path, "holds generator weights, encoder weights are needed", 65
    )
    config = dataclasses.asdict(encoder.config)
    save_weights(path, "encoder", config | {"format": "new"}, encoder.state_dict())
    assert_refused(path, generator_path, "its configuration cannot be used", 65)
    save_weights(path, "encoder", config, {"head.bias": torch.zeros(16)})
    assert_refused(path, generator_path, "does not fit its own configuration", 65)
    save_weights(path, "encoder", config, encoder.state_dict(), format_version=3)
    assert_refused(path, generator_path, "newer than 2", 76)
