"""Say what this machine offers to the operations, and try every path."""

import os
import platform
import sys
from collections.abc import Iterator

import torch
from torch import Tensor

from custom_ops import build
from custom_ops.dispatch import ENVIRONMENT
from custom_ops.errors import OpsError
from custom_ops.filtered_lrelu import filtered_lrelu

FEATURES = ("avx2", "fma", "avx512f", "avx512bw", "avx512_bf16", "asimd")
TOLERANCE = 1e-5


def run_doctor() -> int:
    """Print about ten lines; return 0 if at least `ref` works, else 1."""
    for name, text in describe_machine():
        _print(name, text)
    works = True
    for name, trial in (("ref", _try_ref), ("cpu", _try_cpu)):
        try:
            error = trial()
        except (OpsError, RuntimeError, MemoryError) as failure:
            verdict, good = f"does not work: {failure}", False
        else:
            good = error <= TOLERANCE
            verdict = f"{'works' if good else 'WRONG'}, largest error {error:.1e}"
        works = works and (good or name != "ref")
        _print(name, verdict)
    return 0 if works else 1


def describe_machine() -> Iterator[tuple[str, str]]:
    """Yield name and state of everything that the paths depend on."""
    version = f"{torch.__version__}, {torch.get_num_threads()} threads"
    yield "torch", f"{version}, Python {platform.python_version()}, {sys.platform}"
    yield "CUDA", _describe_cuda()
    yield "processor", _describe_processor()
    yield from build.describe().items()
    yield ENVIRONMENT, os.environ.get(ENVIRONMENT, "") or "not set, so 'auto'"


def _describe_cuda() -> str:
    built = f"torch is built for {torch.version.cuda}" if torch.version.cuda else "torch has none"
    if not torch.cuda.is_available():
        return f"{built}, no device"
    major, minor = torch.cuda.get_device_capability()
    return f"{built}, {torch.cuda.get_device_name()}, capability {major}.{minor}"


def _describe_processor() -> str:
    try:
        flags = build.cpu_flags().split()
    except OSError:
        return f"{platform.machine()}, features unknown"
    present = [feature for feature in FEATURES if feature in flags]
    return f"{platform.machine()}, {' '.join(present) or 'no vector extension that is used'}"


def _try_ref() -> float:
    """A constant picture comes out of filters of sum 1 as it was, away from the border."""
    f = torch.tensor([1, 2, 3, 4, 5, 6, 6, 5, 4, 3, 2, 1]) / 42  # even and odd taps have equal sums
    y = filtered_lrelu(torch.ones(1, 16, 16, 16), f, f, None, 2, 2, 11, gain=1, impl="ref")
    return float((y[:, :, 6:10, 6:10] - 1).abs().max())


def _try_cpu() -> float:
    """Value and gradient equal those of `ref`."""
    x = torch.linspace(-1, 1, 16 * 144).sin().view(1, 16, 12, 12)
    results = [_value_and_gradient(x, impl) for impl in ("cpu", "ref")]
    return max(float((a - b).abs().max()) for a, b in zip(*results, strict=True))


def _value_and_gradient(x: Tensor, impl: str) -> tuple[Tensor, Tensor]:
    f = torch.arange(1, 13) / 78
    leaf = x.clone().requires_grad_()
    y = filtered_lrelu(leaf, f, f, None, 2, 2, 11, clamp=1, impl=impl)
    return y.detach(), torch.autograd.grad(y.square().sum(), leaf)[0]


def _print(name: str, text: str) -> None:
    sys.stdout.write(f"{name:12} {text}\n")
