"""Which implementation answers a call."""

import os
from collections.abc import Sequence

from custom_ops.build import is_available
from custom_ops.errors import OpsError

IMPLS = ("auto", "ref", "cpu")
ENVIRONMENT = "IRODORI_OPS"


def resolve_impl(op: str, impl: str, available: Sequence[str]) -> str:
    """Return the implementation to try: 'ref', 'cpu', or 'auto' for "the best that works".

    `available` lists what the operation has. `IRODORI_OPS` replaces 'auto'; there `cpu` means the
    compiled path wherever an operation has one. An explicit `impl` is taken at its word.

    Raises:
        OpsError: unknown name, or an implementation this operation does not have.
    """
    if impl == "cuda":
        what = "impl='cuda' does not exist yet"
        raise OpsError("E-OPS-IMPL", f"{op}: {what}. Use impl='auto', which runs on CUDA tensors.")
    if impl not in IMPLS:
        raise OpsError("E-OPS-IMPL", f"{op}: unknown impl={impl!r}. Use one of {IMPLS}.")
    if impl != "auto":
        if impl not in available:
            what = f"impl={impl!r} does not exist for this operation"
            raise OpsError("E-OPS-IMPL", f"{op}: {what}. Use one of {('auto', *available)}.")
        return impl
    wish = os.environ.get(ENVIRONMENT, "") or "auto"
    if wish not in IMPLS:
        what = f"unknown value {wish!r}"
        raise OpsError("E-OPS-IMPL", f"{ENVIRONMENT}: {what}. Set it to 'ref' or 'cpu'.")
    return wish if wish in ("auto", *available) else "ref"


def use_cpu(op: str, impl: str, gap: str, is_worth: bool) -> bool:
    """Whether the compiled path of `op` answers a call.

    `gap` names what keeps the call from it (empty: nothing); if not `is_worth`, 'auto' leaves the
    call to `ref`.

    Raises:
        OpsError: what was asked for by name does not exist, does not cover the call or cannot be
            built.
    """
    wish = resolve_impl(op, impl, ("ref", "cpu"))
    if gap and impl == "cpu":
        what = f"impl='cpu' does not cover {gap}"
        raise OpsError("E-OPS-IMPL", f"{op}: {what}. Use impl='auto'.")
    if gap or wish == "ref" or (wish == "auto" and not is_worth):
        return False
    return is_available(strict=wish == "cpu")
