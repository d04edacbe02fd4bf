"""Weights and configurations made to cost time or memory: refused in two seconds and a gigabyte."""

import dataclasses
import functools
import hashlib
import json
import time

import pytest
import torch
from memory_case import memory_limit
from safetensors.torch import save
from tiny_models import D_CONFIG, G_CONFIG, tiny_discriminator, tiny_generator

from encoder.model import EncoderConfig, load_encoder
from stylegan import DiscriminatorConfig, GeneratorConfig, load_generator
from stylegan.checkpoint import (
    MAX_HEADER_BYTES,
    MAX_TENSORS,
    CheckpointError,
    load_discriminator,
)
from stylegan.config import RANGES, ConfigError

CONFIG = json.dumps(G_CONFIG.to_dict())
METADATA = {"kind": "generator", "format_version": "1", "config": CONFIG}
LARGEST_GENERATOR = {k: RANGES[k][1] for k in G_CONFIG.to_dict()}
LARGEST_GENERATOR |= {"first_cutoff": 2, "first_stopband": 4, "num_critical": 2}
LARGEST_DISCRIMINATOR = {k: RANGES[k][1] for k in D_CONFIG.to_dict()}


def header_file(text, data=b""):
    text = text if isinstance(text, bytes) else text.encode()
    return len(text).to_bytes(8, "little") + text + data


def entries(num, name="t"):
    """A header of `num` empty tensors."""
    empty = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    return {"__metadata__": METADATA} | {f"{name}{k}": empty for k in range(num)}


def twice(what):
    """The tiny generator's file with a tensor or a metadata entry that stands twice."""
    content = save(tiny_generator().state_dict(), METADATA)
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    holder = header["__metadata__"] if what in METADATA else header
    second = json.dumps({what: holder[what]})[1:-1]
    text = json.dumps(header)
    at = text.index(json.dumps(what))
    return header_file(text[:at] + second + "," + text[at:], content[start:])


def generator_file(config=None, **tensors):
    """The tiny generator's weights with another configuration text or other tensors."""
    config = CONFIG if config is None else config
    return save(tiny_generator().state_dict() | tensors, METADATA | {"config": config})


def generator_with(**options):
    return generator_file(json.dumps(G_CONFIG.to_dict() | options))


def discriminator_with(**options):
    config = json.dumps(D_CONFIG.to_dict() | options)
    metadata = {"kind": "discriminator", "format_version": "1", "config": config}
    return save(tiny_discriminator().state_dict(), metadata)


@functools.cache
def plain_generator():
    return generator_file()


def encoder_with(**options):
    generator = hashlib.sha256(plain_generator()).hexdigest()
    config = dataclasses.asdict(EncoderConfig(4, 3, generator, told=5)) | options
    metadata = {"kind": "encoder", "format_version": "1", "config": json.dumps(config)}
    return save({"x": torch.zeros(1)}, metadata)


