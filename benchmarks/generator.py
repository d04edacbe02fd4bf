"""Time the generator against the floor: its convolutions alone, and `ref` where that is bearable.

    python -m benchmarks.generator --json runs/generator.json

One row per size, batch and precision: medians in milliseconds of interleaved runs, so that other
work on the machine slows all columns alike; ratios to the floor of the same run; peak memory above
what the weights take. `forward` makes pictures from ws, `backward` adds the gradient to ws. The
floor is the same sequence of convolutions on random signals, channels-last, of the same type; its
backward is the gradient to the input.
"""

from __future__ import annotations

import ctypes
import itertools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from unittest import mock

import click
import torch
import torch.nn.functional as F
from torch import Tensor

from custom_ops.allocator import keep_freed_memory
from stylegan import Generator, GeneratorConfig
from stylegan.filters import LayerGeometry, plan_layers
from stylegan.generator import PRECISIONS

SIZES = {"32768/512": (32768, 512), "8192/128": (8192, 128)}  # channel_base / channel_max
Functions = dict[str, Callable[[], object]]


def floor(plan: list[LayerGeometry], batch: int, dtype: torch.dtype) -> Functions:
    """Return the forward and backward pass of the convolutions alone."""
    pairs = []
    for layer in plan:
        shape = (batch, layer.source.channels, layer.source.size, layer.source.size)
        x = torch.randn(shape).to(dtype).contiguous(memory_format=torch.channels_last)
        kernel = layer.conv_kernel
        weight = torch.randn(layer.target.channels, layer.source.channels, kernel, kernel)
        pairs.append((x, weight.to(dtype).contiguous(memory_format=torch.channels_last)))

    def forward() -> list[Tensor]:
        with torch.no_grad():
            return [F.conv2d(x, weight, padding=weight.shape[-1] - 1) for x, weight in pairs]

    def backward() -> None:
        for x, weight in pairs:
            x = x.detach().requires_grad_(True)
            y = F.conv2d(x, weight, padding=weight.shape[-1] - 1)
            torch.autograd.grad(y, x, torch.ones_like(y))

    return {"floor_forward": forward, "floor_backward": backward}


def ours(G: Generator, batch: int, precision: str) -> Functions:
    """Return the forward and backward pass of the synthesis network."""
    ws = torch.randn(batch, G.config.num_ws, G.config.w_dim)

    def forward() -> Tensor:
        with torch.no_grad():
            return G.synthesis(ws, precision=precision)

    def backward() -> Tensor:
        leaf = ws.clone().requires_grad_(True)
        return torch.autograd.grad(G.synthesis(leaf, precision=precision).square().sum(), leaf)[0]

    return {"forward": forward, "backward": backward}


def with_ref(function: Callable[[], object]) -> Callable[[], object]:
    """Return the same function with every operation by `ref`."""

    def run() -> object:
        with mock.patch.dict("os.environ", {"IRODORI_OPS": "ref"}):
            return function()

    return run


@contextmanager
def peak_memory(found: list[float]) -> Iterator[None]:
    """Append the growth of the resident set at its peak, in MiB, to `found` (Linux)."""

    def read(field: str) -> float:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(float(line.split()[1]) / 1024 for line in lines if line.startswith(field))

    ctypes.CDLL(None).malloc_trim(0)  # give back what earlier rows have freed
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = read("VmRSS")
    yield
    found.append(read("VmHWM") - before)


def measure(functions: Functions, repeats: int) -> dict[str, float]:
    """Return the median milliseconds of every function, run in turn."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats + 1):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            times[name].append(1000 * (time.perf_counter() - start))
    return {name: median(values[1:]) for name, values in times.items()}


def row(size: str, batch: int, precision: str, repeats: int, ref: bool) -> dict[str, float]:
    """Measure one size, batch and precision."""
    base, most = SIZES[size]
    torch.manual_seed(0)
    config = GeneratorConfig(img_resolution=256, channel_base=base, channel_max=most)
    G = Generator(config).eval().requires_grad_(False)
    functions = floor(plan_layers(config), batch, PRECISIONS[precision]) | ours(G, batch, precision)
    if ref and batch == 1 and precision == "fp32":
        functions |= {f"ref_{name}": with_ref(functions[name]) for name in ("forward", "backward")}
    found = measure(functions, repeats)
    peak: list[float] = []
    with peak_memory(peak):
        functions["backward"]()
    for name in ("forward", "backward"):
        found[f"{name}_ratio"] = found[name] / found[f"floor_{name}"]
    return found | {"peak_mib": peak[0]}


@click.command()
@click.option("--size", "sizes", type=click.Choice(list(SIZES)), multiple=True)
@click.option("--batch", "batches", type=int, multiple=True, default=(1, 8), show_default=True)
@click.option("--repeats", default=5, show_default=True)
@click.option("--ref/--no-ref", default=True, help="Time `ref` at batch 1 too.")
@click.option("--json", "report", type=Path, help="Write the numbers as JSON.")
def main(
    sizes: tuple[str, ...], batches: tuple[int, ...], repeats: int, ref: bool, report: Path | None
) -> None:
    """Print one row per size, batch and precision."""
    keep_freed_memory()
    rows = {}
    print(f"{torch.get_num_threads()} threads, milliseconds, peak in MiB")
    for size, batch, precision in itertools.product(sizes or SIZES, batches, ("fp32", "bf16")):
        found = row(size, batch, precision, repeats, ref)
        rows[f"256/{size} batch {batch} {precision}"] = found
        numbers = "  ".join(f"{name} {value:.2f}" for name, value in found.items())
        print(f"256/{size:9} batch {batch} {precision}: {numbers}", flush=True)
    if report:
        report.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
