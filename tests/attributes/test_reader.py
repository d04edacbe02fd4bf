"""The reader: what it takes, what its answers mean, and which files it refuses."""

import numpy as np
import pytest
import torch
from PIL import Image
from reader_case import TINY, noise, tiny_network, tiny_reader
from tiny_models import digest, tiny_generator

import runtime
from attributes.network import Network, ReaderConfig
from attributes.reader import Attributes, agreement, load_reader, save_reader
from attributes.schema import CHOICES, NUMBERS, QUALITIES
from stylegan.checkpoint import CheckpointError, save_generator, save_weights
from stylegan.config import ConfigError


def test_the_network_is_small():
    network = Network(ReaderConfig()).eval()
    assert sum(p.numel() for p in network.parameters()) < 2_000_000
    assert network.features(torch.zeros(1, 3, 128, 128)).shape == (1, 192)


# --- reading -----------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [16, 32, 50, 64])
def test_any_size_will_do(side):
    reader = tiny_reader()
    assert reader.features(noise(3, side)).shape == (3, 8)
    assert len(reader.read(noise(3, side))) == 3


@pytest.mark.parametrize("side", [16, 50, 64])
def test_other_sizes_are_resized_as_pillow_does(side):
    fine = noise(1, side, 1).numpy()[0, 0]
    small = np.asarray(Image.fromarray(fine).resize((32, 32), Image.Resampling.BICUBIC))
    reader = tiny_reader()
    given, expected = (reader.features(torch.tensor(a)[None, None]) for a in (fine, small))
    torch.testing.assert_close(given, expected, rtol=0, atol=1e-3)


def test_grey_pictures_are_those_of_three_equal_channels():
    reader, grey = tiny_reader(), noise(2, 32, 1)
    assert torch.equal(reader.features(grey), reader.features(grey.repeat(1, 3, 1, 1)))


def test_a_picture_is_read_the_same_in_any_company():
    reader, pictures = tiny_reader(), noise(70, 32)
    alone = torch.cat([reader.features(pictures[k : k + 1]) for k in range(70)])
    torch.testing.assert_close(reader.features(pictures), alone, rtol=1e-4, atol=1e-4)


def test_values_outside_the_range_are_clipped():
    reader, pictures = tiny_reader(), noise(2, 32)
    assert torch.equal(reader.features(3 * pictures), reader.features((3 * pictures).clamp(-1, 1)))


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 4, 32, 32), (1, 32, 32, 3)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"pictures: got shape .* Give \[N, 3, H, W\]"):
        tiny_reader().features(torch.zeros(shape))


def test_answers_have_their_names_and_units():
    reader, pictures = tiny_reader(), noise(4, 32)
    seen = reader.read(pictures)
    assert seen.chances.keys() == CHOICES.keys() and seen.numbers.keys() == NUMBERS.keys()
    for name, names in CHOICES.items():
        torch.testing.assert_close(seen.chances[name].sum(1), torch.ones(4))
        assert seen.answers(name) == [names[k] for k in seen.chances[name].argmax(1)]
    _, means, spreads = reader.network(pictures)
    for k, (name, (middle, unit)) in enumerate(NUMBERS.items()):
        torch.testing.assert_close(seen.numbers[name], middle + unit * means[:, k])
        torch.testing.assert_close(seen.deviations[name], unit * (spreads[:, k] / 2).exp())


def test_features_can_be_read_later():
    reader, pictures = tiny_reader(), noise(4, 32)
    later, at_once = reader.read_features(reader.features(pictures)), reader.read(pictures)
    assert digest(later.chances) == digest(at_once.chances)


def test_shares():
    found = seen([[0.6, 0.2, 0.2], [0.1, 0.2, 0.7], [0.4, 0.3, 0.3], [0.5, 0.4, 0.1]], [0.0], [1.0])
    assert found.shares("glasses") == {"none": 0.75, "round": 0.0, "square": 0.25}


# --- agreement ---------------------------------------------------------------------------------


def seen(chances, number, deviation):
    return Attributes(
        {"glasses": torch.tensor(chances)},
        {"turn": torch.tensor(number)},
        {"turn": torch.tensor(deviation)},
        {"glasses": ("none", "round", "square")},
    )


