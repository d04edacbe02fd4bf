"""evaluate.py fid by several processes that torchrun starts: one line, and the same numbers."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchrun_case import TORCHRUN, TWO_HERE, Launch

from stylegan.checkpoint import save_generator
from tests.inversion.tiny import tiny_generator

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_processes_find_what_one_finds(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for k, levels in enumerate(np.random.default_rng(0).integers(0, 256, (40, 4, 4, 3), np.uint8)):
        Image.fromarray(levels).resize((32, 32)).save(tmp_path / "data" / f"{k}.png")
    save_generator(tmp_path / "generator.safetensors", tiny_generator())
    words = ["fid", "--generator", tmp_path / "generator.safetensors", "--data", tmp_path / "data"]
    words += ["--features", "pixels16", "--num", "70", "--batch", "8", "--device", "cpu"]
    words = [str(word) for word in (ROOT / "evaluate.py", *words)]
    alone = subprocess.run(
        [sys.executable, *words, "--reference", tmp_path / "a"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    together = [*TORCHRUN, *TWO_HERE, "--", *words, "--reference", tmp_path / "b"]
    for _ in range(2):  # with the features of the data to be computed, and stored
        with Launch(together, tmp_path / "logs", {}) as launch:
            assert launch.wait(250) == 0, launch.complaints
            [line] = [line for line in launch.printed.splitlines() if line.startswith("{")]
            found, expected = json.loads(line), json.loads(alone.stdout)
            assert found.pop("processes") == 2 and expected.pop("processes") == 1
            assert {**found, "seconds": 0} == {**expected, "seconds": 0}
