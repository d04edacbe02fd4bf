"""Pictures to project, and a measurement that shares nothing with `inversion`."""

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

G = np.array([0.299, 0.587, 0.114])


def smooth(n: int, side: int, seed: int, spread: float = 0.5) -> Tensor:
    """Blurry coloured pictures [n, 3, side, side]; spread 1.5 clips a third of the values."""
    generator = torch.Generator().manual_seed(seed)
    coarse = spread * torch.randn(n, 3, 6, 6, generator=generator)
    return F.interpolate(coarse, size=(side, side), mode="bicubic").clamp(-1, 1)


def ink(side: int, seed: int) -> Tensor:
    """Black strokes and dots with soft edges on white paper [1, 3, side, side]."""
    rng = np.random.default_rng(seed)
    v, u = np.mgrid[0:side, 0:side] / side
    distance = np.full((side, side), np.inf)
    for _ in range(8):
        (a, b, c, d), width = rng.uniform(0, 1, 4), rng.uniform(0.01, 0.04)
        t = np.clip(((u - a) * (c - a) + (v - b) * (d - b)) / ((c - a) ** 2 + (d - b) ** 2), 0, 1)
        stroke = np.hypot(u - a - t * (c - a), v - b - t * (d - b)) - width
        distance = np.minimum(distance, stroke)
    grey = np.clip(distance * side + 0.5, 0, 1) * 2 - 1
    return torch.from_numpy(grey.astype(np.float32)).expand(1, 3, -1, -1)


def to_bytes(pixels: Tensor) -> np.ndarray:
    """Return [N, H, W, 3] uint8, checking that the values lie on the 8-bit grid."""
    levels = (pixels.double().numpy() + 1) * 127.5
    assert np.abs(levels - levels.round()).max() < 1e-4
    assert levels.round().min() >= 0 and levels.round().max() <= 255
    return levels.round().astype(np.uint8).transpose(0, 2, 3, 1)


def measure(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Make [H, W, 3] uint8 grey and small by numpy and Pillow, as an 8-bit file holds it."""
    luma = Image.fromarray((picture.astype(np.float64) @ G).astype(np.float32))
    small = np.asarray(luma.resize(size[::-1], Image.Resampling.BICUBIC))
    return np.clip(np.round(small), 0, 255).astype(int)


def input_of(picture: Tensor, size: tuple[int, int]) -> tuple[Tensor, np.ndarray]:
    """Return an 8-bit input made of a picture [1, 3, R, R], scaled [1, 1, h, w] and in levels."""
    levels = measure(to_bytes(((picture + 1) * 127.5).round() / 127.5 - 1)[0], size)
    return torch.from_numpy(levels / 127.5 - 1).float()[None, None], levels