def test_agreement():
    """With one that shows no glasses for sure, and may be turned by 4 degrees, more or less."""
    shown = seen([[1.0, 0.0, 0.0]], [4.0], [3.0])
    certain = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.7, 0.2, 0.1]]
    found = agreement(seen(certain, [4.0, 9.0, -11.0], [4.0, 4.0, 4.0]), shown)
    torch.testing.assert_close(found["glasses"], torch.tensor([1.0, 0.0, 0.7]))
    expected = torch.tensor([0.0, 1.0, 3.0]).square().div(-2).exp()  # 5 degrees: 1 deviation
    torch.testing.assert_close(found["turn"], expected)


def test_what_is_left_open_is_not_contradicted():
    open_, half = (
        seen([[1 / 3, 1 / 3, 1 / 3]], [0.0], [90.0]),
        seen([[0.4, 0.4, 0.2]], [0.0], [9.0]),
    )
    candidates = seen([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], [0.0, 9.0], [0.1, 0.1])
    assert agreement(candidates, open_)["glasses"].tolist() == pytest.approx([1, 1])
    assert agreement(candidates, half)["glasses"].tolist() == pytest.approx([1, 0.5])
    assert agreement(candidates, open_)["turn"].min() > 0.99


def test_agreement_of_some_attributes():
    one = seen([[1.0, 0.0, 0.0]], [4.0], [3.0])
    assert agreement(one, one).keys() == {"glasses", "turn"}
    assert agreement(one, one, ["turn"]).keys() == {"turn"}
    picture = tiny_reader().read(noise(2, 32))
    assert agreement(picture, picture).keys() == CHOICES.keys() | NUMBERS.keys() - set(QUALITIES)


# --- files -------------------------------------------------------------------------------------


def test_a_reader_comes_back_exactly(tmp_path):
    reader, path = tiny_reader(), tmp_path / "attributes.safetensors"
    save_reader(path, reader.network, trained_steps=3)
    loaded = load_reader(str(path))
    assert loaded.config.to_dict() == TINY.to_dict()
    assert digest(dict(loaded.network.state_dict())) == digest(dict(reader.network.state_dict()))
    assert torch.equal(loaded.features(noise(2, 40)), reader.features(noise(2, 40)))
    assert loaded.read(noise(2, 40)).names == {k: tuple(v) for k, v in CHOICES.items()}
    assert not loaded.network.training
    assert not any(p.requires_grad for p in loaded.network.parameters())


def assert_refused(path, what, exit_code):
    with pytest.raises(CheckpointError, match=what) as caught:
        load_reader(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert runtime.exit_code(caught.value.code) == exit_code


def test_files_that_are_no_reader_are_refused(tmp_path):
    path, network = tmp_path / "a.safetensors", tiny_network()
    assert_refused(path, "no such file", 66)
    save_generator(path, tiny_generator())
    assert_refused(path, "holds generator weights, attributes weights are needed", 65)
    save_weights(path, "attributes", TINY.to_dict(), {"heads.bias": torch.zeros(16)})
    assert_refused(path, "does not fit its own configuration", 65)
    for change in HOSTILE:
        save_weights(path, "attributes", TINY.to_dict() | change, network.state_dict())
        assert_refused(path, "its configuration cannot be used", 65)
    save_reader(path, network)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert_refused(path, "damaged", 65)


HOSTILE = [
    {"width": 10**9},
    {"width": "2"},
    {"side": 40},
    {"num_features": 0},
    {"colour": 1},
    {"choices": [["a", "b"]]},
    {"choices": {"glasses": ["none"]}},
    {"choices": {"glasses": ["none", 1]}},
    {"choices": {"glasses": "no"}},
    {"numbers": {"turn": [0]}},
    {"numbers": {"turn": [0, 0]}},
    {"numbers": {"turn": [0, float("nan")]}},
    {"numbers": {"turn": ["0", "1"]}},
    {"numbers": None},
]


@pytest.mark.parametrize("change", HOSTILE[:1] + HOSTILE[2:4])
def test_configurations_out_of_range(change):
    with pytest.raises(ConfigError, match=next(iter(change))):
        ReaderConfig(**change)
