"""The operations by their definition, in numpy and scipy, and random configurations for them."""

import random
from typing import Any

import numpy as np
import torch
from scipy.signal import convolve2d
from torch import Tensor

Pair = tuple[int, int]


def upfirdn2d_oracle(
    x: np.ndarray,
    f: np.ndarray,
    up: Pair,
    down: Pair,
    padding: list[int],
    flip_filter: bool,
    gain: float,
) -> np.ndarray:
    """Insert zeros, pad or crop, convolve, decimate; picture by picture. Pairs: x, y."""
    kernel = kernel_of(f, flip_filter)
    x0, x1, y0, y1 = padding
    pictures = []
    for picture in x.reshape(-1, *x.shape[2:]):
        height, width = picture.shape
        zeros = np.zeros((height * up[1], width * up[0]))
        zeros[:: up[1], :: up[0]] = picture
        zeros = np.pad(zeros, [(max(y0, 0), max(y1, 0)), (max(x0, 0), max(x1, 0))])
        zeros = cut(zeros, (max(-y0, 0), max(-y1, 0)), (max(-x0, 0), max(-x1, 0)))
        pictures.append(gain * convolve2d(zeros, kernel, mode="valid")[:: down[1], :: down[0]])
    return np.stack(pictures).reshape(*x.shape[:2], *pictures[0].shape)


def kernel_of(f: np.ndarray, flip_filter: bool) -> np.ndarray:
    kernel = np.outer(f, f) if f.ndim == 1 else f
    return kernel[::-1, ::-1] if flip_filter else kernel


def cut(picture: np.ndarray, rows: Pair, columns: Pair) -> np.ndarray:
    height, width = picture.shape
    return picture[rows[0] : height - rows[1], columns[0] : width - columns[1]]


def filtered_lrelu_oracle(x: np.ndarray, b: np.ndarray, fu: Any, fd: Any, **kwargs: Any) -> Any:
    """The definition in four lines; `None` for a filter is one tap of 1, for a bias zeros."""
    v = upfirdn2d_oracle(biased(x, b), **filter_arguments(fu, kwargs))
    v = np.where(v > 0, v, kwargs["slope"] * v) * kwargs["gain"]
    if kwargs["clamp"] is not None:
        v = np.clip(v, -kwargs["clamp"], kwargs["clamp"])
    return upfirdn2d_oracle(v, **filter_arguments(fd, kwargs, down=True))


def biased(x: np.ndarray, b: np.ndarray | None) -> np.ndarray:
    return x if b is None else x + b[None, :, None, None]


def filter_arguments(
    f: np.ndarray | None, kwargs: dict[str, Any], down: bool = False
) -> dict[str, Any]:
    """Arguments of upfirdn2d for one of the two filters."""
    up = 1 if down else kwargs["up"]
    return {
        "f": np.ones(1) if f is None else f,
        "up": (up, up),
        "down": (kwargs["down"],) * 2 if down else (1, 1),
        "padding": [0] * 4 if down else kwargs["padding"],
        "flip_filter": kwargs["flip_filter"],
        "gain": up**2,
    }


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


def random_resampling(
    seed: int, channels: tuple[int, ...] = (1, 16, 19, 33), sizes: Pair = (2, 12)
) -> dict[str, Any]:
    """Arguments of upfirdn2d (float64 signals) that leave an output; the same for a seed."""
    rng = random.Random(seed)
    while True:
        up, down = ([rng.choice([1, 1, 2, 3, 4]) for _ in range(2)] for _ in range(2))
        taps = [rng.choice([1, 2, 4, 5, 8]) for _ in range(2)]
        taps = rng.choice([taps, [taps[0]] * 2])
        size = [rng.randint(*sizes) for _ in range(2)]
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


def random_activation(seed: int) -> dict[str, Any]:
    """Arguments of bias_act (float64 signals); the same for a seed."""
    rng = random.Random(seed)
    shape = [rng.choice([1, 2, 3, 4, 17]) for _ in range(rng.randint(1, 4))]
    dim = rng.randrange(-len(shape), len(shape))
    act = rng.choice(["linear", "relu", "lrelu", "lrelu", "tanh", "sigmoid", "softplus", "swish"])
    generator = torch.Generator().manual_seed(seed)
    return {
        "x": 2 * torch.randn(shape, dtype=torch.float64, generator=generator),
        "b": torch.randn(shape[dim], dtype=torch.float64, generator=generator),
        "dim": dim,
        "act": act,
        "alpha": rng.choice([None, 0.0, -0.5]) if act == "lrelu" else None,
        "gain": rng.choice([None, 0.5, -3.0]),
        "clamp": rng.choice([None, None, 0.4, 256.0]),
    }
