"""The encoder: what it takes, what it answers and samples, and which files it refuses."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_models import digest, small_resnet, tiny_generator
from torch import nn

import runtime
from encoder import Encoder, EncoderConfig, load_encoder
from encoder.gaussian import GaussianConfig, GaussianEncoder
from encoder.model import Guess, Look, save_encoder, to_canvas
from engine.files import file_sha256
from stylegan.checkpoint import CheckpointError, save_generator, save_weights

DIM, NUM_WS, TOLD = 16, 6, 14


@pytest.fixture(scope="module")
def generator_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("generator") / "generator.safetensors"
    save_generator(path, tiny_generator())
    return path


@pytest.fixture(autouse=True)
def small_first_kind(monkeypatch):
    monkeypatch.setattr("encoder.gaussian.resnet50", small_resnet)


def enliven(encoder):
    """Give weights to what begins at zero, as training does."""
    with torch.no_grad():
        for p in encoder.parameters():
            if not p.any():
                nn.init.normal_(p, std=0.05)
    return encoder.eval().requires_grad_(False)


@pytest.fixture
def encoder(monkeypatch, generator_path):
    monkeypatch.setattr("encoder.backbone.resnet50", small_resnet)
    torch.manual_seed(0)
    return enliven(Encoder(EncoderConfig(DIM, NUM_WS, file_sha256(generator_path), TOLD)))


def pictures(num, side, seed=0):
    return torch.rand(num, 1, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


# --- the network -------------------------------------------------------------------------------


def test_the_network_is_a_resnet50_with_a_stem_that_loses_nothing():
    encoder = Encoder(EncoderConfig(DIM, NUM_WS, "", TOLD)).eval()
    official = 25_557_032  # parameters of ResNet-50 as published, 1000 classes included
    stem, film = 64 * (3 * 64) * 9, (2 + TOLD) * 128 + 128
    expected = official - (2048 * 1000 + 1000) - 64 * 3 * 49 + stem + film
    assert sum(p.numel() for p in encoder.backbone.parameters()) == expected
    shapes = []
    encoder.backbone.net.layer1.register_forward_pre_hook(lambda _, x: shapes.append(x[0].shape))
    with torch.no_grad():
        assert encoder.mean(torch.zeros(1, 1, 32, 32)).shape == (1, DIM)
    assert shapes == [(1, 64, 16, 16)]
    blocks = encoder.backbone.blocks(pictures(1, 128))
    assert blocks.shape == (1, 64, 16, 16)
    assert torch.equal(nn.functional.pixel_shuffle(blocks, 8), pictures(1, 128))


def test_an_untrained_encoder_answers_the_prior(monkeypatch):
    monkeypatch.setattr("encoder.backbone.resnet50", small_resnet)
    encoder = Encoder(EncoderConfig(DIM, NUM_WS, "", TOLD)).eval()
    noise = torch.randn(3, DIM)
    guess = encoder(encoder.look(pictures(1, 32)))
    assert not guess.v.any() and not guess.delta.any()
    assert torch.equal(encoder.sample(pictures(1, 32), noise), noise)


@pytest.mark.parametrize("size", [16, 23, 64, 100, 128, 200])
def test_any_size_will_do_and_is_told(encoder, size):
    look = encoder.look(pictures(2, size, seed=size))
    assert look.canvas.shape == (2, 1, 128, 128) and look.told.shape == (2, 1 + TOLD)
    assert look.told[0].tolist() == pytest.approx([np.log2(size / 32)] + [0] * TOLD)
    guess = encoder(look)
    assert guess.v.shape == (2, DIM) and guess.delta.shape == (2, NUM_WS, DIM)
    assert guess.v.isfinite().all() and guess.condition.shape == (2, 2048 + DIM)


def test_the_canvas_keeps_small_pictures_and_is_pillows():
    for size in (16, 32, 100):
        y = pictures(1, size)
        large = Image.fromarray(y[0, 0].numpy()).resize((128, 128), Image.Resampling.BICUBIC)
        np.testing.assert_allclose(to_canvas(y)[0, 0], np.asarray(large), atol=1e-5)
    basis = torch.eye(256).view(256, 1, 16, 16)
    assert torch.linalg.matrix_rank(to_canvas(basis).flatten(1)) == 256, "16x16 can be had back"
    assert torch.equal(to_canvas(pictures(1, 128)), pictures(1, 128))


def test_everything_that_is_told_counts(encoder):
    y = pictures(1, 32)
    unknown = encoder(encoder.look(y)).v
    for k in range(TOLD):
        told = torch.zeros(1, TOLD)
        told[0, k] = 1
        assert (encoder(encoder.look(y, told)).v - unknown).abs().max() > 1e-4, k
    look = encoder.look(y)
    told = look.told.clone()
    told[0, 0] = 1
    assert (encoder(Look(look.canvas, told)).v - unknown).abs().max() > 1e-4, "the size"


def test_samples_of_a_batch_are_apart(encoder):
    looks = [encoder.look(pictures(1, side, seed=side)) for side in (16, 32, 90)]
    together = encoder.train()(Look.join(looks))
    for k, look in enumerate(looks):
        torch.testing.assert_close(encoder(look).v[0], together.v[k], rtol=0, atol=1e-5)


# --- corrections -------------------------------------------------------------------------------


def test_a_correction_adds_to_the_guess_and_sees_what_is_missing(encoder):
    look, y_hat = encoder.look(pictures(2, 32)), pictures(2, 128, seed=1)
    seen = []
    hook = encoder.backbone.register_forward_pre_hook(lambda _, x: seen.append(x))
    first = encoder(look)
    second = encoder(look, first, y_hat)
    hook.remove()
    (canvas, told), (again, told_again) = seen
    assert torch.equal(canvas[:, :1], look.canvas) and not canvas[:, 1:].any()
    assert torch.equal(again, torch.cat([look.canvas, y_hat, look.canvas - y_hat], dim=1))
    assert told[:, -1].tolist() == [0, 0] and told_again[:, -1].tolist() == [1, 1]
    alone = encoder(look, Guess(first.features, 0 * first.v, 0 * first.delta), y_hat)
    torch.testing.assert_close(second.v - alone.v, first.v, rtol=0, atol=1e-5)
    torch.testing.assert_close(second.delta - alone.delta, first.delta, rtol=0, atol=1e-5)
    assert (alone.v - first.v).abs().max() > 1e-4


def test_refinement_measures_each_guess_once(encoder):
    look, asked = encoder.look(pictures(1, 32)), []

    def measure(v, delta):
        asked.append((v, delta))
        return v.mean() + delta.mean() + pictures(1, 32, seed=2)

    guess, by_hand = encoder.refine(look, measure, passes=2), encoder(look)
    for _ in range(2):
        by_hand = encoder(look, by_hand, to_canvas(measure(by_hand.v, by_hand.delta)))
    assert len(asked) == 4
    torch.testing.assert_close(guess.v, by_hand.v)
    assert torch.equal(encoder.refine(look, measure, passes=0).v, encoder(look).v)
    assert len(asked) == 4


def test_layers_have_shares_of_low_rank(encoder):
    config = EncoderConfig(DIM, NUM_WS, "", TOLD, rank=2)
    low = enliven(Encoder(config))
    delta = low(low.look(pictures(9, 32))).delta
    assert torch.linalg.matrix_rank(delta.flatten(0, 1)) == 2
    assert (delta[:, 0] - delta[:, 1]).abs().max() > 1e-3, "each layer has its own"


# --- samples -----------------------------------------------------------------------------------


def test_samples_are_the_flows_given_what_was_seen(encoder):
    y, noise = pictures(1, 40), torch.randn(3, DIM)
    for told in (None, torch.eye(TOLD)[:1]):
        guess = encoder(encoder.look(y, told))
        assert torch.equal(encoder.mean(y, told), guess.v)
        expected = encoder.flow.sample(guess.condition, noise)
        assert torch.equal(encoder.sample(y, noise, told), expected)
    torch.testing.assert_close(
        encoder.sample(y, noise)[1:2], encoder.sample(y, noise[1:2]), rtol=0, atol=1e-5
    )
    assert (encoder.sample(y, noise) - encoder.sample(pictures(1, 40, 5), noise)).abs().max() > 1e-4


def test_the_first_kind_has_a_mean_and_one_covariance():
    torch.manual_seed(0)
    encoder = GaussianEncoder(GaussianConfig(DIM, "")).eval().requires_grad_(False)
    encoder.residual_sqrt_cov.copy_(torch.randn(DIM, DIM))
    y, noise = pictures(1, 50), torch.randn(3, DIM)
    expected = encoder.mean(y) + noise @ encoder.residual_sqrt_cov
    torch.testing.assert_close(encoder.sample(y, noise), expected)
    fine = Image.fromarray(y[0, 0].numpy()).resize((32, 32), Image.Resampling.BICUBIC)
    resized = torch.from_numpy(np.array(fine))[None, None]
    torch.testing.assert_close(encoder.mean(y), encoder.mean(resized), rtol=0, atol=1e-4)


# --- files -------------------------------------------------------------------------------------


def test_encoder_comes_back_exactly(tmp_path, encoder, generator_path):
    encoder.residual_sqrt_cov.copy_(torch.randn(DIM, DIM))
    path = tmp_path / "encoder.safetensors"
    save_encoder(path, encoder, trained_steps=3)
    loaded = load_encoder(str(path), str(generator_path))
    assert loaded.config == encoder.config
    assert digest(dict(loaded.state_dict())) == digest(dict(encoder.state_dict()))
    assert not loaded.training and not any(p.requires_grad for p in loaded.parameters())


def test_files_of_the_first_kind_are_still_read(tmp_path, generator_path):
    config = {"latent_dim": DIM, "generator_sha256": file_sha256(generator_path), "input_size": 32}
    encoder = GaussianEncoder(GaussianConfig(**config))
    save_weights(tmp_path / "e.safetensors", "encoder", config, encoder.state_dict())
    loaded = load_encoder(tmp_path / "e.safetensors", generator_path)
    assert type(loaded) is GaussianEncoder
    assert digest(dict(loaded.state_dict())) == digest(dict(encoder.state_dict()))


def assert_refused(path, generator_path, what, exit_code):
    with pytest.raises(CheckpointError, match=what) as caught:
        load_encoder(path, generator_path)
    assert str(caught.value).startswith(f"{path}: ")
    assert runtime.exit_code(caught.value.code) == exit_code


def test_an_encoder_of_another_generator_is_refused(tmp_path, encoder, generator_path):
    path, other = tmp_path / "encoder.safetensors", tmp_path / "other.safetensors"
    save_generator(other, tiny_generator(seed=9))
    first, second = file_sha256(generator_path)[:12], file_sha256(other)[:12]
    gaussian = GaussianEncoder(GaussianConfig(DIM, file_sha256(generator_path)))
    for kind in (encoder, gaussian):
        save_encoder(path, kind)
        assert_refused(path, other, f"generator {first}, but .* is {second}", 76)


def test_files_that_are_no_encoder_are_refused(tmp_path, encoder, generator_path):
    path = tmp_path / "e.safetensors"
    assert_refused(path, generator_path, "no such file", 66)
    assert_refused(
        generator_path, generator_path, "holds generator weights, encoder weights are needed", 65
    )
    config = dataclasses.asdict(encoder.config)
    for change in ({"format": "new"}, {"version": 3}, {"version": 1}, {"rank": 0}):
        save_weights(path, "encoder", config | change, encoder.state_dict())
        assert_refused(path, generator_path, "its configuration cannot be used", 65)
    save_weights(path, "encoder", config, {"head.bias": torch.zeros(DIM)})
    assert_refused(path, generator_path, "does not fit its own configuration", 65)
    save_weights(path, "encoder", config, encoder.state_dict(), format_version=3)
    assert_refused(path, generator_path, "newer than 2", 76)
