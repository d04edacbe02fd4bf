"""What a user may give, as evidence about the generator's samples and as a demand on pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from inversion.config import InversionConfig
from inversion.evidence import Evidence, Residual, one_sided_residual
from inversion.measurement import reduced, squared
from inversion.operators import LUMA, ColourSmall, Frame, GreySmall, MeasurementNoise
from inversion.project import Projection, project

SOLVED_AT = 64  # side at which a picture of full size is solved for: no G draws its every line


@dataclass(frozen=True)
class Input:
    """The main evidence, and how finished pictures `[N, 3, P, P]` are made to agree with it."""

    evidence: Evidence  # about the generator's own R x R samples
    side: int  # P
    A: Any  # measures finished pictures
    y: Tensor  # [1, C, h, w], what they should measure as
    frame: Frame  # where y lies in them
    look: Tensor  # [1, 1, s, s], a small grey picture of the whole square, for the encoder
    residual: Residual
    finish: Callable[[Tensor, Tensor, Any], Projection] = project  # (pictures, y, A) -> pixels

    def error(self, pictures: Tensor) -> Tensor:
        """Return what counts as error of finished pictures, shaped as their measurements."""
        return self.residual(self.A(pictures), self.y)

    def projection(self, pictures: Tensor) -> Projection:
        """Return the pictures as they are written, and how they agree."""
        return self.finish(pictures, self.y, self.A)


@dataclass(frozen=True)
class Canvas:
    """The pictures that an input is about."""

    img_resolution: int  # R, of the generator's samples
    side: int  # P, of the finished pictures
    config: InversionConfig  # tau and sigma are the noise


def small_input(y: Tensor, frame: Frame, canvas: Canvas) -> Input:
    """Return the input of a small picture, grey `[1, 1, h, w]` or in colour `[1, 3, h, w]`.

    Raises:
        MeasurementError: y is larger than the finished pictures.
    """
    return _input(y, frame, y, frame, canvas)


def full_input(y: Tensor, frame: Frame, canvas: Canvas) -> Input:
    """Return the input of a grey picture `[1, 1, h, w]` of the finished pictures' own size.

    Solved for at `SOLVED_AT` pixels; finished, the luma is the picture's own.
    """
    small = reduced(y, min(SOLVED_AT, frame.side))
    return _input(small, Frame.around(*small.shape[-2:]), y, frame, canvas)


def _input(solved: Tensor, of_solved: Frame, y: Tensor, frame: Frame, canvas: Canvas) -> Input:
    kind = GreySmall if y.shape[1] == 1 else ColourSmall
    config, R, P = canvas.config, canvas.img_resolution, canvas.side
    of_samples = kind(R, _size(solved), P, of_solved)
    noise = MeasurementNoise(of_samples, config.tau, config.sigma)
    evidence = Evidence("input", of_samples, solved, noise, one_sided_residual(solved))
    look = squared(_luma(solved), of_solved)
    A = kind(P, _size(y), None, frame)
    return Input(evidence, P, A, y, frame, look, one_sided_residual(y))


def _luma(y: Tensor) -> Tensor:
    if y.shape[1] == 1:
        return y
    return torch.einsum("c,nchw->nhw", y.new_tensor(LUMA), y)[:, None]


def _size(y: Tensor) -> tuple[int, int]:
    return y.shape[2], y.shape[3]
