"""Keep freed memory instead of handing it back to the system."""

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # M_* of malloc.h
_LARGEST = 2**31 - 1  # the parameter is an int


def keep_freed_memory() -> None:
    """Let this process reuse the large blocks that it frees; does nothing outside Linux with glibc.

    glibc gives every freed tensor above 32 MiB back to the system and asks for the next one anew,
    whose pages the system then clears one by one: at 256x256 that took as long as the convolutions
    (`benchmarks/train.py`). For programs to call, once, before the first large tensor; memory
    stays at its peak from then on.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    mallopt(_MMAP_THRESHOLD, _LARGEST)
    mallopt(_TRIM_THRESHOLD, _LARGEST)
    mallopt(_TOP_PAD, 64 * 2**20)
