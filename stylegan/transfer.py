"""Start a run from the weights of another one."""

import logging
from pathlib import Path

from torch import nn

from stylegan.checkpoint import CheckpointError, load_discriminator, load_generator
from stylegan.config import ConfigError
from stylegan.discriminator import Discriminator
from stylegan.generator import Generator

log = logging.getLogger(__name__)

# options that no shape depends on: networks that differ in them can exchange weights
WITHOUT_WEIGHTS = frozenset(
    "first_stopband last_stopband_rel margin_size output_scale filter_size lrelu_upsampling "
    "use_radial_filters conv_clamp mbstd_group_size".split()
)


def transfer(G: Generator, D: Discriminator, path: Path) -> None:
    """Copy the weights of another run into new networks, `w_avg` and input magnitudes included.

    To be called before the networks get a trainer, whose averaged generator is a copy of G. What
    is not an error but worth knowing is logged: a discriminator that starts afresh because there
    is none in the file's folder, options that differ and have no weights.

    Args:
        G, D: networks to fill.
        path: a generator's file, or a folder with `generator.safetensors`, such as a run's. D's
            weights are taken from beside it: `discriminator-000123.safetensors` for
            `generator-000123.safetensors`, else `discriminator.safetensors`.

    Raises:
        CheckpointError: a file is missing, damaged, or of a network with other weights.
    """
    file = path / "generator.safetensors" if path.is_dir() else path
    _copy(load_generator(file), G, file)
    partner = file.name.replace("generator", "discriminator")
    for name in (partner, "discriminator.safetensors"):
        beside = file.with_name(name)
        if beside != file and beside.exists():
            if name != partner:
                log.info("%s: the discriminator, which may be of another age, is this one.", beside)
            return _copy(load_discriminator(beside), D, beside)
    log.info("%s: no such file, so the discriminator starts afresh.", beside)


Network = Generator | Discriminator


def _copy(source: Network, target: Network, path: Path) -> None:
    found = source.config.to_dict()
    pairs = {k: (found[k], v) for k, v in target.config.to_dict().items() if found[k] != v}
    text = {k: f"{k} is {there} there and {here} here" for k, (there, here) in pairs.items()}
    if shaping := [text[k] for k in text if k not in WITHOUT_WEIGHTS]:
        message = f"{path}: {', '.join(shaping)}. Train with those values, or give another file."
        raise CheckpointError(message, "E-MODEL-MISMATCH")
    for difference in text.values():
        log.info("%s: %s; the weights fit all the same.", path, difference)
    target.load_state_dict(source.state_dict())


def freeze_discriminator(D: Discriminator, num_layers: int) -> list[nn.Parameter]:
    """Hold the first layers of D fixed and return their parameters (FreezeD, Mo et al. 2020).

    The order is that of the signal, highest resolution first: `from_rgb`, then of every block
    `conv0`, `conv1`, `skip`. To be called before D gets a trainer.

    Raises:
        ConfigError: D has fewer such layers.
    """
    layers: list[nn.Module] = [D.from_rgb]
    layers += [getattr(block, k) for block in D.blocks for k in ("conv0", "conv1", "skip")]
    if not 0 <= num_layers <= len(layers):
        what = f"of {num_layers} layers: this discriminator has {len(layers)} that can be"
        raise ConfigError(f"--freezed {what}. Give fewer.")
    frozen = [p for layer in layers[:num_layers] for p in layer.parameters()]
    for parameter in frozen:
        parameter.requires_grad_(False)
    return frozen
