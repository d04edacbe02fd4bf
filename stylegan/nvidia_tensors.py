"""Tensors, NumPy values and containers in a pickle of PyTorch's, rebuilt by code of ours alone."""

import io
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stylegan.nvidia_machine import (
    Budget,
    Builder,
    Name,
    PickleRefused,
    Stateful,
    require,
    require_keys,
    run_pickle,
)

LEGACY_MAGIC, LEGACY_VERSION = 0x1950A86A20F9469CFC6C, 1001  # how a torch.save stream starts
STORAGE_TYPES = {
    "torch DoubleStorage": torch.float64,
    "torch FloatStorage": torch.float32,
    "torch HalfStorage": torch.float16,
    "torch BFloat16Storage": torch.bfloat16,
    "torch LongStorage": torch.int64,
    "torch IntStorage": torch.int32,
    "torch ShortStorage": torch.int16,
    "torch CharStorage": torch.int8,
    "torch ByteStorage": torch.uint8,
    "torch BoolStorage": torch.bool,
}


@dataclass
class Opaque(Stateful):
    """A NumPy array: models have some among their training options; nothing reads them."""


@dataclass
class DType(Stateful):
    """A NumPy type of plain numbers."""

    code: str

    def set_state(self, state: object) -> None:
        """Check that numbers are little-endian."""
        require(type(state) is tuple and state[1] in ("<", "|"), "holds big-endian numbers")


@dataclass(frozen=True)
class Storage:
    """The numbers that tensors are views of: a 1-D tensor."""

    values: Tensor


def tensor_builders(budget: Budget) -> dict[str, Builder]:
    """Return the builders of everything but networks, charged to `budget`."""

    def encode(text: str, encoding: str) -> bytes:  # how protocol 2 stores bytes
        require(type(text) is str and encoding == "latin1", "encodes text other than as latin1")
        budget.spend(copied_bytes=len(text))
        return text.encode("latin1")

    def make_set(items: list[Any]) -> set[Any]:
        require(type(items) is list, "makes a set of what is no list")
        budget.spend(operations=len(items))
        require_keys(items)
        return set(items)

    builders: dict[str, Builder] = {
        "_codecs encode": encode,
        "builtins set": make_set,
        "__builtin__ set": make_set,
        "builtins bytes": lambda: b"",
        "__builtin__ bytes": lambda: b"",
        "collections OrderedDict": lambda: {},
        "numpy dtype": _dtype,
        "numpy ndarray": _never_called,
        "torch._utils _rebuild_parameter": lambda data, requires_grad, hooks: data,
        "torch._utils _rebuild_tensor": _tensor,
        "torch._utils _rebuild_tensor_v2": lambda *arguments: _tensor(*arguments[:4]),
        "torch.storage _load_from_bytes": lambda raw: _storage(raw, budget),
    }
    for core in ("numpy.core", "numpy._core"):
        builders[f"{core}.multiarray scalar"] = _scalar
        builders[f"{core}.multiarray _reconstruct"] = lambda *_: Opaque()
        builders[f"{core}.numeric _frombuffer"] = lambda *_: Opaque()
    return builders


def _never_called(*_: object) -> object:
    raise PickleRefused("makes a NumPy array in a way of its own")


def _dtype(code: str, align: bool = False, copy: bool = False) -> DType:
    plain = type(code) is str and re.fullmatch("b1|[iu][1248]|f[248]", code)
    require(bool(plain), "holds NumPy values that are no plain numbers")
    return DType(code)


def _scalar(dtype: DType, raw: bytes) -> object:
    require(type(dtype) is DType and type(raw) is bytes, "holds a NumPy value of no type")
    [value] = np.frombuffer(raw, "<" + dtype.code)
    return value.item()


def _tensor(
    storage: Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...]
) -> Tensor:
    """Return a view of a storage; refused where it would reach beyond it, or repeat it."""
    require(type(storage) is Storage and type(size) is type(stride) is tuple, "has no whole tensor")
    numbers = (offset, *size, *stride)
    whole = all(type(n) is int and 0 <= n < 1 << 40 for n in numbers)
    require(whole and len(size) == len(stride) <= 8, "holds a tensor of an impossible shape")
    count, held = math.prod(size), storage.values.numel()
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    inside = count <= held and (count == 0 or last < held)
    require(inside, "holds a tensor that reaches beyond its numbers")
    return storage.values.as_strided(size, stride, offset)


def _storage_id(fields: object) -> object:
    require(type(fields) is tuple and type(fields[1]) is Name, "has no storage")
    return fields


def _storage(raw: bytes, budget: Budget) -> Storage:
    """Parse the `torch.save` stream of one storage: five pickles, a length, the numbers."""
    require(type(raw) in (bytes, bytearray), "holds numbers that are no bytes")
    budget.spend(copied_bytes=len(raw))
    file = io.BytesIO(raw)
    names: Mapping[str, Builder] = dict.fromkeys(STORAGE_TYPES, _never_called)
    require(run_pickle(file, {}, budget) == LEGACY_MAGIC, "holds numbers in an unknown form")
    require(run_pickle(file, {}, budget) == LEGACY_VERSION, "holds numbers in an unknown form")
    system = run_pickle(file, {}, budget)
    is_little = type(system) is dict and system.get("little_endian") is True
    require(is_little, "holds big-endian numbers")
    kind, name, key, _, numel, *view = run_pickle(file, names, budget, persistent=_storage_id)
    whole = kind == "storage" and type(key) is str and type(numel) is int and view in ([], [None])
    require(whole, "has no storage")
    require(run_pickle(file, {}, budget) == [key], "holds more than one storage at once")
    dtype = STORAGE_TYPES[name.text]
    start, rest = file.tell() + 8, len(raw) - file.tell() - 8
    stored = int.from_bytes(file.read(8), "little")
    require(numel == stored and rest == numel * dtype.itemsize, "holds a storage of another length")
    numbers = bytearray(memoryview(raw)[start:])
    return Storage(torch.frombuffer(numbers, dtype=dtype) if numel else torch.empty(0, dtype=dtype))
