"""What a user may give, as evidence about the generator's samples and as a demand on pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from inversion.config import InversionConfig
from inversion.evidence import Evidence, Residual, one_sided_residual
from inversion.operators import GreySmall, MeasurementNoise
from inversion.project import Projection, project


@dataclass(frozen=True)
class Input:
    """The main evidence, and how finished pictures `[N, 3, P, P]` are made to agree with it."""

    evidence: Evidence  # about the generator's own R x R samples
    side: int  # P
    A: Any  # measures finished pictures
    y: Tensor  # [1, ...], what they should measure as
    residual: Residual
    finish: Callable[[Tensor, Tensor, Any], Projection] = project  # (pictures, y, A) -> pixels

    def error(self, pictures: Tensor) -> Tensor:
        """Return what counts as error of finished pictures, shaped as their measurements."""
        return self.residual(self.A(pictures), self.y)

    def projection(self, pictures: Tensor) -> Projection:
        """Return the pictures as they are written, and how they agree."""
        return self.finish(pictures, self.y, self.A)


def grey_input(y: Tensor, side: int, img_resolution: int, config: InversionConfig) -> Input:
    """Return the input of a small grey picture.

    Args:
        y: `[1, 1, h, w]` in [-1, 1].
        side: P, of the finished pictures.
        img_resolution: R, of the generator.
        config: its `tau` and `sigma` are the noise.

    Raises:
        MeasurementError: y is larger than the finished pictures.
    """
    size = (y.shape[2], y.shape[3])
    of_samples = GreySmall(img_resolution, size, sampled_at=side)
    noise = MeasurementNoise(of_samples, config.tau, config.sigma)
    residual = one_sided_residual(y)
    evidence = Evidence("input", of_samples, y, noise, residual)
    return Input(evidence, side, GreySmall(side, size), y, residual)
