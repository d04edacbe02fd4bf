"""Read NVIDIA's StyleGAN3 pickles without executing anything in them.

Such a file is a dictionary with `G_ema`, often `D`, and more. Each network in it is the source
text of its class, which nothing here looks at, and its state: parameters, buffers, child networks
and the options it was made with. From the options our own network is built; it takes the tensors.
"""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from stylegan.checkpoint import CheckpointError
from stylegan.config import RANGES, DiscriminatorConfig, GeneratorConfig
from stylegan.discriminator import Discriminator
from stylegan.generator import Generator
from stylegan.nvidia_machine import Budget, PickleRefused, require, run_pickle
from stylegan.nvidia_tensors import tensor_builders
from stylegan.reference import load_reference_state

Net = TypeVar("Net", Generator, Discriminator)

MAX_BYTES = 4 << 30
MAX_OPERATIONS = 1_000_000  # of the pickle; StyleGAN3 at 1024x1024 takes a tenth
MAX_NAME = 200  # characters of a parameter's name

RENAMED = {
    "mapping_kwargs.num_layers": "mapping_layers",
    "epilogue_kwargs.mbstd_group_size": "mbstd_group_size",
    "epilogue_kwargs.mbstd_num_channels": "mbstd_num_channels",
}
TRAINING_ONLY = {
    "magnitude_ema_beta",
    "num_fp16_res",
    "mapping_kwargs.w_avg_beta",
    "block_kwargs.freeze_layers",
}
NO_CLAMP = 2.0**30  # for None: activations do not get there
FIXED = {"mapping_kwargs.lr_multiplier": 0.01, "architecture": "resnet"}


class NvidiaPickleError(CheckpointError):
    """A file is not a StyleGAN3 pickle that can be converted; nothing in it was executed."""


@dataclass(frozen=True, eq=False)
class _Network:
    """A network in the file: the attributes of its object, and no code."""

    state: dict[str, Any]

    def table(self, name: str) -> dict[str, Any]:
        value = self.state.get(name, {})
        require(type(value) is dict, f"has a network whose {name} is no dictionary")
        return value


def read_nvidia_pickle(path: Path | str) -> tuple[Generator, Discriminator | None]:
    """Return G_ema and, if there is one, D of a StyleGAN3 pickle (configuration T or R).

    Nothing is imported or called for the file, whatever it asks for: it is parsed as data.

    Raises:
        NvidiaPickleError: no such file, no StyleGAN3 pickle, damaged, hostile or too large.
    """
    path = Path(path)
    content = _content(path)
    try:
        models = _models(content)
        G = _rebuilt(models["G_ema"], Generator, GeneratorConfig, len(content))
        D = models.get("D")
        if D is not None:
            D = _rebuilt(D, Discriminator, DiscriminatorConfig, len(content))
        return G.eval(), D
    except PickleRefused as error:
        message = f"{path}: {error}; nothing in it was run. Give a StyleGAN3 pickle (T or R)."
        raise NvidiaPickleError(message) from error


def _content(path: Path) -> bytes:
    if not path.exists():
        raise NvidiaPickleError(f"{path}: no such file. Check the path.", "E-MODEL-MISSING")
    if not path.is_file() or path.stat().st_size > MAX_BYTES:
        raise NvidiaPickleError(f"{path}: not a model file. Give a StyleGAN3 pickle (T or R).")
    return path.read_bytes()


def _models(content: bytes) -> dict[str, Any]:
    """Return what the file holds, `G_ema` for one."""
    budget = Budget(MAX_OPERATIONS, copied_bytes=2 * len(content))
    builders = {
        **tensor_builders(budget),
        "dnnlib.util EasyDict": lambda: {},
        "torch_utils.persistence _reconstruct_persistent_obj": _network,
    }
    for era in ("dnnlib.tflib.network Network", "dnnlib.tflib.network_v1 Network"):
        builders[era] = _refuse_tensorflow
    models = run_pickle(io.BytesIO(content), builders, budget)
    holds = type(models) is dict and type(models.get("G_ema")) is _Network
    require(holds, "holds no generator named G_ema")
    return models


