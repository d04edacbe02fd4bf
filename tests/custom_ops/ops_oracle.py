"""The operations by their definition, in numpy and scipy, and random configurations for them."""

import random
from typing import Any

import numpy as np
import torch
from scipy.signal import convolve2d
from torch import Tensor


def upfirdn2d_oracle(
    x: np.ndarray,
    f: np.ndarray,
    up: tuple[int, int],
    down: tuple[int, int],
    padding: list[int],
    flip_filter: bool,
    gain: float,
) -> np.ndarray:
    """Insert zeros, pad or crop, convolve, decimate; picture by picture. Pairs: x, y."""
    kernel = np.outer(f, f) if f.ndim == 1 else f
    kernel = kernel[::-1, ::-1] if flip_filter else kernel
    x0, x1, y0, y1 = padding
    pictures = []
    for picture in x.reshape(-1, *x.shape[2:]):
        height, width = picture.shape
        zeros = np.zeros((height * up[1], width * up[0]))
        zeros[:: up[1], :: up[0]] = picture
        zeros = np.pad(zeros, [(max(y0, 0), max(y1, 0)), (max(x0, 0), max(x1, 0))])
        rows, columns = zeros.shape
        zeros = zeros[max(-y0, 0) : rows - max(-y1, 0), max(-x0, 0) : columns - max(-x1, 0)]
        pictures.append(gain * convolve2d(zeros, kernel, mode="valid")[:: down[1], :: down[0]])
    return np.stack(pictures).reshape(*x.shape[:2], *pictures[0].shape)


def filtered_lrelu_oracle(x: np.ndarray, b: np.ndarray, fu: Any, fd: Any, **kwargs: Any) -> Any:
    """The definition in four lines; `None` for a filter is one tap of 1."""
    fu, fd = (np.ones(1) if f is None else f for f in (fu, fd))
    up, down, flip = kwargs["up"], kwargs["down"], kwargs["flip_filter"]
    x = x + b[None, :, None, None]
    x = upfirdn2d_oracle(x, fu, (up, up), (1, 1), kwargs["padding"], flip, up**2)
    x = np.where(x > 0, x, kwargs["slope"] * x) * kwargs["gain"]
    if kwargs["clamp"] is not None:
        x = np.clip(x, -kwargs["clamp"], kwargs["clamp"])
    return upfirdn2d_oracle(x, fd, (1, 1), (down, down), [0, 0, 0, 0], flip, 1)


def random_filter(rng: random.Random, taps: int) -> Tensor:
    """An asymmetric filter of `taps` positive and negative values whose absolute sum is 1."""
    f = torch.tensor([rng.uniform(-0.3, 1) for _ in range(taps)], dtype=torch.float32)
    return f / f.abs().sum()


def random_case(seed: int, channels: tuple[int, ...] = (1, 3, 15, 16, 17, 33)) -> dict[str, Any]:
    """Arguments of filtered_lrelu (float64 signals) that leave an output; the same for a seed."""
    rng = random.Random(seed)
    while True:
        up, down = rng.choice([1, 2, 4, 2, 4, 3]), rng.choice([1, 2, 4, 2, 4, 3])
        taps_up = rng.choice([1, 5, 6 * up, 6 * up, 7])
        taps_down = rng.choice([1, 3, 6 * down, 6 * down])
        shape = rng.choice([1, 3]), rng.choice(channels), rng.randint(3, 19), rng.randint(3, 19)
        padding = [rng.randint(-4, taps_up + 6) for _ in range(4)]
        sizes = [
            shape[3] * up + padding[0] + padding[1] - taps_up + 1,
            shape[2] * up + padding[2] + padding[3] - taps_up + 1,
        ]
        if min(sizes) >= taps_down:
            break
    generator = torch.Generator().manual_seed(seed)
    draw = {"generator": generator, "dtype": torch.float64}
    return {
        "x": torch.randn(shape, **draw),
        "b": torch.randn(shape[1], **draw),
        "fu": rng.choice([random_filter(rng, taps_up)] * 5 + [None])
        if up == 1
        else random_filter(rng, taps_up),
        "fd": random_filter(rng, taps_down),
        "up": up,
        "down": down,
        "padding": padding,
        "gain": rng.choice([2**0.5, 1.0, -1.3]),
        "slope": rng.choice([0.2, 0.0, 1.0, -0.3]),
        "clamp": rng.choice([None, 0.6, 256.0]),
        "flip_filter": rng.random() < 0.5,
    }


def random_matrix(rng: random.Random, height: int, width: int) -> Tensor:
    """An asymmetric filter of full rank whose absolute sum is 1."""
    f = torch.tensor([[rng.uniform(-0.3, 1) for _ in range(width)] for _ in range(height)])
    return f / f.abs().sum()


def random_resampling(seed: int, channels: tuple[int, ...] = (1, 16, 19, 33)) -> dict[str, Any]:
    """Arguments of upfirdn2d (float64 signals) that leave an output; the same for a seed."""
    rng = random.Random(seed)
    while True:
        up, down = ([rng.choice([1, 1, 2, 3, 4]) for _ in range(2)] for _ in range(2))
        taps = [rng.choice([1, 2, 4, 5, 8]) for _ in range(2)]
        taps = rng.choice([taps, [taps[0]] * 2])
        size = [rng.randint(2, 12) for _ in range(2)]
        padding = [rng.randint(-3, 7) for _ in range(4)]
        spans = [size[i] * up[i] + sum(padding[2 * i : 2 * i + 2]) - taps[i] for i in range(2)]
        if min(spans) >= 0:
            break
    one_axis = taps[0] == taps[1] and rng.random() < 0.5
    shape = rng.choice([1, 2]), rng.choice(channels), size[1], size[0]
    generator = torch.Generator().manual_seed(seed)
    return {
        "x": torch.randn(shape, dtype=torch.float64, generator=generator),
        "f": random_filter(rng, taps[0]) if one_axis else random_matrix(rng, taps[1], taps[0]),
        "up": up,
        "down": down,
        "padding": padding,
        "flip_filter": rng.random() < 0.5,
        "gain": rng.choice([1.0, 4.0, -0.7]),
    }


def with_matrices(case: dict[str, Any], seed: int) -> dict[str, Any]:
    """A filtered_lrelu case with a matrix for `fd`, and sometimes for `fu`, of the same size."""
    rng = random.Random(seed)
    for name in ("fd", "fu") if seed % 3 == 0 else ("fd",):
        taps = 1 if case[name] is None else case[name].numel()
        case = {**case, name: random_matrix(rng, taps, taps)}
    return case
