"""Starting from another run's weights: what is copied, what is refused, what stays fixed."""

import logging
from dataclasses import replace

import pytest
import torch
from tiny_models import D_CONFIG, G_CONFIG, digest, real_batch, tiny_discriminator, tiny_generator

import runtime
from stylegan.checkpoint import CheckpointError, save_discriminator, save_generator
from stylegan.config import ConfigError
from stylegan.recipe import TrainingConfig
from stylegan.training import Trainer
from stylegan.transfer import WITHOUT_WEIGHTS, freeze_discriminator, transfer


def trained_generator(seed=5):
    """A generator whose statistics are not those of a new one."""
    G = tiny_generator(seed)
    G.mapping.w_avg.fill_(0.5)
    for layer in G.synthesis.layers:
        layer.magnitude_ema.fill_(3.0)
    return G


@pytest.fixture
def run(tmp_path):
    """A run's folder with both networks."""
    save_generator(tmp_path / "generator.safetensors", trained_generator())
    save_discriminator(tmp_path / "discriminator.safetensors", tiny_discriminator(6))
    return tmp_path


def content(module):
    return digest(dict(module.state_dict()))


@pytest.mark.parametrize("name", ["", "generator.safetensors"])
def test_both_networks_and_the_average_start_from_the_file(run, caplog, name):
    caplog.set_level(logging.INFO)
    G, D = tiny_generator(0), tiny_discriminator(1)
    transfer(G, D, run / name)
    trainer = Trainer(G, D, TrainingConfig(total_steps=1, batch=4))
    assert content(trainer.G) == content(trainer.G_ema) == content(trained_generator())
    assert content(trainer.D) == content(tiny_discriminator(6))
    assert all(p.requires_grad for p in [*trainer.G.parameters(), *trainer.D.parameters()])
    assert not caplog.messages


def test_a_snapshot_brings_the_discriminator_of_its_own_time(run):
    save_generator(run / "generator-000123.safetensors", trained_generator())
    D = tiny_discriminator(1)
    transfer(tiny_generator(), D, run / "generator-000123.safetensors")
    assert content(D) == content(tiny_discriminator(6))
    save_discriminator(run / "discriminator-000123.safetensors", tiny_discriminator(7))
    transfer(tiny_generator(), D, run / "generator-000123.safetensors")
    assert content(D) == content(tiny_discriminator(7))


@pytest.mark.parametrize("name", ["generator.safetensors", "mine.safetensors"])
def test_a_generator_alone_leaves_the_discriminator_new(tmp_path, caplog, name):
    caplog.set_level(logging.INFO)
    save_generator(tmp_path / name, trained_generator())
    G, D = tiny_generator(0), tiny_discriminator(1)
    transfer(G, D, tmp_path / name)
    assert content(G) == content(trained_generator())
    assert content(D) == content(tiny_discriminator(1))
    (message,) = caplog.messages
    assert message.startswith(str(tmp_path / "discriminator.safetensors"))
    assert "the discriminator starts afresh" in message


def refusal(G, D, path):
    with pytest.raises(CheckpointError) as caught:
        transfer(G, D, path)
    return runtime.exit_code(caught.value.code), str(caught.value)


def test_networks_with_other_weights_are_refused(run):
    G = tiny_generator(0, replace(G_CONFIG, z_dim=8, first_cutoff=3.0))
    code, message = refusal(G, tiny_discriminator(), run)
    assert code == 76
    assert message.startswith(f"{run / 'generator.safetensors'}: z_dim is 16 there and 8 here, ")
    assert "first_cutoff is 2 there and 3.0 here" in message
    D = tiny_discriminator(config=replace(D_CONFIG, channel_max=4))
    code, message = refusal(tiny_generator(), D, run)
    assert code == 76 and f"{run / 'discriminator.safetensors'}: channel_max is 8 there" in message


def test_options_without_weights_may_differ(run, caplog):
    caplog.set_level(logging.INFO)
    G = tiny_generator(0, replace(G_CONFIG, margin_size=2))
    D = tiny_discriminator(config=replace(D_CONFIG, mbstd_group_size=2))
    transfer(G, D, run)
    assert content(G) == content(trained_generator())
    assert ["margin_size is 4 there and 2 here" in m for m in caplog.messages] == [True, False]
    assert ["mbstd_group_size is 4 there" in m for m in caplog.messages] == [False, True]


def shapes(module):
    return {name: value.shape for name, value in module.state_dict().items()}


OTHER_G = {
    "first_stopband": 5.0,
    "last_stopband_rel": 1.5,
    "margin_size": 2,
    "output_scale": 1.0,
    "filter_size": 4,
    "lrelu_upsampling": 1,
    "use_radial_filters": True,
    "conv_clamp": 9.0,
}
OTHER_D = {"conv_clamp": 9.0, "mbstd_group_size": 2}


def test_options_without_weights_have_none():
    assert OTHER_G.keys() | OTHER_D.keys() == WITHOUT_WEIGHTS
    for config, make, others in (
        (G_CONFIG, tiny_generator, OTHER_G),
        (D_CONFIG, tiny_discriminator, OTHER_D),
    ):
        for name, value in others.items():
            assert shapes(make(config=replace(config, **{name: value}))) == shapes(make())


def test_what_is_no_model(run, tmp_path):
    assert refusal(tiny_generator(), tiny_discriminator(), tmp_path / "nothing")[0] == 66
    (run / "discriminator.safetensors").write_bytes(b"half")
    assert refusal(tiny_generator(), tiny_discriminator(), run)[0] == 65


# --- layers that are held fixed ----------------------------------------------------------------

ORDER = "from_rgb blocks.0.conv0 blocks.0.conv1 blocks.0.skip blocks.1.conv0 blocks.1.conv1".split()


@pytest.mark.parametrize("num", [0, 1, 2, 3, 6])
def test_frozen_layers_are_the_first_and_stay_as_they_are(num):
    D = tiny_discriminator()
    frozen = freeze_discriminator(D, num)
    names = {name for name, p in D.named_parameters() if any(p is f for f in frozen)}
    assert {name.rpartition(".")[0] for name in names} == set(ORDER[:num])
    trainer = Trainer(tiny_generator(), D, TrainingConfig(total_steps=2, batch=4))
    before = {name: p.detach().clone() for name, p in D.named_parameters()}
    for step in range(2):
        trainer.step(real_batch(step))
    moved = {name for name, p in D.named_parameters() if not torch.equal(p, before[name])}
    assert moved == before.keys() - names


@pytest.mark.parametrize("num", [-1, 8])
def test_more_layers_than_there_are(num):
    with pytest.raises(ConfigError, match=f"--freezed of {num} layers: .* has 7"):
        freeze_discriminator(tiny_discriminator(), num)


def test_a_numbered_generator_with_the_newest_discriminator_is_noted(tmp_path, caplog):
    caplog.set_level("INFO")
    save_generator(tmp_path / "generator-000012.safetensors", tiny_generator(5))
    save_discriminator(tmp_path / "discriminator.safetensors", tiny_discriminator(6))
    transfer(tiny_generator(), tiny_discriminator(), tmp_path / "generator-000012.safetensors")
    [message] = caplog.messages
    assert str(tmp_path / "discriminator.safetensors") in message and "another age" in message
