"""What `--cfg` stands for, and the configurations that a set of options describes."""

from collections.abc import Collection
from dataclasses import asdict
from math import inf
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.ranks import ALONE, Ranks
from stylegan.adaptation import NO_AUGMENTATION, AdaptationConfig
from stylegan.checkpoint import CheckpointError
from stylegan.config import DiscriminatorConfig, GeneratorConfig
from stylegan.discriminator import Discriminator
from stylegan.generator import Generator, native_precision
from stylegan.memory import estimate_memory
from stylegan.recipe import TrainingConfig
from stylegan.training import Trainer
from stylegan.transfer import freeze_discriminator, transfer

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
    # for two CPU cores
    "t-64": _SMALL,
    "t-128": _SMALL | {"num_layers": 9, "gamma": 8.0},
    # this stopband lets the sixth layer be sampled at 128 pixels instead of 256
    "t-256-small": _SMALL | {"num_layers": 9, "first_stopband": 6.7, "gamma": 32.0},
}
"""Translation (t) and rotation (r) equivariant networks of StyleGAN3, and small ones."""


def resolve(options: Options) -> Options:
    """Put the preset's value where an option is not given (None)."""
    preset = PRESETS[options["cfg"]]
    return {k: preset.get(k) if v is None else v for k, v in options.items()}


_OF_THIS_START = ("resume", "outdir", "desc", "dry_run", "device", "allow_data_change")
_LENGTH = ("kimg", "steps")
_FREE = (  # how often to report, and what a machine can do: no matter for the result
    *("data", "workers", "tick", "snap", "metrics", "ckpt_minutes", "batch_gpu"),
    *("data_timeout", "hang_timeout", "on_bad_image", "bad_budget"),
)


def continued(options: Options, given: Collection[str], stored: Options) -> Options:
    """Return the options of a resumed run: those it was `stored` with.

    `given` names the options on the command line. They may say where things lie, how often to
    report, what the machine can do and how long to train; the run keeps its seed.

    Raises:
        CheckpointError: an option is given that the run was not made with.
    """
    kept = {k: v for k, v in stored.items() if k not in _OF_THIS_START}
    free = {k for k in given if k in _FREE}
    free |= set(_LENGTH) if any(k in given for k in _LENGTH) else set()
    for name in set(given) - free - {"seed"}:
        if str(kept.get(name, options[name])) != str(options[name]):  # paths are kept as text
            what = f"--{name.replace('_', '-')} {options[name]}: the run was made with {kept[name]}"
            raise CheckpointError(f"{what}. Leave it out, or start a new run.", "E-MODEL-MISMATCH")
    return options | kept | {k: options[k] for k in free}


def generator_config(options: Options, resolution: int, c_dim: int = 0) -> GeneratorConfig:
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
        c_dim=c_dim,
    )


def discriminator_config(options: Options, resolution: int, c_dim: int = 0) -> DiscriminatorConfig:
    """Return the discriminator that the options describe."""
    return DiscriminatorConfig(
        img_resolution=resolution,
        channel_base=options["cbase"],
        channel_max=options["cmax"],
        mbstd_group_size=options["mbstd_group"],
        c_dim=c_dim,
    )


def adaptation_config(options: Options) -> AdaptationConfig:
    """Return how the discriminator's pictures are augmented.

    Raises:
        ConfigError: options out of range.
    """
    if options["aug"] == "noaug":
        return NO_AUGMENTATION
    kimg = AdaptationConfig.kimg / (5 if options["transfer"] else 1)  # there is less to learn
    kimg = inf if options["aug"] == "fixed" else kimg
    return AdaptationConfig(options["target"], kimg, initial_p=options["p"])


def training_config(options: Options, resolution: int) -> TrainingConfig:
    """Return the recipe that the options describe.

    Configuration R starts with blurred pictures, lest D see at once what G cannot yet draw. A
    transferred generator draws already: no blur, and its average forgets slowly from the start.

    Raises:
        ConfigError: options out of range.
    """
    batch, gamma = options["batch"], options["gamma"]
    if gamma is None:
        gamma = 2 * (resolution / 256) ** 2 * 32 / batch
    is_new = options["transfer"] is None
    return TrainingConfig(
        total_steps=options["steps"] or max(round(options["kimg"] * 1000 / batch), 1),
        batch=batch,
        batch_gpu=options["batch_gpu"],
        gamma=gamma,
        g_lr=options["glr"],
        d_lr=options["dlr"],
        ema_kimg=batch * 10 / 32,
        ema_rampup=TrainingConfig.ema_rampup if is_new else None,
        anneal=options["anneal"],
        lr_floor=options["lr_floor"],
        blur_sigma=10.0 if options["cfg"] == "r" and is_new else 0.0,
        blur_kimg=batch * 200 / 32,
        precision=native_precision(options["fp32"], options["device"]),
        seed=options["seed"],
    )


def describe(options: Options, data: str, resolution: int, num_ranks: int) -> str:
    """Return what a run folder is named after: `t-faces-gpus1-batch32-gamma2`."""
    config = training_config(options, resolution)
    words = [options["cfg"], data, f"gpus{num_ranks}", f"batch{config.batch}"]
    return "-".join([*words, f"gamma{config.gamma:g}", *filter(None, [options["desc"]])])


def plan(
    options: Options, resolution: int, labels: Tensor | None = None, ranks: Ranks = ALONE
) -> Options:
    """Return everything that the options resolve to, and the gigabytes that a process will need.

    Raises:
        ConfigError: options out of range, or that do not fit together.
    """
    c_dim = 0 if labels is None else labels.shape[1]
    G = generator_config(options, resolution, c_dim)
    D = discriminator_config(options, resolution, c_dim)
    config = training_config(options, resolution)
    passes = config.num_passes(ranks.size)
    at_a_time = config.batch // ranks.size // passes
    memory = estimate_memory(G, D, at_a_time, config.precision, passes)
    facts = {**options, **G.to_dict(), **asdict(config), **memory._asdict()}
    return {**facts, "memory_gb": round(memory.total_bytes / 1e9, 2)}


def build_trainer(
    options: Options,
    resolution: int,
    labels: Tensor | None = None,
    ranks: Ranks = ALONE,
    is_new: bool = True,
) -> Trainer:
    """Return G, D and their optimisers on the device, initialised from the seed or a file.

    Args:
        options: by the names of train_gan.py; `device` is 'cpu' or 'cuda'.
        resolution: of the pictures.
        labels: of the pictures, `[num_images, c_dim]`, for conditional networks.
        ranks: which of the processes this is.
        is_new: whether no state will be loaded, so that `transfer` counts.

    Raises:
        ConfigError: options out of range, or that do not fit together.
        CheckpointError: the file to transfer from cannot be used, or does not fit.
    """
    c_dim = 0 if labels is None else labels.shape[1]
    config, adaptation = training_config(options, resolution), adaptation_config(options)
    torch.manual_seed(options["seed"])
    G = Generator(generator_config(options, resolution, c_dim))
    D = Discriminator(discriminator_config(options, resolution, c_dim))
    if is_new and options["transfer"] is not None:
        transfer(G, D, Path(options["transfer"]))
    freeze_discriminator(D, options["freezed"])
    G, D = G.to(options["device"]), D.to(options["device"])
    return Trainer(G, D, config, adaptation, labels, ranks)
