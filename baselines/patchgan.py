"""The discriminator of pix2pix (Isola et al. 2017, section 3.2.2): is each patch real or made?"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor, nn

from baselines.unet import halving

PATCH_70 = (2, 2, 2, 1, 1)  # strides of the one that sees patches of 70x70 pixels
WHOLE = (2, 2, 2, 2, 2, 2)  # of one that sees all of a picture of 64x64


def field_of_view(strides: Sequence[int]) -> int:
    """Return the side of the patch that one answer depends on: each layer looks at 4x4."""
    steps = accumulate(strides[:-1], lambda step, stride: step * stride, initial=1)
    return 1 + sum(3 * step for step in steps)


class PatchGAN(nn.Module):
    """Judge pictures beside what they were made from: logits `[N, 1, h, w]`, above 0 for real.

    Args:
        in_channels: of the input and the picture together.
        strides: of the convolutions, 4x4 all; the last one gives the logits.
        width: channels of the first layer; they double with each, up to 8 times as many.
        dropout: share of the features that each inner layer drops in training.
    """

    def __init__(
        self, in_channels: int, strides: Sequence[int], width: int = 64, dropout: float = 0.0
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        n_in = in_channels
        for k, stride in enumerate(strides[:-1]):
            n_out = width * min(2**k, 8)
            layers.append(halving(n_in, n_out, is_normal=k > 0, stride=stride))
            layers += [nn.Dropout2d(dropout)] if dropout else []
            n_in = n_out
        self.layers = nn.Sequential(*layers, nn.Conv2d(n_in, 1, 4, strides[-1], 1))

    def forward(self, seen: Tensor, picture: Tensor) -> Tensor:
        return self.layers(torch.cat([seen, picture], dim=1))
