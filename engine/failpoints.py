"""Faults that a test asks for, at named places in the code; nothing happens otherwise.

The environment names one as FAULT=point[@first[..last]][:rank]=kind: `step@5:1=kill` ends the
second process of a training in its fifth step. A process that torchrun started anew is spared.
"""

import errno
import functools
import os
import re
import signal
import time
from dataclasses import dataclass

import torch
from torch import Tensor

FORM = re.compile(r"([\w.]+)(?:@(\d+)(?:\.\.(\d+))?)?(?::(\d+))?=(\w+)")
SIGNALS = {"kill": signal.SIGKILL, "term": signal.SIGTERM}
ERRORS = {"enospc": errno.ENOSPC, "eio": errno.EIO}
EVER = 1 << 62


@dataclass
class Fault:
    """One fault and how often the process came to its place."""

    point: str
    first: int
    last: int
    kind: str
    visits: int = 0


def parse(text: str, rank: int = 0) -> Fault | None:
    """Read a fault, or None if it is another rank's.

    Raises:
        ValueError: `text` has not the form that the module describes.
    """
    match = FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"FAULT={text}: not of the form point[@first[..last]][:rank]=kind.")
    point, first, last, where, kind = match.groups()
    if where is not None and int(where) != rank:
        return None
    return Fault(point, int(first or 1), int(last or first or EVER), kind)


@functools.cache
def requested() -> Fault | None:
    """Return the fault that this process shall suffer, read once."""
    text = os.environ.get("FAULT")
    if not text or int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0)) > 0:
        return None
    return parse(text, int(os.environ.get("RANK", 0)))


def hit(point: str, count: int | None = None) -> str | None:
    """Suffer the fault that is due at `point`; return its kind if the caller must act it out.

    Args:
        point: the place, such as 'ckpt.before_rename'.
        count: what `@` counts, such as the step; by default the visits to the place.
    """
    fault = requested()
    if fault is None or fault.point != point:
        return None
    fault.visits += 1
    if not fault.first <= (fault.visits if count is None else count) <= fault.last:
        return None
    _suffer(point, fault.kind)
    return fault.kind


def _suffer(point: str, kind: str) -> None:
    if kind in SIGNALS:
        os.kill(os.getpid(), SIGNALS[kind])
    elif kind in ERRORS:
        raise OSError(ERRORS[kind], os.strerror(ERRORS[kind]), point)
    elif kind == "raise":
        raise RuntimeError(f"fault at {point}")
    elif kind == "oom":
        raise MemoryError(f"fault at {point}")
    elif kind == "hang":
        while True:
            time.sleep(1)


def spoil(point: str, tensor: Tensor, count: int | None = None) -> None:
    """As `hit`; the kinds 'nan' and 'flip' (of one bit) change the first value of `tensor`."""
    kind = hit(point, count)
    if kind in ("nan", "flip"):
        first = tensor.detach()[(0,) * tensor.dim()]
        if kind == "nan":
            first.fill_(float("nan"))
        else:
            same_size = {2: torch.int16, 4: torch.int32, 8: torch.int64}[tensor.element_size()]
            first.view(same_size).bitwise_xor_(1)
