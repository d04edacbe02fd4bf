"""Time filtered_lrelu, compiled and `ref`, against a plain copy of its output.

    python -m benchmarks.filtered_lrelu --net 256/8192/128 --batch 1 --dtype float32

`textbook` is the usual way without a GPU: insert zeros and convolve, channel by channel, on the
whole upsampled picture. One row per layer of a generator: medians in milliseconds of interleaved
runs, so that other work on the machine slows all columns alike. On a busy machine wall time says
little: there `--clock cpu` uses one thread and counts only the time that it ran.
"""

import json
import time
from collections.abc import Callable
from math import sqrt
from statistics import median

import click
import torch
import torch.nn.functional as F
from torch import Tensor

from custom_ops import filtered_lrelu
from custom_ops.allocator import keep_freed_memory
from stylegan import GeneratorConfig
from stylegan.filters import LayerGeometry, plan_layers

SMALL = {"margin_size": 4, "first_cutoff": 4, "first_stopband": 8, "num_layers": 8}
NETS = {
    "64": GeneratorConfig(img_resolution=64, channel_base=2048, channel_max=128, **SMALL),
    "256/8192/128": GeneratorConfig(channel_base=8192, channel_max=128),
    "256/32768/512": GeneratorConfig(channel_base=32768, channel_max=512),
}
WAYS = ("cpu", "ref", "textbook")
COLUMNS = ("copy", "cpu_no_grad", *(f"{way}_{part}" for way in WAYS for part in ("fwd", "bwd")))


def arguments(layer: LayerGeometry, batch: int, dtype: torch.dtype) -> dict[str, object]:
    """Random signals, and the rest as the generator has it."""
    side = layer.source.size + layer.conv_kernel - 1
    x = torch.randn(batch, layer.target.channels, side, side).to(dtype)
    filters = layer.up_filter(), layer.down_filter()
    fu, fd = (None if f is None else torch.as_tensor(f, dtype=torch.float32) for f in filters)
    return {
        "x": x.contiguous(memory_format=torch.channels_last).requires_grad_(),
        "fu": fu,
        "fd": fd,
        "b": torch.randn(layer.target.channels, requires_grad=True),
        "up": layer.up,
        "down": layer.down,
        "padding": layer.padding,
        "clamp": 256.0,
    }


def textbook(
    x: Tensor,
    fu: Tensor,
    fd: Tensor,
    b: Tensor,
    up: int,
    down: int,
    padding: tuple[int, ...],
    clamp: float,
) -> Tensor:
    """The definition as it reads, with convolutions of torch."""
    x = x + b.to(x.dtype)[:, None, None]
    x = F.pad(x[:, :, :, None, :, None], [0, up - 1, 0, 0, 0, up - 1]).flatten(4, 5).flatten(2, 3)
    x = convolve(F.pad(x, padding), fu * up)
    x = (F.leaky_relu(x, 0.2) * sqrt(2)).clamp(-clamp, clamp)
    return convolve(x, fd)[:, :, ::down, ::down]


def convolve(x: Tensor, f: Tensor) -> Tensor:
    """Along both axes; the filters here are symmetric."""
    weight = f.to(x.dtype).expand(x.shape[1], 1, 1, -1)
    return F.conv2d(F.conv2d(x, weight, groups=x.shape[1]), weight.mT, groups=x.shape[1])


def measure(
    layer: LayerGeometry, batch: int, dtype: torch.dtype, repeats: int, clock: Callable[[], float]
) -> dict[str, float]:
    """Median milliseconds of every column."""
    kwargs = arguments(layer, batch, dtype)
    inputs = [kwargs["x"], kwargs["b"]]
    ways: dict[str, Callable[[], Tensor]] = {
        "cpu": lambda: filtered_lrelu(**kwargs, impl="cpu"),
        "ref": lambda: filtered_lrelu(**kwargs, impl="ref"),
        "textbook": lambda: textbook(**kwargs),
    }
    torch.testing.assert_close(ways["textbook"](), ways["ref"](), rtol=0.03, atol=0.03)
    times: dict[str, list[float]] = {column: [] for column in COLUMNS}

    def milliseconds(function: Callable[[], object]) -> tuple[float, object]:
        start = clock()
        result = function()
        return 1000 * (clock() - start), result

    def gradient(y: Tensor) -> object:
        return torch.autograd.grad(y, inputs, torch.ones_like(y))

    def no_grad() -> Tensor:
        with torch.no_grad():
            return ways["cpu"]()

    for _ in range(repeats + 1):
        for way in WAYS:
            took, y = milliseconds(ways[way])
            times[f"{way}_fwd"].append(took)
            times[f"{way}_bwd"].append(milliseconds(lambda y=y: gradient(y))[0])
        times["cpu_no_grad"].append(milliseconds(no_grad)[0])
        times["copy"].append(milliseconds(y.detach().clone)[0])
    return {column: median(values[1:]) for column, values in times.items()}


@click.command()
@click.option("--net", type=click.Choice(list(NETS)), default="64", show_default=True)
@click.option("--batch", default=16, show_default=True)
@click.option("--dtype", type=click.Choice(["bfloat16", "float32"]), default="bfloat16")
@click.option("--repeats", default=7, show_default=True)
@click.option("--clock", type=click.Choice(["wall", "cpu"]), default="wall", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def main(net: str, batch: int, dtype: str, repeats: int, clock: str, as_json: bool) -> None:
    """Time every layer."""
    if clock == "cpu":
        torch.set_num_threads(1)
    keep_freed_memory()
    timer = time.process_time if clock == "cpu" else time.perf_counter
    kind = getattr(torch, dtype)
    layers = [layer for layer in plan_layers(NETS[net]) if not layer.is_rgb]  # nothing to filter
    rows = {f"L{layer.index}": measure(layer, batch, kind, repeats, timer) for layer in layers}
    rows["sum"] = {column: sum(row[column] for row in rows.values()) for column in COLUMNS}
    if as_json:
        found = {"net": net, "batch": batch, "dtype": dtype, "layers": rows}
        return click.echo(json.dumps(found, indent=1))
    click.echo(f"{net}, batch {batch}, {dtype}, {torch.get_num_threads()} threads, milliseconds")
    click.echo(
        f"{'':4}" + "".join(f"{column:>13}" for column in COLUMNS) + "   ref, textbook / cpu"
    )
    for name, row in rows.items():
        cpu, *others = (row[f"{way}_fwd"] + row[f"{way}_bwd"] for way in WAYS)
        ratios = "".join(f"{other / cpu:10.1f}x" for other in others)
        click.echo(f"{name:4}" + "".join(f"{row[column]:13.2f}" for column in COLUMNS) + ratios)


if __name__ == "__main__":
    main()
