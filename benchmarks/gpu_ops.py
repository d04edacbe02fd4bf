"""Time the CUDA kernels on every layer of StyleGAN3-T 256 against a copy on the same device.

    python benchmarks/gpu_ops.py --batch 32 --dtype float16

Columns: milliseconds; GB/s of what must move at least, input and output once (and the mask where
one is saved or read); how many times longer that is than a copy of as many bytes; `ref`. Runs are
interleaved and every number is a median. The last rows are the discriminator's two operations.
"""

import json
from collections.abc import Callable
from statistics import median
from typing import Any

import click
import torch
from torch import Tensor

COPY_BYTES = 2**30
COLUMNS = ("forward", "save", "backward")


def milliseconds(function: Callable[[], object]) -> float:
    """Time one call on the device."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    function()
    end.record()
    end.synchronize()
    return start.elapsed_time(end)


def measure(functions: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median milliseconds; the first round compiles and warms up."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats + 1):
        for name, function in functions.items():
            try:
                times[name].append(milliseconds(function))
            except torch.cuda.OutOfMemoryError:
                torch.cuda.empty_cache()
                times[name].append(float("nan"))
    return {name: median(values[1:]) for name, values in times.items()}


def copy_speed(repeats: int) -> float:
    """GB/s, bytes read plus bytes written."""
    source = torch.zeros(COPY_BYTES, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    took = measure({"copy": lambda: target.copy_(source)}, repeats)["copy"]
    return 2 * COPY_BYTES / took / 1e6


def size(*tensors: Tensor) -> int:
    """Bytes."""
    return sum(t.numel() * t.element_size() for t in tensors)


def time_layer(kwargs: dict[str, Any], repeats: int) -> dict[str, Any]:
    """Times of the kernel and of `ref`, and the bytes that each pass must move."""
    from custom_ops import filtered_lrelu

    x, b = kwargs["x"], kwargs["b"]
    free = {**kwargs, "x": x.detach(), "b": b.detach()}
    y = filtered_lrelu(**kwargs, impl="cuda")
    dy = torch.ones_like(y)
    mask = sum(size(t) for t in y.grad_fn.saved_tensors if t is not None and t.ndim == 4)
    both = size(x, y)
    functions = {
        "forward": lambda: filtered_lrelu(**free, impl="cuda"),
        "save": lambda: filtered_lrelu(**kwargs, impl="cuda"),
        "backward": lambda: torch.autograd.grad(y, [x, b], dy, retain_graph=True),
        "ref": lambda: filtered_lrelu(**free, impl="ref"),
    }
    times = measure(functions, repeats)
    return {"ms": times, "bytes": {"forward": both, "save": both + mask, "backward": both + mask}}


def time_linear(batch: int, dtype: torch.dtype, repeats: int) -> dict[str, dict[str, Any]]:
    """The discriminator's blur and activation at 256x256, 128 channels, channels-last as there."""
    from custom_ops import bias_act, upfirdn2d

    x = torch.randn(batch, 128, 256, 256, device="cuda", dtype=dtype)
    last = x.contiguous(memory_format=torch.channels_last)
    b, f = torch.randn(128, device="cuda"), torch.tensor([1.0, 3.0, 3.0, 1.0], device="cuda") / 8
    act = {"act": "lrelu", "clamp": 256.0}
    calls: dict[str, Callable[[str], Tensor]] = {
        "blur": lambda impl: upfirdn2d(x, f, padding=2, impl=impl),
        "blur down 2": lambda impl: upfirdn2d(x, f, down=2, padding=1, impl=impl),
        "  ch.-last": lambda impl: upfirdn2d(last, f, down=2, padding=1, impl=impl),
        "bias_act": lambda impl: bias_act(last, b, impl=impl, **act),
    }
    rows = {}
    for name, call in calls.items():
        functions = {
            "forward": lambda call=call: call("cuda"),
            "ref": lambda call=call: call("ref"),
        }
        moved = {"forward": size(x, call("cuda"))}
        rows[name] = {"ms": measure(functions, repeats), "bytes": moved}
    return rows


def layer_arguments(geometry: Any, batch: int, dtype: torch.dtype) -> dict[str, Any]:
    """What a synthesis layer passes; its 3x3 convolution pads by 2."""
    side = geometry.source.size + geometry.conv_kernel - 1
    shape = batch, geometry.target.channels, side, side
    filters = [
        None if f is None else torch.as_tensor(f, dtype=torch.float32, device="cuda")
        for f in (geometry.up_filter(), geometry.down_filter())
    ]
    return {
        "x": torch.randn(shape, device="cuda", dtype=dtype).requires_grad_(),
        "b": torch.randn(shape[1], device="cuda").requires_grad_(),
        "fu": filters[0],
        "fd": filters[1],
        "up": geometry.up,
        "down": geometry.down,
        "padding": geometry.padding,
        "clamp": 256.0,
    }


def print_table(rows: dict[str, dict[str, Any]], speed: float) -> None:
    """One line per row: for each pass milliseconds, GB/s, times the copy; then `ref`."""
    heads = "".join(f"{column + ' ms':>13}{'GB/s':>7}{'x copy':>8}" for column in COLUMNS)
    click.echo(f"{'':14}{heads}{'ref ms':>10}")
    for name, row in rows.items():
        line = f"{name:14}"
        for column in COLUMNS:
            took, moved = row["ms"].get(column), row["bytes"].get(column)
            if took is None:
                line += " " * 28
                continue
            gigabytes = moved / took / 1e6
            line += f"{took:13.3f}{gigabytes:7.0f}{speed / gigabytes:8.2f}"
        click.echo(line + f"{row['ms']['ref']:10.3f}")


@click.command()
@click.option("--batch", default=32, show_default=True)
@click.option("--dtype", type=click.Choice(["float16", "bfloat16", "float32"]), default="float16")
@click.option("--repeats", default=9, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def main(batch: int, dtype: str, repeats: int, as_json: bool) -> None:
    """Time every layer."""
    if not torch.cuda.is_available():
        raise click.ClickException("torch sees no CUDA device")
    from stylegan.config import GeneratorConfig
    from stylegan.filters import plan_layers

    kind = getattr(torch, dtype)
    speed = copy_speed(repeats)
    rows = {}
    for geometry in plan_layers(GeneratorConfig())[:-1]:  # the last one has no filters
        name = f"L{geometry.index}_{geometry.target.size}_{geometry.target.channels}"
        rows[name] = time_layer(layer_arguments(geometry, batch, kind), repeats)
    names = ("ms", "bytes")
    columns = {"ms": (*COLUMNS, "ref"), "bytes": COLUMNS}
    total = {n: {c: sum(r[n][c] for r in rows.values()) for c in columns[n]} for n in names}
    rows = {**rows, "sum": total, **time_linear(batch, kind, repeats)}
    if as_json:
        result = {"device": torch.cuda.get_device_name(), "batch": batch, "dtype": dtype}
        return click.echo(json.dumps({**result, "copy_gb_s": speed, "rows": rows}, indent=1))
    click.echo(f"{torch.cuda.get_device_name()}, batch {batch}, {dtype}, copy {speed:.0f} GB/s")
    print_table(rows, speed)


if __name__ == "__main__":
    main()
