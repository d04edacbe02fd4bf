"""Small colourisers, and pictures of drawn faces."""

from dataclasses import replace
from functools import cache

import numpy as np
import torch

from baselines.colorizer import ColorizerNetwork
from baselines.presets import PRESETS
from data.faces import describe, draw
from data.image_io import from_uint8

SIDE = 32


@cache
def faces(num=4, side=SIDE):
    """Drawn faces [num, 3, side, side] in [-1, 1]."""
    return from_uint8(np.stack([np.asarray(draw(describe(3, k), side)) for k in range(num)]))


def small(name, **changes):
    """A preset for pictures of 32 pixels with few filters."""
    return replace(PRESETS[name], **{"side": SIDE, "width": 4, "batch": 4, **changes})


def network(name, seed=0, **changes):
    torch.manual_seed(seed)
    return ColorizerNetwork(small(name, **changes))
