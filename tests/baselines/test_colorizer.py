"""Presets as the source systems are described, and colourisers as the evaluation takes them."""

import dataclasses

import pytest
import torch
from colorizer_case import SIDE, faces, network, small

from baselines.colorizer import Colorizer, grey, load_colorizer, resize, save_colorizer
from baselines.lab import ab_of, lightness
from baselines.presets import PRESETS, ColorizerConfig
from evaluation.methods import method_of
from stylegan.checkpoint import CheckpointError
from stylegan.config import ConfigError


def test_presets_are_the_source_systems():
    """What field.md's table says of each of them."""
    convnet, cgan, lab, cue = (PRESETS[name] for name in ("convnet", "cgan", "lab", "cue"))
    assert (convnet.halvings, convnet.loss, convnet.strides, convnet.beta1) == (6, "l2", (), 0.9)
    assert (cgan.halvings, cgan.loss, cgan.loss_weight) == (6, "l1", 100)
    assert (cgan.lr, cgan.beta1, len(cgan.strides)) == (2e-4, 0.5, 6)
    assert (lab.sees, lab.answers, lab.mirror, lab.batch) == ("lightness", "ab", True, 16)
    assert dataclasses.replace(lab, side=256).halvings == 8  # to 1x1
    assert (cue.sees, cue.cue, cue.dropout, cue.batch, cue.init_std) == (
        "sketch", "blurred", 3, 4, 0.02,
    )  # fmt: skip
    assert PRESETS["page"].mobilenet and PRESETS["page"].init_std == 0.01
    assert PRESETS["cascade"].enlarges
    assert all(PRESETS[n].strides == (2, 2, 2, 1, 1) for n in ("lab", "cue", "cascade"))


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("lab", {"side": 40}, "40 pixels a side; lab halves them 4 times. Use a multiple of 16"),
        ("page", {"side": 48}, "Use a multiple of 32"),
        ("cgan", {"sees": "colour"}, "sees is 'colour'; it must be one of grey, canny"),
        ("lab", {"side": 8}, "side is 8"),
        ("lab", {"batch": 1}, "batch is 1"),
        ("lab", {"sees": "canny"}, "it cannot see canny"),
        ("page", {"cue": "blurred"}, "page sees grey alone"),
    ],
)
def test_impossible_presets(name, changes, message):
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(PRESETS[name], **changes)


def test_labels():
    assert small("cgan").label == "cgan" and small("cgan", sees="canny").label == "cgan-canny"
    assert small("cue", cue="none").label == "cue-no-cue"
    assert small("cgan", sees="xdog", cue="blurred", judge="none").label == "cgan-xdog-cue-no-judge"


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_colours_any_size_of_grey(name):
    colorizer = Colorizer(network(name), finished=40)
    x = faces(2, 64)
    for side in (16, 32, 48):
        seen = colorizer.see(x, resize(grey(x), side))
        assert seen.shape == (2, 4 if name == "cue" else 1, SIDE, SIDE)
        made = colorizer(seen)
        assert made.shape == (2, 3, 40, 40) and made.abs().max() <= 1


@pytest.mark.parametrize("name", PRESETS)
def test_only_lines_and_cues_come_from_the_truth(name):
    colorizer, x, y = Colorizer(network(name)), faces(), grey(faces())
    others = colorizer.see(x.flip(3), y)
    assert torch.equal(colorizer.see(x, y), others) == (name != "cue")


def test_what_is_seen():
    x, y = faces(), grey(faces())
    assert torch.equal(Colorizer(network("cgan")).see(x, y), y)
    assert torch.equal(Colorizer(network("lab")).see(x, y), lightness(y))
    lines = Colorizer(network("cgan", sees="canny")).see(x, y)
    assert set(lines.unique().tolist()) == {-1, 1}
    assert Colorizer(network("cue", cue="none")).see(x, y).shape[1] == 1


def test_lab_answers_are_joined_to_what_was_seen():
    net = network("lab")
    x = grey(faces()).expand(-1, 3, -1, -1)
    made = net.picture(net.see(grey(x), x), ab_of(x))
    torch.testing.assert_close(made, x, atol=1e-3, rtol=0)


def test_cascade_enlarges_before_it_colours():
    net = network("cascade").eval()
    small_grey = resize(grey(faces()), 12)
    with torch.no_grad():
        large = net.enlarge(small_grey)
        assert large.shape == (4, 1, SIDE, SIDE)
        torch.testing.assert_close(
            large, resize(small_grey, SIDE) + net.enlarger(resize(small_grey, SIDE))
        )
    assert network("lab").enlarger is None


def test_stored_colourisers_do_the_same(tmp_path):
    net = network("cue").eval()
    save_colorizer(tmp_path / "c.safetensors", net, trained_steps=3)
    stored = load_colorizer(tmp_path / "c.safetensors")
    x = faces()
    seen = Colorizer(net).see(x, grey(x))
    assert torch.equal(stored(seen), Colorizer(net)(seen))
    assert stored.config == net.config and stored.finished == SIDE
    (tmp_path / "c.safetensors").write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match=r"c\.safetensors"):
        load_colorizer(tmp_path / "c.safetensors")


def test_a_method_of_the_evaluation():
    method = method_of(Colorizer(network("cue")))
    x = faces()[:1]
    answer = method.solve(method.see(x, grey(x)))
    assert method.name == "cue" and method.seen == "sketch and a colour cue"
    assert answer.pictures.shape == (1, 3, SIDE, SIDE)
    assert isinstance(method_of(Colorizer(network("cgan"))).seen, str)


def test_config_of_a_hostile_file_is_refused():
    for value in (10**9, "64", None):
        with pytest.raises(ConfigError):
            ColorizerConfig("lab", side=value)
