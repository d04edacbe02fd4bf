"""Time the compiled CPU paths against `ref`, forward and backward, one thread.

    python benchmarks/cpu_ops.py --repeats 5

One row per case: milliseconds of CPU time (what the process ran, so that a busy machine does not
count), medians of interleaved runs, and the ratio.
"""

import time
from collections.abc import Callable
from statistics import median

import click
import torch
from scipy.signal import firwin
from torch import Tensor

from custom_ops import bias_act, filtered_lrelu, modulate, upfirdn2d

BLUR = torch.tensor([1.0, 3, 3, 1]) / 8
LOW = torch.from_numpy(firwin(12, 0.4)).float()
RADIAL = torch.outer(LOW, LOW) + 0.001 * torch.eye(12)
Case = Callable[[Tensor, str], Tensor]


def activation(act: str) -> Case:
    """bias_act with a bias and a clamp."""
    return lambda x, i: bias_act(x, x.new_zeros(x.shape[1]), act=act, clamp=256.0, impl=i)


CASES: dict[str, tuple[tuple[int, int, int], Case]] = {
    "blur, down 2": ((8, 64, 64), lambda x, i: upfirdn2d(x, BLUR, 1, 2, 1, impl=i)),
    "blur": ((8, 64, 64), lambda x, i: upfirdn2d(x, BLUR, 1, 1, 2, impl=i)),
    "up 2": ((8, 64, 32), lambda x, i: upfirdn2d(x, BLUR, 2, 1, [2, 1, 2, 1], gain=4, impl=i)),
    "blur, 512 ch": ((8, 512, 8), lambda x, i: upfirdn2d(x, BLUR, 1, 1, 2, impl=i)),
    "blur, 3 ch": ((8, 3, 64), lambda x, i: upfirdn2d(x, BLUR, 1, 2, 1, impl=i)),
    "12 taps, down 2": ((8, 64, 64), lambda x, i: upfirdn2d(x, LOW, 1, 2, 5, impl=i)),
    "12x12, down 2": ((2, 64, 64), lambda x, i: upfirdn2d(x, RADIAL, 1, 2, 5, impl=i)),
    "radial lrelu": (
        (2, 64, 36),
        lambda x, i: filtered_lrelu(x, LOW, RADIAL, None, 2, 2, 9, clamp=256.0, impl=i),
    ),
    "bias, lrelu": ((8, 64, 64), activation("lrelu")),
    "bias, swish": ((8, 64, 64), activation("swish")),
    "bias, lrelu, 3 ch": ((8, 3, 64), activation("lrelu")),
    "bias, lrelu, small": ((8, 128, 4), activation("lrelu")),
    "modulate, pad 1": ((8, 64, 64), lambda x, i: modulate(x, x[:, :, 0, 0].detach(), 1, impl=i)),
}


def measure(case: Case, x: Tensor, repeats: int) -> dict[str, float]:
    """Median milliseconds of forward and of backward, both paths."""
    times: dict[str, list[float]] = {}
    for _ in range(repeats + 1):
        for impl in ("ref", "cpu"):
            start = time.process_time()
            y = case(x, impl)
            between = time.process_time()
            torch.autograd.grad(y, x, torch.ones_like(y))
            end = time.process_time()
            times.setdefault(f"{impl} fwd", []).append(between - start)
            times.setdefault(f"{impl} bwd", []).append(end - between)
    return {name: 1000 * median(values[1:]) for name, values in times.items()}


@click.command()
@click.option("--repeats", default=5, show_default=True)
@click.option("--only", default="", help="Run the cases whose name contains this.")
def main(repeats: int, only: str) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    click.echo(f"{'case':18}{'type':10}{'layout':7}  ref fwd  cpu fwd  ref bwd  cpu bwd   ratio")
    for name, ((batch, channels, size), case) in CASES.items():
        for dtype in (torch.float32, torch.bfloat16):
            for layout in (torch.channels_last, torch.contiguous_format):
                x = torch.randn(batch, channels, size, size).to(dtype)
                x = x.contiguous(memory_format=layout).requires_grad_()
                if only not in name:
                    continue
                t = measure(case, x, repeats)
                columns = [t[f"{impl} {way}"] for way in ("fwd", "bwd") for impl in ("ref", "cpu")]
                ratio = (columns[0] + columns[2]) / (columns[1] + columns[3])
                kind = "nhwc" if layout is torch.channels_last else "nchw"
                numbers = "".join(f"{value:9.2f}" for value in columns)
                click.echo(f"{name:18}{str(dtype)[6:]:10}{kind:7}{numbers}{ratio:7.1f}x")


if __name__ == "__main__":
    main()
