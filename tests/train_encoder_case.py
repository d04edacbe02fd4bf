"""Runs of train_encoder.py on a tiny generator, and what its examples are made with."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from tiny_models import small_resnet, tiny_generator

import train_encoder
from encoder.examples import Examples
from inversion.latent import LatentPrior
from stylegan import load_generator
from stylegan.checkpoint import save_generator


@pytest.fixture(scope="module", autouse=True)
def small():
    """A tenth of a ResNet-50, and 100 held-out renders instead of 2,000."""
    num_threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("encoder.backbone.resnet50", small_resnet)
        patch.setattr(train_encoder, "NUM_HELD_OUT", 100)
        patch.setattr(train_encoder, "NUM_PROBES", 64)
        yield
    torch.set_num_threads(num_threads)


@pytest.fixture(scope="module")
def generator_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("generator") / "generator.safetensors"
    save_generator(path, tiny_generator())
    return path


@pytest.fixture(scope="module")
def examples(generator_path):
    G = load_generator(generator_path)
    return Examples(G, LatentPrior.fit(G), train_encoder.Spoiler(G, 0), 0)


@pytest.fixture(scope="module")
def plain(examples):
    return dataclasses.replace(examples, spoil=train_encoder.Spoiler(examples.G, 0, 32))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder of five pictures of coloured clouds."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for k in range(5):
        coarse = Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8))
        coarse.resize((32, 32), Image.Resampling.BICUBIC).save(folder / f"{k}.png")
    return folder


def invoke(*args):
    args = [*map(str, args), "--batch", "4", "--fp32", "true"]
    return CliRunner().invoke(train_encoder.main, args, prog_name="train_encoder.py")


def training(generator_path, outdir, *more):
    result = invoke("--generator", generator_path, "--outdir", outdir, *more)
    assert result.exit_code == 0, result.output
    return result


def rows_of(folder):
    return [json.loads(line) for line in (folder / "stats.jsonl").read_text().splitlines()]
