"""The CUDA kernels on the CPU: g++ compiles their source with the other half of platform.h.

Import the fixture `shim` into a test module to have the public functions run on CPU tensors.
SHIM_FLAGS in the environment are more options for g++.
"""

import ctypes
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from custom_ops import cuda_bias_act, cuda_build, cuda_kernels, cuda_plan, cuda_upfirdn2d

FLAGS = [
    "-std=c++17",
    "-O1",
    "-Werror",
    "-march=native",
    "-fPIC",
    "-shared",
    "-ffp-contract=fast",
    "-Wall",
    *os.environ.get("SHIM_FLAGS", "").split(),
]
ENTRY = """
extern "C" void run_{index}(const Call* call, unsigned blocks, unsigned bytes, bool backwards) {{
  reversed = backwards;
  launch({name}, *call, blocks, bytes);
}}
"""


class Shim:
    """Stands in for `cuda_build.launch`; builds instances when they are first used."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.backwards = False
        self.used: list[tuple[str, str]] = []
        self._entries: dict[tuple[str, str], ctypes._CFuncPtr] = {}

    def build(self, source: str, names: list[str]) -> None:
        text = f'#include "{source}"\n'
        text += "".join(ENTRY.format(index=i, name=name) for i, name in enumerate(names))
        stem = self.folder / f"shim-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
        stem.with_suffix(".cpp").write_text(text)
        command = ["g++", *FLAGS, f"-I{cuda_build.SOURCES}", f"{stem}.cpp"]
        subprocess.run([*command, "-o", f"{stem}.so"], check=True, timeout=100)
        library = ctypes.CDLL(f"{stem}.so")
        for i, name in enumerate(names):
            self._entries[source, name] = getattr(library, f"run_{i}")

    def launch(
        self,
        source: str,
        name: str,
        call: ctypes.Structure,
        blocks: int,
        shared_bytes: int,
        device: torch.device,
    ) -> None:
        self.used.append((source, name))
        if (source, name) not in self._entries:
            self.build(source, [name])
        self._entries[source, name](ctypes.byref(call), blocks, shared_bytes, self.backwards)


def _register_cpu() -> None:
    """The operators' bodies also answer for CPU tensors from now on."""
    for operator, body in (
        (cuda_kernels.filtered_lrelu_op, cuda_kernels.run_filtered_lrelu),
        (cuda_kernels.masked_filter_op, cuda_kernels.run_masked_filter),
        (cuda_upfirdn2d.resample_op, cuda_upfirdn2d.run_resample),
        (cuda_bias_act.bias_act_op, cuda_bias_act.run_bias_act),
    ):
        operator.register_kernel("cpu")(body)


@pytest.fixture(scope="session")
def built_shim(tmp_path_factory: pytest.TempPathFactory) -> Shim:
    if shutil.which("g++") is None:
        pytest.skip("the CUDA kernels are tested on the CPU by g++, which is not here")
    _register_cpu()
    return Shim(tmp_path_factory.mktemp("cuda_shim"))


@pytest.fixture
def shim(built_shim: Shim, monkeypatch: pytest.MonkeyPatch) -> Shim:
    monkeypatch.setattr(cuda_build, "launch", built_shim.launch)
    monkeypatch.setattr(cuda_build, "is_available", lambda device, strict: True)
    monkeypatch.setattr(cuda_plan, "DEVICE", "cpu")
    monkeypatch.setattr(built_shim, "used", [])
    monkeypatch.setattr(built_shim, "backwards", False)
    return built_shim
