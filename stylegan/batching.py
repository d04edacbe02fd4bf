"""Which samples of a batch a process works on, and what is drawn for each of them.

A sample's index counts over the whole run. Its latent, label and augmentation are functions of
(seed, index), so that neither the number of processes nor a resumption changes them.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from engine.seeding import derive_generator
from stylegan.config import ConfigError


def positions_of_part(batch: int, group_size: int, part: int, num_parts: int) -> list[int]:
    """Return the positions in a batch that make up one of its equal parts.

    The minibatch standard deviation's group g of M has the samples g, g + M, g + 2 M, ... A part
    has whole groups, in an order in which `minibatch_std` finds the same groups in the part alone:
    its statistics are those of the whole batch, and no process needs another's samples.

    Raises:
        ConfigError: there are not enough groups.
    """
    num_groups = batch // group_size
    in_part, rest = divmod(num_groups, num_parts)
    if rest or not in_part:
        raise ConfigError(
            f"batch of {batch}: its {num_groups} groups of {group_size} for the minibatch standard "
            f"deviation do not go into {num_parts} parts. Lower --mbstd-group or raise --batch."
        )
    first = part * in_part
    return [
        member * num_groups + group
        for member in range(group_size)
        for group in range(first, first + in_part)
    ]


def draw_latents(seed: int, stream: str, indices: Iterable[int], z_dim: int) -> Tensor:
    """Return normal latents z `[N, z_dim]` of the samples of these indices, for one use of them."""
    rows = [torch.randn(z_dim, generator=derive_generator(seed, stream, i)) for i in indices]
    return torch.stack(rows)


def draw_labels(
    seed: int, stream: str, indices: Iterable[int], labels: Tensor | None
) -> Tensor | None:
    """Return labels `[N, c_dim]` for generated samples, each of a picture drawn from `labels`."""
    if labels is None:
        return None
    generators = (derive_generator(seed, f"label {stream}", i) for i in indices)
    rows = [int(torch.randint(len(labels), [], generator=generator)) for generator in generators]
    return labels[rows]
