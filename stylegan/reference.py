"""Load parameters that carry the official StyleGAN3 names, strictly."""

import re
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from stylegan.discriminator import BLUR_TAPS, Discriminator
from stylegan.generator import Generator

FILTER_TOLERANCE = 1e-5  # of the largest tap; designs of several SciPy versions differ by less

_GENERATOR_NAMES = (
    (r"^synthesis\.L(\d+)_\d+_\d+\.", r"synthesis.layers.\1."),
    (r"^mapping\.fc(\d+)\.", r"mapping.layers.\1."),
)
_LABEL_NAMES = ((r"^mapping\.fc(\d+)\.", r"mapping.layers.\1."),)


class ReferenceStateError(ValueError):
    """A state does not fit the module: names, shapes or filters differ."""

    code = "E-MODEL-STATE"


def _rename(name: str, rules: tuple[tuple[str, str], ...]) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def _discriminator_rules(D: Discriminator) -> tuple[tuple[str, str], ...]:
    resolution = D.config.img_resolution
    rules = [(rf"^b{resolution}\.fromrgb\.", "from_rgb."), (r"^b4\.", "epilogue.")]
    rules += [(rf"^b{resolution >> i}\.", f"blocks.{i}.") for i in range(len(D.blocks))]
    return tuple(rules) + _LABEL_NAMES


def _expected_filter(module: nn.Module, name: str) -> Tensor | None:
    """Return the filter our module designed for a stored filter's name, or None if no such."""
    if name.endswith("resample_filter"):
        taps = torch.tensor(BLUR_TAPS)
        return torch.outer(taps, taps) / 64
    return dict(module.named_buffers()).get(name)


def _check_filter(module: nn.Module, name: str, stored: Tensor) -> None:
    designed = _expected_filter(module, name)
    if designed is None or designed.shape != stored.shape:
        raise ReferenceStateError(
            f"{name}: the configuration gives no such filter of shape {list(stored.shape)}. "
            "Check num_layers, filter_size and use_radial_filters."
        )
    if (designed - stored).abs().max() > FILTER_TOLERANCE * designed.abs().max():
        raise ReferenceStateError(
            f"{name}: differs from the filter the configuration gives. Check the cutoffs."
        )


def load_reference_state(
    module: Generator | Discriminator, state: Mapping[str, np.ndarray | Tensor]
) -> None:
    """Load a state with official parameter names into our module.

    Filters in the state are compared with those designed from the configuration. Every name is
    used exactly once.

    Args:
        module: a generator or a discriminator of the right configuration.
        state: official names (`synthesis.L0_36_32.weight`, `b32.conv0.bias`, ...) to arrays.

    Raises:
        ReferenceStateError: a name is left over or missing, or a shape or a filter differs.
    """
    rules = _GENERATOR_NAMES if isinstance(module, Generator) else _discriminator_rules(module)
    own = module.state_dict()
    renamed: dict[str, Tensor] = {}
    leftovers = []
    for official, array in state.items():
        name, value = _rename(official, rules), torch.as_tensor(array).float()
        if name.endswith("_filter"):
            _check_filter(module, name, value)
        elif name not in own or name in renamed:
            leftovers.append(official)
        elif own[name].shape != value.shape:
            raise ReferenceStateError(
                f"{official}: shape is {list(value.shape)}, the configuration gives "
                f"{list(own[name].shape)}. Check the configuration."
            )
        else:
            renamed[name] = value
    missing = sorted(own.keys() - renamed.keys())
    if leftovers or missing:
        raise ReferenceStateError(
            f"state does not fit: left over {leftovers}, missing {missing}. "
            "Check the configuration."
        )
    module.load_state_dict(renamed)
