"""Rows of numbers that select chosen transforms, and pictures for them to change."""

import math

import torch
from scipy.stats import norm

from stylegan.augment import NUMBERS_PER_SAMPLE

GATES = {  # column of each transform's gate; its values follow
    "mirror": 0,
    "quarter": 2,
    "shift": 4,
    "scale": 7,
    "turn_before": 9,
    "stretch": 11,
    "turn_after": 13,
    "slide": 15,
    "brightness": 18,
    "contrast": 20,
    "luma": 22,
    "hue": 24,
    "saturation": 26,
}
INVERSES = {  # from what a transform shall do to the uniform numbers that make it do so
    "mirror": lambda flipped: [0.75 if flipped else 0.25],
    "quarter": lambda turns: [(turns + 0.5) / 4],
    "shift": lambda x, y: [(t / 0.125 + 1) / 2 for t in (x, y)],
    "slide": lambda x, y: [norm.cdf(t / 0.125) for t in (x, y)],
    "scale": lambda s: [norm.cdf(math.log2(s) / 0.2)],
    "stretch": lambda s: [norm.cdf(math.log2(s) / 0.2)],
    "turn_before": lambda angle: [(angle / math.pi + 1) / 2],
    "turn_after": lambda angle: [(angle / math.pi + 1) / 2],
    "brightness": lambda b: [norm.cdf(b / 0.2)],
    "contrast": lambda c: [norm.cdf(math.log2(c) / 0.5)],
    "luma": lambda flipped: [0.75 if flipped else 0.25],
    "hue": lambda angle: [(angle / math.pi + 1) / 2],
    "saturation": lambda s: [norm.cdf(math.log2(s))],
}
P = 0.5


def selecting(**wishes):
    """Return a row `[1, 28]` that at p = P selects these transforms, with these values, alone."""
    row = torch.full((NUMBERS_PER_SAMPLE,), 0.999, dtype=torch.double)
    for name, wish in wishes.items():
        values = INVERSES[name](*(wish if isinstance(wish, tuple) else (wish,)))
        start = GATES[name]
        row[start : start + 1 + len(values)] = torch.tensor([0, *values], dtype=torch.double)
    return row[None]


def noise(count=2, size=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, size, size, generator=generator) * 2 - 1


def waves(size=64, periods=(2.3, 1.7, 3.1)):
    """Pictures `[1, 3, size, size]`, double, of slow waves with no symmetry."""
    t = torch.arange(size, dtype=torch.double) / size
    planes = [torch.sin(math.tau * k * t + k) for k in periods]
    across = [torch.cos(math.tau * k * t + 2 * k) for k in periods[::-1]]
    pairs = zip(planes, across, strict=True)
    return torch.stack([a[:, None] * b + b for a, b in pairs])[None]
