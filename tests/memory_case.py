"""Tests under a limit of memory."""

import contextlib
import resource


@contextlib.contextmanager
def memory_limit(more_bytes):
    """Allow this process no more memory than it has and `more_bytes`."""
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + more_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