def _refuse_tensorflow(*_: object) -> object:
    raise PickleRefused("is a TensorFlow model, of StyleGAN2 or older")


def _network(meta: dict[str, Any]) -> _Network:
    whole = type(meta) is dict and meta.get("type") == "class" and type(meta.get("state")) is dict
    require(whole, "has a network without a state")
    return _Network(meta["state"])


def _rebuilt(network: object, kind: type[Net], config_class: type, max_numbers: int) -> Net:
    """Build our own network from the options of one in the file, and give it the tensors."""
    if type(network) is not _Network:
        raise PickleRefused("has something that is no network where one should be")
    state = _state(network, max_numbers)
    try:
        config = config_class(**_options(network, config_class))
        with torch.device("meta"):  # takes no memory: options alone must not be able to ask for it
            numbers = sum(value.numel() for value in kind(config).state_dict().values())
        require(numbers <= max_numbers, "has options of a larger network than it holds")
        module = kind(config)
        load_reference_state(module, state)
    except (ValueError, TypeError, ArithmeticError, RuntimeError) as error:
        if isinstance(error, PickleRefused):
            raise
        raise PickleRefused(f"does not fit its own options ({str(error)[:300]})") from error
    return module.requires_grad_(False)


def _state(network: _Network, max_numbers: int) -> dict[str, Tensor]:
    state = dict(_tensors(network))
    require(not any(name.startswith("synthesis.b4.") for name in state), "is a StyleGAN2 model")
    numbers = sum(value.numel() for value in state.values())
    require(numbers <= max_numbers, "has more numbers in its tensors than in all")
    finite = all(bool(value.isfinite().all()) for value in state.values())
    require(finite, "has values that are not finite")
    return state


def _tensors(network: _Network) -> Iterator[tuple[str, Tensor]]:
    """Yield the names and tensors of a network and of those in it, each network once."""
    seen: set[int] = set()
    waiting: list[tuple[str, object]] = [("", network)]
    while waiting:
        prefix, module = waiting.pop()
        if type(module) is not _Network or id(module) in seen:
            raise PickleRefused("has a part that is no network, or one in two places")
        seen.add(id(module))
        passing = module.state.get("_non_persistent_buffers_set", set())
        require(type(passing) is set, "has a network without a set of passing buffers")
        for name, value in {**module.table("_parameters"), **module.table("_buffers")}.items():
            if value is not None and name not in passing:
                require(type(value) is Tensor, "has a parameter that is no tensor")
                yield _joined(prefix, name), value
        for name, child in module.table("_modules").items():
            if child is not None:
                waiting.append((_joined(prefix, name) + ".", child))


def _joined(prefix: str, name: object) -> str:
    if type(name) is not str or len(prefix) + len(name) > MAX_NAME:
        raise PickleRefused("has a parameter without a proper name")
    return prefix + name


def _options(network: _Network, config_class: type) -> dict[str, Any]:
    """Return the keywords of our configuration for those a network in the file was made with."""
    require(network.state.get("_init_args", ()) == (), "has a network made without keywords")
    defaults = {field.name: field.default for field in fields(config_class)}
    options = {}
    for given, value in _flat(network.table("_init_kwargs")):
        name = RENAMED.get(given, given)
        value = NO_CLAMP if (name, value) == ("conv_clamp", None) else value
        if name in defaults:
            options[name] = _typed(name, value, defaults[name])
        elif given not in TRAINING_ONLY and value is not None:
            require(given in FIXED, f"has a network with the unknown option {given[:80]!r}")
            require(value == FIXED[given], f"has a network whose {given} is not {FIXED[given]}")
    return options


def _flat(options: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in options.items():
        if type(value) is dict:
            yield from ((f"{name}.{inner}", item) for inner, item in value.items())
        else:
            yield str(name), value


def _typed(name: str, value: Any, default: Any) -> Any:
    wanted = (int, float) if type(default) is float else (type(default),)
    least, most = RANGES[name]
    require(
        type(value) in wanted and least <= value <= most,
        f"has a network whose {name} cannot be used",
    )
    return type(default)(value)
