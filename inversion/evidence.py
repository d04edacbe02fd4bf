"""Evidence about a picture: y = A x + eps, eps ~ N(0, Sigma), and what of A x - y counts as error.

A is any differentiable map of the generator's own samples `[N, 3, R, R]` in [-1, 1]. Pieces of
evidence are independent of each other given the picture: misfits and log-likelihoods add up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Generator, Tensor

Operator = Callable[[Tensor], Tensor]  # pictures [N, 3, R, R] in [-1, 1] -> y_hat [N, ...]
Residual = Callable[[Tensor, Tensor], Tensor]  # (y_hat, target) [N, ...] -> what counts as error


class Noise(Protocol):
    """N(0, Sigma), the noise of one measurement."""

    def sample(self, shape: tuple[int, ...], generator: Generator) -> Tensor:
        """Draw `shape` = (N, ...) from N(0, Sigma), on the generator's device."""

    def whiten(self, r: Tensor) -> Tensor:
        """Return Sigma^-1/2 r up to a rotation, r `[N, ...]`."""

    def log_det(self) -> float:
        """Return log det Sigma; 0 where it is not known, for likelihoods up to a constant."""


@dataclass(frozen=True)
class IndependentNoise:
    """Noise that is independent from number to number: Sigma = diag(std^2)."""

    std: Tensor  # [1, ...], shaped as y, all positive

    def sample(self, shape: tuple[int, ...], generator: Generator) -> Tensor:
        """Draw `shape` = (N, ...) from N(0, Sigma), on the generator's device."""
        n = torch.randn(shape, generator=generator, device=generator.device)
        return self.std.to(n) * n

    def whiten(self, r: Tensor) -> Tensor:
        """Return r / std."""
        return r / self.std.to(r)

    def log_det(self) -> float:
        """Return log det Sigma."""
        return float(2 * self.std.double().log().sum())


@dataclass(frozen=True)
class Evidence:
    """One measurement of the picture, what it gave and how well it is known."""

    name: str  # of its randomness and of its residual in the report
    A: Operator
    y: Tensor  # [1, ...]
    noise: Noise
    residual: Residual = torch.sub

    def perturbed(self, generators: Iterable[Generator]) -> Tensor:
        """Return targets y + eps `[N, ...]`, one eps drawn with each generator."""
        shape = tuple(self.y.shape)
        eps = [self.noise.sample(shape, generator) for generator in generators]
        return self.y + torch.cat(eps).to(self.y)

    def whitened(self, img: Tensor) -> Tensor:
        """Return Sigma^-1/2 A x `[N, m]` up to a rotation."""
        return self.noise.whiten(self.A(img)).flatten(1)

    def misfit(self, img: Tensor, target: Tensor) -> Tensor:
        """Return Sigma^-1/2 (A x - target) `[N, m]`, as far as it counts, up to a rotation."""
        return self.noise.whiten(self.residual(self.A(img), target)).flatten(1)

    def log_lik(self, img: Tensor) -> Tensor:
        """Return log p(y | x) `[N]`."""
        misfit = self.misfit(img, self.y).square().sum(1)
        return -(misfit + self.noise.log_det() + self.y.numel() * math.log(2 * math.pi)) / 2

    def residual_rms_255(self, img: Tensor) -> Tensor:
        """Return the rms of what counts as error, in levels of 0..255, `[N]`."""
        return rms_255(self.residual(self.A(img), self.y))


def one_sided_residual(y: Tensor) -> Residual:
    """Return a residual `y_hat - target` that forgives overshoot where y is saturated.

    A file holds 0 or 255 wherever the measurement is at or beyond the end of the scale, so there
    only the other direction is an error.
    """
    at_white, at_black = y >= 1, y <= -1

    def residual(y_hat: Tensor, target: Tensor) -> Tensor:
        r = y_hat - target
        r = r.where(~at_white, r.clamp(max=0))
        return r.where(~at_black, r.clamp(min=0))

    return residual


def rms_255(r: Tensor) -> Tensor:
    """Return the rms of differences `[N, ...]` on the scale of [-1, 1], in levels, `[N]`."""
    return r.square().flatten(1).mean(1).sqrt() * 127.5
