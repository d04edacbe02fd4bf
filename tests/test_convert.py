"""convert.py: StyleGAN3 pickles become release weights, bit for bit, and nothing in them runs."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from nvidia_case import (
    LAYOUTS,
    EasyDict,
    Network,
    discriminator_network,
    fixture,
    generator_network,
    layout,
    module_state,
    network_of,
    pickled,
)
from safetensors import safe_open

import convert
from engine.files import file_sha256
from stylegan import Discriminator, DiscriminatorConfig, load_generator
from stylegan.checkpoint import read_weights

ROOT = Path(__file__).parent.parent
FILTERS = ("_filter",)


def run(pickle, out):
    result = CliRunner().invoke(convert.convert, [str(pickle), "--out", str(out)])
    assert result.stderr.count("error[") == (result.exit_code != 0), result.stderr
    assert "Traceback" not in result.output
    return result


def converted(tmp_path, content):
    (tmp_path / "network.pkl").write_bytes(content)
    result = run(tmp_path / "network.pkl", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    return tmp_path / "out"


def refusal(tmp_path, content):
    path = tmp_path / "network.pkl"
    path.write_bytes(content)
    result = run(path, tmp_path / "out")
    assert result.exit_code == 65, result.stderr
    assert result.stderr.startswith(f"error[E-MODEL]: {path}: ")
    assert os.listdir(tmp_path) == ["network.pkl"]
    return result.stderr


def counted(arrays):
    return Counter((tuple(a.shape), str(a.dtype), a.tobytes()) for a in arrays)


def assert_bit_equal(path, name):
    """The file holds the very tensors of the fixture, whatever they are called."""
    with safe_open(path, "np") as file:
        ours = counted(file.get_tensor(key) for key in file.keys())
    _, state, _ = fixture(name)
    assert ours == counted(a for key, a in state.items() if not key.endswith(FILTERS))


def relative(found, wanted):
    return np.linalg.norm(found - wanted) / np.linalg.norm(wanted)


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_are_converted_bit_for_bit(tmp_path, name):
    generator, discriminator, *_ = LAYOUTS[name]
    out = converted(tmp_path, layout(name))
    assert_bit_equal(out / "generator.safetensors", generator)
    _, _, arrays = fixture(generator)
    G = load_generator(out / "generator.safetensors")
    img = G.synthesis(G.mapping(*(torch.from_numpy(arrays[k]) for k in "zc" if k in arrays)))
    assert relative(img.numpy(), arrays["img"]) < 1e-5
    assert (out / "discriminator.safetensors").exists() == (discriminator is not None)
    if discriminator:
        assert_discriminator(out / "discriminator.safetensors", discriminator)
    assert not {"torch_utils", "dnnlib"} & sys.modules.keys()


def assert_discriminator(path, name):
    assert_bit_equal(path, name)
    metadata, state = read_weights(path, "discriminator")
    D = Discriminator(DiscriminatorConfig(**json.loads(metadata["config"])))
    D.load_state_dict(state)
    _, _, arrays = fixture(name)
    labels = torch.from_numpy(arrays["c"]) if "c" in arrays else None
    logits = D(torch.from_numpy(arrays["img"]), labels).detach().numpy()
    assert relative(logits, arrays["logits"]) < 1e-5


def test_the_verb_says_what_it_made_and_from_what(tmp_path):
    out = converted(tmp_path, layout("r"))
    again = run(tmp_path / "network.pkl", out)
    assert again.output == f"{out}-2: StyleGAN3-R 32x32, generator, discriminator\n"
    with safe_open(out / "generator.safetensors", "pt") as file:
        facts = file.metadata()
    assert facts["converted_from"] == "network.pkl"
    assert facts["parent_sha256"] == file_sha256(tmp_path / "network.pkl")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_types_of_numbers(tmp_path, dtype):
    network = generator_network("generator_t_32")
    mapping = network.state["_modules"]["mapping"].state["_buffers"]
    mapping["w_avg"] = torch.arange(64).to(dtype) / 8
    out = converted(tmp_path, pickled(G_ema=network))
    G = load_generator(out / "generator.safetensors")
    assert torch.equal(G.mapping.w_avg, torch.arange(64) / 8)


def test_passing_buffers_are_left_out(tmp_path):
    network = generator_network("generator_t_32")
    synthesis = network.state["_modules"]["synthesis"].state
    synthesis["_buffers"]["grid"] = torch.ones(3)
    assert "left over" in refusal(tmp_path, pickled(G_ema=network))
    synthesis["_non_persistent_buffers_set"] = {"grid"}
    converted(tmp_path, pickled(G_ema=network))


def test_models_without_clamping(tmp_path):
    """Those trained with --fp32."""
    network = generator_network("generator_t_32", conv_clamp=None)
    out = converted(tmp_path, pickled(G_ema=network))
    G, (_, _, arrays) = load_generator(out / "generator.safetensors"), fixture("generator_t_32")
    ws = torch.from_numpy(arrays["ws"])
    assert relative(G.synthesis(ws).numpy(), arrays["img"]) < 1e-5
    G.synthesis.input.weight.mul_(1e5)  # far past 256, and biases no longer matter
    large = G.synthesis(ws).numpy()
    G.synthesis.input.weight.mul_(10)
    assert relative(G.synthesis(ws).numpy(), 10 * large) < 1e-3


# --- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (dict(img_resolution=17), "img_resolution is 17"),
        (dict(img_resolution=1 << 14), "whose img_resolution cannot be used"),
        (dict(img_resolution=64), "does not fit its own options"),
        (dict(num_layers=7), "does not fit its own options"),
        (dict(num_layers=10**9), "whose num_layers cannot be used"),
        (dict(num_layers=6.0), "whose num_layers cannot be used"),
        (dict(z_dim=1 << 16), "options of a larger network than it holds"),
        (dict(z_dim=10**5000), "whose z_dim cannot be used"),
        (dict(first_cutoff=float("nan")), "whose first_cutoff cannot be used"),
        (dict(last_stopband_rel=1.0), "differs from the filter"),
        (dict(lrelu_upsampling=0), "whose lrelu_upsampling cannot be used"),
        (dict(head_layers=3), "unknown option 'head_layers'"),
        (dict(mapping_kwargs=EasyDict(lr_multiplier=0.1)), "is not 0.01"),
    ],
)
def test_options_that_do_not_fit(tmp_path, options, reason):
    network = generator_network("generator_t_32", **options)
    assert reason in refusal(tmp_path, pickled(G_ema=network))


def test_options_without_keywords(tmp_path):
    network = generator_network("generator_t_32")
    network.state["_init_args"] = (512,)
    assert "made without keywords" in refusal(tmp_path, pickled(G_ema=network))


@pytest.mark.parametrize("option", [dict(architecture="skip"), dict(resample="box")])
def test_another_discriminator(tmp_path, option):
    D = discriminator_network("discriminator_32", **option)
    content = pickled(G_ema=generator_network("generator_t_32"), D=D)
    assert next(iter(option)) in refusal(tmp_path, content)


def test_stylegan2_and_older_are_refused_by_name(tmp_path):
    sg2 = network_of({"synthesis.b4.const": np.zeros((4, 4), np.float32)}, z_dim=512)
    assert "is a StyleGAN2 model" in refusal(tmp_path, pickled(G_ema=sg2))
    tensorflow = b"\x80\x02cdnnlib.tflib.network\nNetwork\n)\x81}b."
    assert "a TensorFlow model, of StyleGAN2 or older" in refusal(tmp_path, tensorflow)


def test_files_without_a_generator(tmp_path):
    for content in (pickled(D=None), pickled(G_ema={}), b"N.", pickled(G=Network(state={}))):
        assert "holds no generator named G_ema" in refusal(tmp_path, content)


def test_things_that_are_no_pickles(tmp_path):
    for content in (b"", b"\x80", b"PK\x03\x04 a zip", os.urandom(200), b"\0" * 8 + b"{}"):
        assert "network.pkl: " in refusal(tmp_path, content)
    result = run(tmp_path / "nothing.pkl", tmp_path / "out")
    assert (result.exit_code, "no such file" in result.stderr) == (66, True)
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/zero")):
        assert "not a model file" in run(path, tmp_path / "out").stderr


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "huge.pkl"
    with path.open("wb") as file:
        file.truncate((4 << 30) + 1)  # sparse: takes no space
    assert "not a model file" in run(path, tmp_path / "out").stderr


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "network.pkl").write_bytes(layout("t alone"))
    result = run(tmp_path / "network.pkl", tmp_path / "network.pkl" / "out")
    assert result.exit_code == 73 and "Choose another" in result.stderr


def test_values_that_are_not_finite(tmp_path):
    network = generator_network("generator_t_32")
    with torch.no_grad():
        network.state["_modules"]["mapping"].state["_buffers"]["w_avg"][3] = float("nan")
    assert "not finite" in refusal(tmp_path, pickled(G_ema=network))


def test_every_truncation_is_refused(tmp_path):
    content = layout("t alone")
    for keep in np.random.default_rng(0).integers(0, len(content), 25):
        refusal(tmp_path, content[:keep])


def doubled(depth):
    """Return a network whose paths double with every level."""
    network = Network(**module_state())
    for _ in range(depth):
        network = Network(**module_state(_modules={"a": network, "b": network}))
    return network


def endless():
    modules = {"a": Network(**module_state())}
    modules["a"].state["_modules"] = modules
    return Network(**module_state(_modules=modules))


def test_networks_that_would_never_end(tmp_path):
    for network in (doubled(50), endless()):
        assert "one in two places" in refusal(tmp_path, pickled(G_ema=network))


def test_tensors_that_share_their_numbers_cannot_fill_the_memory(tmp_path):
    shared = torch.zeros(10_000)
    network = Network(**module_state(_buffers={f"x{k}": shared for k in range(100)}))
    assert "more numbers in its tensors" in refusal(tmp_path, pickled(G_ema=network))


def test_names_are_short(tmp_path):
    network = Network(**module_state())
    for _ in range(50):
        network = Network(**module_state(_modules={"layers": network}))
    assert "without a proper name" in refusal(tmp_path, pickled(G_ema=network))


@pytest.mark.slow
def test_the_program_itself(tmp_path):
    """As a user runs it, in a folder without the project."""
    (tmp_path / "n.pkl").write_bytes(layout("t alone"))
    command = [sys.executable, str(ROOT / "convert.py"), "n.pkl", "--out", "made"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "made: StyleGAN3-T 32x32, generator\n"
    assert os.listdir(tmp_path / "made") == ["generator.safetensors"]
