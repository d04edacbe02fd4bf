"""The smallest readers, and what they are given."""

import numpy as np
import torch

from attributes.network import Network, ReaderConfig
from attributes.reader import Reader
from attributes.schema import CHOICES, NUMBERS, Truth

TINY = ReaderConfig(width=2, num_features=8, side=32)


def tiny_network(seed=0, config=TINY):
    torch.manual_seed(seed)
    return Network(config)


def tiny_reader(seed=0, config=TINY):
    """Return a reader that has seen a few pictures, so that its normalisations do something."""
    network = tiny_network(seed, config)
    network.train()(noise(16, 32))
    return Reader(network)


def noise(num, side, channels=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(num, channels, side, side, generator=generator) * 2 - 1


def random_truth(num, seed=0):
    rng = np.random.default_rng(seed)
    choices = [rng.integers(0, len(names), num) for names in CHOICES.values()]
    numbers = [middle + unit * rng.normal(size=num) for middle, unit in NUMBERS.values()]
    return Truth(np.stack(choices, 1), np.stack(numbers, 1).astype(np.float32))
