"""Every address that a CUDA kernel reads or writes, watched by g++'s sanitizers on the CPU."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = [
    "tests/custom_ops/test_cuda_kernels.py::test_every_layer_of_t_and_r_at_every_tile_edge",
    "tests/custom_ops/test_cuda_kernels.py::test_values_agree_with_scipy_and_gradients_with_ref",
    "tests/custom_ops/test_cuda_upfirdn2d.py::test_the_filters_of_the_discriminator_at_every_tile_edge",
    "tests/custom_ops/test_cuda_upfirdn2d.py::test_layouts_and_an_empty_batch",
    "tests/custom_ops/test_cuda_bias_act.py::test_agrees_with_numpy",
]


def _library(name: str) -> str:
    """What has to be loaded first, into a Python that knows nothing of sanitizers."""
    if shutil.which("g++") is None:
        pytest.skip("needs g++")
    command = ["g++", f"-print-file-name={name}"]
    path = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    if not os.path.isabs(path):
        pytest.skip(f"g++ has no {name} here")
    return path


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_no_kernel_leaves_its_memory():
    """Shared memory is a block of just the bytes that were asked for, so overruns of it show."""
    environment = {
        **os.environ,
        "LD_PRELOAD": f"{_library('libasan.so')} {_library('libstdc++.so')}",
        "ASAN_OPTIONS": "detect_leaks=0",
        "SHIM_FLAGS": "-fsanitize=address,undefined -fno-sanitize-recover=undefined -Wno-error",
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
