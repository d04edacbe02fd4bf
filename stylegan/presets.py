"""What `--cfg` stands for, and the configurations that a set of options describes."""

from collections.abc import Collection
from math import inf
from typing import Any

import torch

from stylegan.adaptation import NO_AUGMENTATION, AdaptationConfig
from stylegan.checkpoint import CheckpointError
from stylegan.config import DiscriminatorConfig, GeneratorConfig
from stylegan.discriminator import Discriminator
from stylegan.generator import Generator, native_precision
from stylegan.recipe import TrainingConfig
from stylegan.training import Trainer

Options = dict[str, Any]  # by the names of train_gan.py, dashes as underscores

_FULL: Options = {
    "batch": 32,
    "cbase": 32768,
    "cmax": 512,
    "num_layers": 14,
    "z_dim": 512,
    "w_dim": 512,
    "margin": 10,
    "first_cutoff": 2.0,
    "first_stopband": 2**2.1,
    "gamma": None,  # 2 (res / 256)^2 32 / batch
    "aug": "ada",
}
_SMALL: Options = {
    "batch": 8,
    "cbase": 2048,
    "cmax": 128,
    "num_layers": 8,
    "z_dim": 128,
    "w_dim": 128,
    "margin": 4,
    "first_cutoff": 4.0,
    "first_stopband": 8.0,
    "gamma": 2.0,
    "aug": "noaug",  # as the default model was trained
}

PRESETS: dict[str, Options] = {
    "t": _FULL,
    "r": _FULL,
    # for two CPU cores; the default model was trained with t-64
    "t-64": _SMALL,
    "t-128": _SMALL | {"num_layers": 9, "gamma": 8.0},
    "t-256-small": _SMALL | {"num_layers": 10, "cbase": 4096, "batch": 4, "gamma": 32.0},
}
"""Translation (t) and rotation (r) equivariant networks of StyleGAN3, and small ones."""


def resolve(options: Options) -> Options:
    """Put the preset's value where an option is not given (None)."""
    preset = PRESETS[options["cfg"]]
    return {k: preset.get(k) if v is None else v for k, v in options.items()}


_OF_THIS_START = ("data", "outdir", "resume", "desc", "dry_run", "tick", "snap")
_LENGTH = ("kimg", "steps")


def continued(options: Options, given: Collection[str], stored: Options) -> Options:
    """Return the options of a resumed run: those it was `stored` with.

    `given` names the options on the command line. They may say where things lie, how often to
    report and how long to train; the run keeps its seed.

    Raises:
        CheckpointError: an option is given that the run was not made with.
    """
    kept = {k: v for k, v in stored.items() if k not in _OF_THIS_START}
    if any(k in given for k in _LENGTH):
        kept |= {k: options[k] for k in _LENGTH}
    for name in given:
        if name != "seed" and kept.get(name, options[name]) != options[name]:
            what = f"--{name.replace('_', '-')} {options[name]}: the run was made with {kept[name]}"
            raise CheckpointError(f"{what}. Leave it out, or start a new run.", "E-MODEL-MISMATCH")
    return options | kept


def generator_config(options: Options, resolution: int) -> GeneratorConfig:
    """Return the generator that the options describe; configuration R doubles the channels.

    Raises:
        ConfigError: options that do not fit together.
    """
    is_r = options["cfg"] == "r"
    return GeneratorConfig(
        z_dim=options["z_dim"],
        w_dim=options["w_dim"],
        img_resolution=resolution,
        channel_base=options["cbase"] * (2 if is_r else 1),
        channel_max=options["cmax"] * (2 if is_r else 1),
        num_layers=options["num_layers"],
        first_cutoff=options["first_cutoff"],
        first_stopband=options["first_stopband"],
        margin_size=options["margin"],
        conv_kernel=1 if is_r else 3,
        use_radial_filters=is_r,
        mapping_layers=options["map_depth"],
    )


def discriminator_config(options: Options, resolution: int) -> DiscriminatorConfig:
    """Return the discriminator that the options describe."""
    return DiscriminatorConfig(
        img_resolution=resolution,
        channel_base=options["cbase"],
        channel_max=options["cmax"],
        mbstd_group_size=options["mbstd_group"],
    )


def adaptation_config(options: Options) -> AdaptationConfig:
    """Return how the discriminator's pictures are augmented.

    Raises:
        ConfigError: options out of range.
    """
    if options["aug"] == "noaug":
        return NO_AUGMENTATION
    kimg = inf if options["aug"] == "fixed" else AdaptationConfig.kimg
    return AdaptationConfig(options["target"], kimg, initial_p=options["p"])


def training_config(options: Options, resolution: int) -> TrainingConfig:
    """Return the recipe that the options describe.

    Raises:
        ConfigError: options out of range.
    """
    batch, gamma = options["batch"], options["gamma"]
    if gamma is None:
        gamma = 2 * (resolution / 256) ** 2 * 32 / batch
    return TrainingConfig(
        total_steps=options["steps"] or max(round(options["kimg"] * 1000 / batch), 1),
        batch=batch,
        gamma=gamma,
        g_lr=options["glr"],
        d_lr=options["dlr"],
        ema_kimg=batch * 10 / 32,
        anneal=options["anneal"],
        lr_floor=options["lr_floor"],
        precision=native_precision(options["fp32"]),
        seed=options["seed"],
    )


def build_trainer(options: Options, resolution: int) -> Trainer:
    """Return G, D and their optimisers, initialised from the seed.

    Raises:
        ConfigError: options out of range, or that do not fit together.
    """
    torch.manual_seed(options["seed"])
    G = Generator(generator_config(options, resolution))
    D = Discriminator(discriminator_config(options, resolution))
    return Trainer(G, D, training_config(options, resolution), adaptation_config(options))
