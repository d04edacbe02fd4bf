"""Generator and discriminator against outputs of the reference implementation (fixtures)."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from stylegan import Discriminator, DiscriminatorConfig, Generator, GeneratorConfig
from stylegan.filters import plan_layers
from stylegan.reference import ReferenceStateError, load_reference_state

FIXTURES = Path(__file__).parents[1] / "fixtures"
GENERATORS = ["generator_t_32", "generator_r_32", "generator_t_64_cond"]


def read(name):
    arrays = dict(np.load(FIXTURES / f"{name}.npz", allow_pickle=False))
    meta = json.loads(str(arrays.pop("meta")))
    state = {
        k.removeprefix("state/"): arrays.pop(k) for k in list(arrays) if k.startswith("state/")
    }
    return meta, state, {k: torch.from_numpy(v) for k, v in arrays.items()}


def load(name, module_class, config_class):
    meta, state, arrays = read(name)
    module = module_class(config_class(**meta["config"])).eval()
    load_reference_state(module, state)
    return module, meta, arrays


def relative(actual, expected):
    return ((actual - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize("name", GENERATORS)
def test_generator_matches_reference(name):
    G, meta, arrays = load(name, Generator, GeneratorConfig)
    c = arrays.get("c")
    assert relative(G.mapping(arrays["z"], c), arrays["ws"]) < 1e-5
    truncated = G.mapping(arrays["z"], c, truncation_psi=meta["truncation_psi"])
    assert relative(truncated, arrays["ws_truncated"]) < 1e-5
    ws = arrays["ws"].requires_grad_()
    img = G.synthesis(ws)
    assert relative(img, arrays["img"]) < 1e-5
    (grad_ws,) = torch.autograd.grad((img * arrays["probe"]).sum(), ws)
    assert relative(grad_ws, arrays["grad_ws"]) < 1e-4
    assert G.config.num_ws == meta["num_ws"]


def test_pose_is_an_argument():
    G, _, arrays = load("generator_t_32_pose", Generator, GeneratorConfig)
    img = G.synthesis(arrays["ws"], transform=arrays["transform"])
    assert relative(img, arrays["img"]) < 1e-5
    assert relative(G.synthesis(arrays["ws"], transform=torch.eye(3)), arrays["img"]) > 0.1


@pytest.mark.parametrize("name", ["discriminator_32", "discriminator_32_cond"])
def test_discriminator_matches_reference(name):
    D, _, arrays = load(name, Discriminator, DiscriminatorConfig)
    img = arrays["img"].requires_grad_()
    logits = D(img, arrays.get("c"))
    assert relative(logits, arrays["logits"]) < 1e-5
    (grad_img,) = torch.autograd.grad(logits.sum(), img)
    assert relative(grad_img, arrays["grad_img"]) < 1e-4


@pytest.mark.parametrize("name", [*GENERATORS, "generator_t_32_pose"])
def test_filters_are_designed_before_loading(name):
    meta, state, _ = read(name)
    G = Generator(GeneratorConfig(**meta["config"]))
    checked = 0
    for layer, official in zip(G.synthesis.layers, meta["layers"], strict=True):
        for kind in ("up_filter", "down_filter"):
            stored = state.get(f"synthesis.{official}.{kind}")
            designed = getattr(layer, kind)
            assert (stored is None) == (designed is None)
            if stored is not None:
                assert np.abs(designed.numpy() - stored).max() < 1e-6
                checked += 1
    assert checked == 2 * (len(meta["layers"]) - 1)


def test_layer_geometry():
    table = json.loads((FIXTURES / "layer_geometry.json").read_text())
    assert len(table) == 6
    for entry in table.values():
        plan = plan_layers(GeneratorConfig(**entry["config"]))
        for ours, expected in zip(plan, entry["layers"], strict=True):
            source, target = ours.source, ours.target
            assert f"L{ours.index}_{target.size}_{target.channels}" == expected["name"]
            assert (source.channels, target.channels) == (
                expected["in_channels"],
                expected["out_channels"],
            )
            assert (source.size, target.size) == (expected["in_size"], expected["out_size"])
            for key in ("up", "down", "up_taps", "down_taps"):
                assert getattr(ours, key) == expected[key], (expected["name"], key)
            assert list(ours.padding) == expected["padding"]
            assert source.cutoff == pytest.approx(expected["in_cutoff"], rel=1e-12)
            assert target.cutoff == pytest.approx(expected["out_cutoff"], rel=1e-12)
            assert source.half_width == pytest.approx(expected["in_half_width"], rel=1e-12)
            assert target.half_width == pytest.approx(expected["out_half_width"], rel=1e-12)
            assert (ours.is_radial and not ours.is_rgb) == expected["radial"]


@pytest.mark.parametrize("damage", ["leftover", "missing", "shape", "filter"])
def test_loading_is_strict(damage):
    meta, state, _ = read("generator_t_32")
    if damage == "leftover":
        state["synthesis.L0_36_32.noise"] = np.zeros(3, np.float32)
    elif damage == "missing":
        del state["mapping.fc1.bias"]
    elif damage == "shape":
        state["mapping.w_avg"] = np.zeros(3, np.float32)
    else:
        state["synthesis.L1_36_32.up_filter"] = state["synthesis.L1_36_32.up_filter"][::-1] * 1.01
    with pytest.raises(ReferenceStateError):
        load_reference_state(Generator(GeneratorConfig(**meta["config"])), state)
