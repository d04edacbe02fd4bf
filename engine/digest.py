"""The digest of a training state: equal states have equal ones, whatever saved and read them."""

import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

PLAIN = (type(None), bool, int, float, str, bytes, Tensor, nn.Parameter)


def leaves(state: Any, name: str = "state") -> Iterator[tuple[str, Any]]:
    """Yield the names and values of a nested state, in an order that only the names decide.

    Raises:
        TypeError: a value is neither a tensor nor plain, so that no file of weights could hold it.
    """
    if type(state) in (dict, OrderedDict):
        yield f"len({name})", len(state)
        for key in sorted(state, key=repr):
            yield from leaves(state[key], f"{name}[{key!r}]")
    elif type(state) in (list, tuple):
        yield f"len({name})", len(state)
        for index, value in enumerate(state):
            yield from leaves(value, f"{name}[{index}]")
    elif type(state) in PLAIN:
        yield name, state
    else:
        raise TypeError(f"{name} is a {type(state).__name__}, neither a tensor nor plain")


def tensors(state: Any) -> Iterator[tuple[str, Tensor]]:
    """Yield the names and values of the tensors in a nested state."""
    return ((name, value) for name, value in leaves(state) if isinstance(value, Tensor))


def state_digest(state: Any) -> str:
    """Return the SHA-256 of a nested state: of all names, types, shapes and bytes in it."""
    digest = hashlib.sha256()
    for name, value in leaves(state):
        if isinstance(value, Tensor):
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
            content = value.detach().cpu().contiguous().reshape(-1)
            digest.update(content.view(torch.uint8).numpy().data)
        else:
            digest.update(f"{name} {type(value).__name__} {value!r}\n".encode())
    return digest.hexdigest()
