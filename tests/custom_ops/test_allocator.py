"""What `keep_freed_memory` is for: pages of freed tensors are used again."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys, torch
from custom_ops.allocator import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
for _ in range(10):
    x = torch.empty(64 * 2**20, dtype=torch.uint8).fill_(1)
    del x
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_large_tensors_use_the_pages_of_earlier_ones():
    faults = {}
    for mode in ("keep", "plain"):
        run = subprocess.run(
            [sys.executable, "-c", SCRIPT, mode], capture_output=True, text=True, check=True
        )
        faults[mode] = int(run.stdout)
    assert faults["plain"] - faults["keep"] > 5 * 64 * 2**20 / 2**21  # at least pages of 2 MiB