HOSTILE = {  # name: content, what the refusal says; the first letter says which loader reads it
    "g 100,000 tensors": (lambda: header_file(json.dumps(entries(100_000))), "header has"),
    "g many tensors": (lambda: header_file(json.dumps(entries(MAX_TENSORS))), "20001 tensors"),
    "g long header": (lambda: header_file(b" " * (MAX_HEADER_BYTES + 1)), "header has 4194305"),
    "g long name": (lambda: header_file(json.dumps(entries(1, "n" * 4_000_000))), "configuration"),
    "g nested header": (lambda: header_file(b'{"a":' * 500_000), "not a whole"),
    "g list": (lambda: header_file(b"[1]"), "not a whole"),
    "g tensor twice": (lambda: twice("mapping.w_avg"), "stands twice"),
    "g kind twice": (lambda: twice("kind"), "stands twice"),
    "g path": (lambda: generator_file(**{"../../etc/passwd": torch.zeros(1)}), "etc/passwd"),
    "g complex": (
        lambda: generator_file(**{"mapping.w_avg": torch.zeros(16, dtype=torch.complex64)}),
        "w_avg holds values that are not finite real",
    ),
    "g float8": (
        lambda: generator_file(
            **{"mapping.w_avg": torch.full([16], torch.nan).to(torch.float8_e4m3fn)}
        ),
        "w_avg holds values that are not finite real",
    ),
    "g nested configuration": (lambda: generator_file("[" * 100_000), "cannot be used"),
    "g wide": (lambda: generator_with(z_dim=1 << 16, w_dim=1 << 16), "does not fit"),
    "g deep": (lambda: generator_with(mapping_layers=10**9), "mapping_layers is"),
    "g layers": (lambda: generator_with(num_layers=10**9), "num_layers is"),
    "g margin": (lambda: generator_with(margin_size=10**9), "margin_size is"),
    "g taps": (lambda: generator_with(filter_size=10**9), "filter_size is"),
    "g decreasing": (
        lambda: generator_with(img_resolution=8192, first_stopband=4e3, last_stopband_rel=1e-3),
        "last_stopband_rel is",
    ),
    "g largest": (
        lambda: generator_with(**LARGEST_GENERATOR),
        "does not fit",
    ),
    "d largest": (
        lambda: discriminator_with(**LARGEST_DISCRIMINATOR),
        "does not fit",
    ),
    "e largest": (lambda: encoder_with(latent_dim=1 << 16), "does not fit"),
    "e latent": (lambda: encoder_with(latent_dim=10**9), "latent_dim is"),
    "e layers": (lambda: encoder_with(num_ws=10**9), "num_ws is"),
    "e told": (lambda: encoder_with(told=10**9), "told is"),
    "e rank": (lambda: encoder_with(rank=10**9), "rank is"),
    "e version": (lambda: encoder_with(version=3), "version is"),
    "e digest": (lambda: encoder_with(generator_sha256=3), "generator_sha256 is no text"),
}


@pytest.fixture(scope="module")
def loaders(tmp_path_factory):
    generator = tmp_path_factory.mktemp("model") / "generator.safetensors"
    generator.write_bytes(plain_generator())
    encoder = functools.partial(load_encoder, generator_path=generator)
    return {"g": load_generator, "d": load_discriminator, "e": encoder}


@pytest.mark.parametrize("name", HOSTILE)
def test_refused_at_once_and_in_little_memory(tmp_path, loaders, name):
    make, what = HOSTILE[name]
    path = tmp_path / f"{name}.safetensors"
    path.write_bytes(make())
    start = time.monotonic()
    with memory_limit(1 << 30), pytest.raises(CheckpointError, match=what) as caught:
        loaders[name[0]](path)
    assert time.monotonic() - start < 2
    assert caught.value.code == "E-MODEL" and str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value)) < 1000


def test_the_limit_is_one():
    with memory_limit(1 << 30), pytest.raises(RuntimeError, match="DefaultCPUAllocator"):
        torch.empty(1 << 30)


def test_unchanged_twins_load(tmp_path, loaders):
    for letter, content in (("g", generator_with()), ("d", discriminator_with())):
        (tmp_path / letter).write_bytes(content)
        loaders[letter](tmp_path / letter)


@pytest.mark.parametrize(
    ("config_class", "values"),
    [
        (GeneratorConfig, {"z_dim": 16.0}),
        (GeneratorConfig, {"z_dim": "16"}),
        (GeneratorConfig, {"z_dim": True}),
        (GeneratorConfig, {"use_radial_filters": 1}),
        (GeneratorConfig, {"conv_clamp": float("nan")}),
        (GeneratorConfig, {"output_scale": float("inf")}),
        (GeneratorConfig, {"img_resolution": 1 << 14}),
        (DiscriminatorConfig, {"mbstd_group_size": 0}),
        (DiscriminatorConfig, {"channel_max": None}),
        (DiscriminatorConfig, {"img_resolution": 24}),
    ],
)
def test_values_of_another_type_or_out_of_range(config_class, values):
    with pytest.raises(ConfigError, match=f"{next(iter(values))} is"):
        config_class(**values)


def test_every_option_has_a_range():
    names = {f.name for c in (GeneratorConfig, DiscriminatorConfig) for f in dataclasses.fields(c)}
    assert names == RANGES.keys()
    for config_class in (GeneratorConfig, DiscriminatorConfig):
        assert config_class(img_resolution=1024) and config_class(img_resolution=8)
