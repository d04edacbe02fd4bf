"""The posterior q(v | y) as a flow: noise is carried to latents by a learned velocity.

Flow matching (Lipman et al. 2023) along the trigonometric path of Albergo and Vanden-Eijnden
(2023), from x_0 ~ N(0, I) to v:

    x_a = cos(a) x_0 + sin(a) v,    dx/da = cos(a) v - sin(a) x_0,    0 <= a <= pi/2

Where y says nothing about v ~ N(0, I), the mean velocity is 0 all along: the network starts there,
so that an untrained flow samples the prior.
"""

import math

import torch
from torch import Tensor, nn

WIDTH, DEPTH, FREQUENCIES = 384, 4, 8
NUM_STEPS = 8  # of the midpoint rule, two evaluations each


class _Block(nn.Module):
    """A residual layer whose scale, shift and gate follow the condition (Peebles and Xie 2023)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.modulation = nn.Linear(width, 3 * width)
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.layers = nn.Sequential(
            nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width, bias=False)
        )
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        scale, shift, gate = self.modulation(condition).chunk(3, dim=-1)
        return x + gate * self.layers(self.norm(x) * (1 + scale) + shift)


class Flow(nn.Module):
    """The velocity, how it is learned and what is sampled with it.

    Args:
        dim: length of v.
        condition: length of what it is conditioned on.
        width: of the hidden layers; 4.2 M parameters with the default and 512-vectors.
    """

    def __init__(self, dim: int, condition: int, width: int = WIDTH) -> None:
        super().__init__()
        self.dim = dim
        self.enter = nn.Linear(dim, width)
        self.condition = nn.Linear(condition, width)
        self.time = nn.Linear(2 * FREQUENCIES, width)
        self.blocks = nn.ModuleList(_Block(width) for _ in range(DEPTH))
        self.leave = nn.Linear(width, dim)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, x: Tensor, angle: Tensor, condition: Tensor) -> Tensor:
        """Return the velocity at `x [N, dim]`, `angle [N, 1]`, given `condition [N, C]`."""
        waves = angle * torch.arange(1, FREQUENCIES + 1, device=angle.device)
        time = self.time(torch.cat([waves.cos(), waves.sin()], dim=1))
        told = nn.functional.silu(self.condition(condition) + time)
        hidden = self.enter(x)
        for block in self.blocks:
            hidden = block(hidden, told)
        return self.leave(hidden)

    def losses(self, v: Tensor, condition: Tensor, noise: Tensor, angle: Tensor) -> Tensor:
        """Return the squared error of the velocity for each sample, per element `[N]`.

        About 1 for the untrained flow, and for one that nothing can be known of.

        Args:
            v: latents `[N, dim]`.
            condition: `[N, C]`.
            noise: x_0, standard normal, `[N, dim]`.
            angle: uniform in [0, pi/2], `[N, 1]`.
        """
        cos, sin = angle.cos(), angle.sin()
        found = self(cos * noise + sin * v, angle, condition)
        return (found - (cos * v - sin * noise)).square().mean(1)

    def sample(self, condition: Tensor, noise: Tensor, num_steps: int = NUM_STEPS) -> Tensor:
        """Carry standard normal `noise [N, dim]` to samples of q(v | y) `[N, dim]`.

        A pure function of its arguments, sample by sample; the midpoint rule, of 2 `num_steps`
        evaluations.

        Args:
            condition: `[N, C]`, or `[1, C]` for samples of one posterior.
            noise: where the samples begin.
            num_steps: of the rule.
        """
        x, condition = noise, condition.expand(len(noise), -1)
        step = math.pi / 2 / num_steps
        for k in range(num_steps):
            angle = x.new_full((len(x), 1), k * step)
            halfway = x + step / 2 * self(x, angle, condition)
            x = x + step * self(halfway, angle + step / 2, condition)
        return x
