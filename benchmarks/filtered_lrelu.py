"""Time filtered_lrelu, compiled and `ref`, against a plain copy of its output.

    python benchmarks/filtered_lrelu.py --batch 16 --dtype bfloat16 --repeats 9

One row per layer of a small 64x64 generator: medians in milliseconds of interleaved runs, so that
other work on the machine slows all columns alike. On a busy machine wall time says little: there
`--clock cpu` uses one thread and counts only the time that it ran.
"""

import json
import time
from collections.abc import Callable
from statistics import median
from typing import NamedTuple

import click
import torch
from scipy.signal import firwin
from torch import Tensor


class Layer(NamedTuple):
    """One synthesis layer; its 3x3 convolution pads by 2, so the filter sees `size_in + 2`."""

    name: str
    channels: int
    size_in: int
    up: int
    down: int
    size_out: int


# channel_base 2048, channel_max 128, num_layers 8, margin 4, first_cutoff 4, first_stopband 8
LAYERS = (
    Layer("L0", 128, 24, 2, 2, 24),
    Layer("L1", 128, 24, 4, 2, 40),
    Layer("L2", 128, 40, 2, 2, 40),
    Layer("L3", 91, 40, 4, 2, 72),
    Layer("L4", 64, 72, 2, 2, 72),
    Layer("L5", 45, 72, 2, 2, 72),
    Layer("L6", 32, 72, 2, 2, 72),
    Layer("L7", 32, 72, 2, 2, 64),
)
COLUMNS = ("copy", "cpu_no_grad", "cpu_forward", "cpu_backward", "ref_forward", "ref_backward")


def arguments(layer: Layer, batch: int, dtype: torch.dtype) -> dict[str, object]:
    """Random signals and the filters and padding that a generator would use."""
    taps_up, taps_down = 6 * layer.up, 6 * layer.down
    total = (layer.size_out - 1) * layer.down + 1 - (layer.size_in + 2) * layer.up
    total += taps_up + taps_down - 2
    before = (total + layer.up) // 2
    x = torch.randn(batch, layer.channels, layer.size_in + 2, layer.size_in + 2).to(dtype)
    return {
        "x": x.contiguous(memory_format=torch.channels_last).requires_grad_(),
        "fu": torch.from_numpy(firwin(taps_up, 0.8 / layer.up)).float(),
        "fd": torch.from_numpy(firwin(taps_down, 0.8 / layer.down)).float(),
        "b": torch.randn(layer.channels, requires_grad=True),
        "up": layer.up,
        "down": layer.down,
        "padding": [before, total - before] * 2,
        "clamp": 256.0,
    }


def measure(
    layer: Layer, batch: int, dtype: torch.dtype, repeats: int, clock: Callable[[], float]
) -> dict[str, float]:
    """Median milliseconds of every column."""
    from custom_ops import filtered_lrelu

    kwargs = arguments(layer, batch, dtype)
    inputs = [kwargs["x"], kwargs["b"]]
    times: dict[str, list[float]] = {column: [] for column in COLUMNS}

    def milliseconds(function: Callable[[], object]) -> tuple[float, object]:
        start = clock()
        result = function()
        return 1000 * (clock() - start), result

    def gradient(y: Tensor) -> object:
        return torch.autograd.grad(y, inputs, torch.ones_like(y))

    def no_grad() -> Tensor:
        with torch.no_grad():
            return filtered_lrelu(**kwargs, impl="cpu")

    for _ in range(repeats + 1):
        for impl in ("cpu", "ref"):
            took, y = milliseconds(lambda impl=impl: filtered_lrelu(**kwargs, impl=impl))
            times[f"{impl}_forward"].append(took)
            times[f"{impl}_backward"].append(milliseconds(lambda y=y: gradient(y))[0])
        times["cpu_no_grad"].append(milliseconds(no_grad)[0])
        times["copy"].append(milliseconds(y.detach().clone)[0])
    return {column: median(values[1:]) for column, values in times.items()}


@click.command()
@click.option("--batch", default=16, show_default=True)
@click.option("--dtype", type=click.Choice(["bfloat16", "float32"]), default="bfloat16")
@click.option("--repeats", default=7, show_default=True)
@click.option("--clock", type=click.Choice(["wall", "cpu"]), default="wall", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def main(batch: int, dtype: str, repeats: int, clock: str, as_json: bool) -> None:
    """Time every layer."""
    if clock == "cpu":
        torch.set_num_threads(1)
    timer = time.process_time if clock == "cpu" else time.perf_counter
    kind = getattr(torch, dtype)
    rows = {layer.name: measure(layer, batch, kind, repeats, timer) for layer in LAYERS}
    rows["sum"] = {column: sum(row[column] for row in rows.values()) for column in COLUMNS}
    if as_json:
        return click.echo(json.dumps({"batch": batch, "dtype": dtype, "layers": rows}, indent=1))
    click.echo(f"batch {batch}, {dtype}, {torch.get_num_threads()} threads, milliseconds")
    click.echo(f"{'':4}" + "".join(f"{column:>14}" for column in COLUMNS) + f"{'ref / cpu':>14}")
    for name, row in rows.items():
        ref, cpu = (row[f"{impl}_forward"] + row[f"{impl}_backward"] for impl in ("ref", "cpu"))
        numbers = "".join(f"{row[column]:14.2f}" for column in COLUMNS)
        click.echo(f"{name:4}{numbers}{ref / cpu:13.1f}x")


if __name__ == "__main__":
    main()
