"""Pictures of numbered seeds, closed walks through them, and pictures by number to measure by."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.interpolate import CubicSpline
from torch import Tensor

from stylegan.batching import draw_labels, draw_latents
from stylegan.generator import Generator


class ClassLabelError(ValueError):
    """A class that the generator does not have, or none where it needs one."""

    code = "E-USAGE-CLASS"


def seed_latents(seeds: Sequence[int], z_dim: int) -> Tensor:
    """Return `z [N, z_dim]`, one latent for each seed in [0, 2^32).

    The numbers are those of StyleGAN's own tools, so that a seed is the same face in both.
    """
    rows = [np.random.RandomState(seed).randn(z_dim) for seed in seeds]
    return torch.from_numpy(np.stack(rows)).float()


def class_label(c_dim: int, index: int | None) -> Tensor | None:
    """Return the one-hot label `[1, c_dim]` of a class, None for a generator without classes.

    Raises:
        ClassLabelError: the generator has classes and none is named, or has not the one that is.
    """
    if index is None and not c_dim:
        return None
    if index is None or index >= c_dim:
        allowed = f"Give --class 0 to {c_dim - 1}." if c_dim else "Leave --class out."
        asked = "none was named" if index is None else f"{index} was asked for"
        raise ClassLabelError(f"--class: {asked}, this generator has {c_dim}. {allowed}")
    return torch.nn.functional.one_hot(torch.tensor([index]), c_dim).float()


def seed_ws(
    G: Generator, seeds: Sequence[int], truncation_psi: float = 1, c: Tensor | None = None
) -> Tensor:
    """Return `ws [N, num_ws, w_dim]` of seeds, each computed alone: it depends on no other.

    Args:
        G: the generator.
        seeds: N numbers in [0, 2^32).
        truncation_psi: 1 for all of G's variety, 0 for its mean face.
        c: label `[1, c_dim]`, of all of them.
    """
    z = seed_latents(seeds, G.config.z_dim).to(G.mapping.w_avg.device)
    c = c if c is None else c.to(z.device)
    return torch.cat([G.mapping(row, c, truncation_psi) for row in z.split(1)])


def closed_walk(ws: Tensor, steps: int) -> Tensor:
    """Return a smooth loop through latents `[N, num_ws, w_dim]`, `[N steps, num_ws, w_dim]`.

    A periodic cubic spline: entry `k steps` is `ws[k]`, and after the last entry the first follows
    without a jump of position, velocity or acceleration.
    """
    closed = torch.cat([ws, ws[:1]]).double().cpu().numpy()
    spline = CubicSpline(np.arange(len(closed)), closed, bc_type="periodic")
    path = torch.from_numpy(spline(np.arange(len(ws) * steps) / steps))
    return path.to(ws)


def synthesize(G: Generator, ws: Tensor) -> Iterator[Tensor]:
    """Yield the pictures `[1, img_channels, R, R]` of `ws [N, num_ws, w_dim]` one after another.

    One at a time, in float32: no picture depends on which others are made.
    """
    with torch.inference_mode():
        for row in ws.split(1):
            yield G.synthesis(row)


@dataclass(frozen=True)
class Sampler:
    """A generator's pictures by number: number k depends on (seed, k), and on the CPU on no more.

    A grey generator's are given in three equal channels.
    """

    G: Generator
    seed: int = 0
    truncation_psi: float = 1
    labels: Tensor | None = None  # [n, c_dim], of which a generator with classes draws its own

    def ws(self, numbers: Sequence[int]) -> Tensor:
        """Return latents `[N, num_ws, w_dim]`."""
        device = self.G.mapping.w_avg.device
        z = draw_latents(self.seed, "sample", numbers, self.G.config.z_dim).to(device)
        c = draw_labels(self.seed, "sample", numbers, self.labels)
        mapped = [
            self.G.mapping(row, None if c is None else c[k : k + 1].to(device), self.truncation_psi)
            for k, row in enumerate(z.split(1))
        ]
        return torch.cat(mapped)

    @torch.no_grad()
    def __call__(self, numbers: Sequence[int]) -> Tensor:
        """Return pictures `[N, 3, R, R]`, nominally in [-1, 1]."""
        ws = self.ws(numbers)
        parts = ws.split(1) if ws.device.type == "cpu" else (ws,)
        return torch.cat([self.G.synthesis(part) for part in parts]).expand(-1, 3, -1, -1)

    @torch.no_grad()
    def posed(self, numbers: Sequence[int], transforms: Tensor) -> Tensor:
        """Return pictures in poses, given by their inverses `[N, 3, 3]`, in their own channels."""
        ws = self.ws(numbers)
        return self.G.synthesis(ws, transforms.to(ws))
