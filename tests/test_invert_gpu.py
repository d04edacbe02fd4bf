"""The main job on a GPU: `python -m pytest -m gpu`."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from stylegan import load_generator
from tests.invert_case import Case, quick_config
from tests.test_invert import assert_pictures_are_as_reported

ROOT = Path(__file__).parent.parent
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device"),
]


def test_a_tiny_generator_agrees_with_its_picture(monkeypatch, tmp_path):
    quick_config(monkeypatch)
    case = Case(tmp_path)
    done = case.run("--samples", 5, "--device", "cuda")
    assert done.code == 0, done.stderr
    assert np.abs(assert_pictures_are_as_reported(done, case.levels)).max() <= 1


def test_the_default_model_runs_from_the_command_line(tmp_path):
    command = [sys.executable, "invert.py", "--image", "examples/lowres.png", "--device", "cuda"]
    command += ["--samples", "2", "--outdir", str(tmp_path / "faces")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    assert "no CUDA kernels" not in done.stderr
    assert (tmp_path / "faces" / "candidate-1.png").stat().st_size > 1000


def _picture(device: str, precision: str = "fp32") -> Tensor:
    G = load_generator(ROOT / "pretrained" / "generator.safetensors", device)
    z = torch.randn(4, G.config.z_dim, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ws = G.mapping(z.to(device))
        return G.synthesis(ws, precision=precision).clamp(-1, 1).double().cpu()


def test_the_default_generator_makes_the_pictures_of_the_cpu():
    expected = _picture("cpu")
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        difference = (_picture("cuda") - expected).abs() * 127.5
    assert difference.max() <= 0.25 and (difference <= 1).double().mean() >= 0.999
    for precision in ("fp16", "bf16"):
        squared = (_picture("cuda", precision) - expected).square().mean()
        assert 10 * torch.log10(4 / squared) >= 40  # PSNR
