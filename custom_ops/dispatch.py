"""Which implementation answers a call."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from custom_ops import build, cuda_build, cuda_plan
from custom_ops.errors import OpsError

IMPLS = ("auto", "ref", "cpu", "cuda")
ENVIRONMENT = "IRODORI_OPS"


def choose_path(
    op: str,
    impl: str,
    gaps: Mapping[str, Callable[..., str]],
    args: Sequence[Any],
    is_worth: bool = True,
) -> str:
    """Return which path answers a call of `op`: 'ref', or the compiled 'cpu' or 'cuda'.

    'auto' takes the compiled path of the signal's device where it covers the call, pays off and
    can be built. `IRODORI_OPS` replaces 'auto': `ref` for every call; `cpu` and `cuda` insist on
    that path being built wherever it covers the call, and leave signals on the other device to
    'auto'. An explicit `impl` is taken at its word.

    Args:
        op: name of the operation, for errors.
        impl: 'auto', 'ref', 'cpu' or 'cuda'.
        gaps: compiled path -> function of `args` that names what keeps that path from the call
            (empty: nothing).
        args: of the call; the signal comes first.
        is_worth: whether the compiled CPU path is the faster one; asked only for 'auto'.

    Raises:
        OpsError: an unknown name, or what was asked for by name does not exist, does not cover the
            call or cannot be built.
    """
    device = args[0].device
    native = "cuda" if device.type == cuda_plan.DEVICE else "cpu"
    wish = _resolve(op, impl, native)
    path = native if wish == "auto" else wish
    if path == "ref" or (wish == "auto" and path == "cpu" and not is_worth):
        return "ref"
    gap = gaps[path](*args) if path in gaps else "this operation"
    if gap and impl == path:
        what = f"impl={impl!r} does not cover {gap}"
        raise OpsError("E-OPS-IMPL", f"{op}: {what}. Use impl='auto'.")
    return "ref" if gap or not _is_built(path, device, wish != "auto") else path


def _resolve(op: str, impl: str, native: str) -> str:
    """What is wished for, by `impl` or else by the environment. Raises: OpsError."""
    if impl not in IMPLS:
        raise OpsError("E-OPS-IMPL", f"{op}: unknown impl={impl!r}. Use one of {IMPLS}.")
    if impl != "auto":
        return impl
    wish = os.environ.get(ENVIRONMENT, "") or "auto"
    if wish not in IMPLS:
        what = f"unknown value {wish!r}"
        raise OpsError("E-OPS-IMPL", f"{ENVIRONMENT}: {what}. Set it to 'ref', 'cpu' or 'cuda'.")
    return wish if wish in ("ref", native) else "auto"


def _is_built(path: str, device: torch.device, strict: bool) -> bool:
    if path == "cpu":
        return build.is_available(strict)
    return cuda_build.is_available(device, strict)
