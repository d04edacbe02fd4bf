"""Say what this machine offers to the operations, and try every path."""

import os
import platform
import sys
from collections.abc import Iterator

import torch
from torch import Tensor

from custom_ops import build, cuda_build, cuda_plan
from custom_ops.dispatch import ENVIRONMENT
from custom_ops.errors import OpsError
from custom_ops.filtered_lrelu import filtered_lrelu

FEATURES = ("avx2", "fma", "avx512f", "avx512bw", "avx512_bf16", "asimd")
TOLERANCE = 1e-5


def run_doctor() -> int:
    """Print ten lines; return 0 if `ref` works and no path gives wrong numbers, else 1."""
    for name, text in describe_machine():
        _print(name, text)
    good = True
    for name, trial in (("ref", _try_ref), ("cpu", _try_cpu), ("cuda", _try_cuda)):
        try:
            error = trial()
        except (OpsError, RuntimeError, MemoryError) as failure:
            _print(name, f"does not work: {failure}")
            good = good and name != "ref"
        else:
            right = error <= TOLERANCE
            _print(name, f"{'works' if right else 'WRONG'}, largest error {error:.1e}")
            good = good and right
    return 0 if good else 1


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
    return _compare("cpu", "cpu")


def _try_cuda() -> float:
    if not torch.cuda.is_available():
        reason = f"torch sees no CUDA device. {_describe_nvrtc()}"
        raise OpsError("E-OPS-BUILD", reason)
    return _compare("cuda", cuda_plan.DEVICE)


def _describe_nvrtc() -> str:
    """Whether the kernels would compile, which needs no device."""
    try:
        source, instance = cuda_build.PROBE
        cuda_build.compile_kernels(source, [instance], "sm_90")
    except (ImportError, OSError, RuntimeError, OpsError) as error:
        reason = " ".join(str(error).split())[:200]
        return f"NVRTC: {reason}; `pip install cuda-bindings nvidia-cuda-nvrtc`"
    return "NVRTC compiles the kernels"


def _compare(impl: str, device: str) -> float:
    """The largest difference to value and gradient of `ref`."""
    x = torch.linspace(-1, 1, 16 * 144).sin().view(1, 16, 12, 12)
    actual, expected = _value_and_gradient(x.to(device), impl), _value_and_gradient(x, "ref")
    return float((actual - expected).abs().max())


def _value_and_gradient(x: Tensor, impl: str) -> Tensor:
    f = torch.arange(1, 13) / 78
    leaf = x.clone().requires_grad_()
    y = filtered_lrelu(leaf, f, f, None, 2, 2, 11, clamp=1, impl=impl)
    (dx,) = torch.autograd.grad(y.square().sum(), leaf)
    return torch.cat([y.detach().flatten(), dx.flatten()]).cpu()


def _print(name: str, text: str) -> None:
    sys.stdout.write(f"{name:12} {text}\n")
