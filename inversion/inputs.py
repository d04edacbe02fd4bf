"""What a user may give, as evidence about the generator's samples and as a demand on pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from inversion.config import InversionConfig
from inversion.evidence import Evidence, IndependentNoise, Residual, one_sided_residual
from inversion.lines import DRAWN_AT, LineArt
from inversion.measurement import fit_measurement, reduced, squared
from inversion.operators import (
    LUMA,
    ColourSmall,
    Frame,
    GreySmall,
    MeasurementError,
    MeasurementNoise,
)
from inversion.project import Projection, approached, project, unprojected
from inversion.screentone import SHEETS, descreened, find_screen
from inversion.tones import Tones

SOLVED_AT = 32  # side at which a picture of full size is solved for: G does not draw its every line
LARGEST_FULL = 1024  # side of the largest picture that keeps its own size
LINES_STD = 0.5  # of lines that G draws about those of the input, on the scale of [-1, 1]


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


def _input(solved: Tensor, of_solved: Frame, y: Tensor, frame: Frame, canvas: Canvas) -> Input:
    kind = GreySmall if y.shape[1] == 1 else ColourSmall
    config, R, P = canvas.config, canvas.img_resolution, canvas.side
    of_samples = kind(R, _size(solved), P, of_solved)
    noise = MeasurementNoise(of_samples, config.tau, config.sigma)
    evidence = Evidence("input", of_samples, solved, noise, one_sided_residual(solved))
    look = squared(_luma(solved), of_solved)
    A = kind(P, _size(y), None, frame)
    return Input(evidence, P, A, y, frame, look, one_sided_residual(y))


def _size(y: Tensor) -> tuple[int, int]:
    return y.shape[2], y.shape[3]


def _luma(y: Tensor) -> Tensor:
    if y.shape[1] == 1:
        return y
    return torch.einsum("c,nchw->nhw", y.new_tensor(LUMA), y)[:, None]


Read = tuple[Input, list[str]]  # an input, and notes of what was done to it


def as_small(y: Tensor, size: int | None, canvas: Canvas) -> Read:
    """Take a picture for a small one, in grey or colour.

    Args:
        y: `[1, 1 or 3, h, w]` in [-1, 1].
        size: side to reduce to first, or None.
        canvas: what it is about.

    Raises:
        MeasurementError: `size` is larger than the picture.
    """
    y, frame, notes = fit_measurement(y, canvas.side, size)
    return small_input(y, frame, canvas), notes


def as_full(y: Tensor, size: int | None, canvas: Canvas) -> Read:
    """Take a grey picture for one of full size: the answers have its size, and its luma.

    Solved for at `SOLVED_AT` pixels. Arguments as for `as_small`.

    Raises:
        MeasurementError: the picture is smaller than the generator's, or than `size`.
    """
    side = min(size or max(y.shape[2:]), LARGEST_FULL)
    if side < canvas.img_resolution:
        raise MeasurementError(
            f"--input full: the picture has {side} pixels a side, the generator makes"
            f" {canvas.img_resolution}. Use --input grey."
        )
    y, frame, notes = fit_measurement(y, side, size)
    small = reduced(y, min(SOLVED_AT, frame.side))
    of_small, canvas = Frame.around(*small.shape[2:]), replace(canvas, side=side)
    return _input(small, of_small, y, frame, canvas), notes


def as_line_art(y: Tensor, size: int | None, canvas: Canvas) -> Read:
    """Take a picture for black lines on white paper, without tones. Arguments as for `as_small`.

    The lines are those of a soft operator that is not linear: nothing is projected, and how well
    a candidate agrees is what its residual says.

    Raises:
        MeasurementError: `size` is larger than the picture.
    """
    y, frame, notes = fit_measurement(y, DRAWN_AT, size)
    R, P = canvas.img_resolution, canvas.side
    noise = IndependentNoise(torch.full_like(y, LINES_STD))
    evidence = Evidence("input", LineArt(R, _size(y), P, frame), y, noise)
    A, look = LineArt(P, _size(y), None, frame), squared(y, frame)
    return Input(evidence, P, A, y, frame, look, torch.sub, unprojected), notes


def as_screentone(y: Tensor, size: int | None, canvas: Canvas) -> Read:
    """Take a picture for a scan whose greys are dots: a grey one, of the size that shows none.

    Sheets of screentone say roughly how dark a thing is, hence the noise. Arguments as for
    `as_small`.

    Raises:
        MeasurementError: `size` is larger than the picture.
    """
    screen = find_screen(y)
    if screen is None:
        given, notes = as_small(y, size, canvas)
        return given, ["no screen of dots was found: it was taken for a grey picture", *notes]
    y = descreened(y, screen, canvas.side)
    canvas = replace(canvas, config=replace(canvas.config, sigma=SHEETS))
    given, notes = as_small(y, size, canvas)
    what = (
        f"dots {screen.period:.2f} pixels apart were smoothed away: {y.shape[3]}x{y.shape[2]} left"
    )
    return given, [what, *notes]


def as_toned(y: Tensor, size: int | None, canvas: Canvas, tones: Tones) -> Read:
    """Take a picture for a small grey one that was blurred and toned. Arguments as for `as_small`.

    Undoing a blur magnifies noise: finished pictures come as near as the noise lets.

    Raises:
        MeasurementError: `size` is larger than the picture.
    """
    y, frame, notes = fit_measurement(y, canvas.side, size)
    look, y = squared(y, frame), tones.undone(y)
    config, R, P = canvas.config, canvas.img_resolution, canvas.side
    of_samples = GreySmall(R, _size(y), P, frame, tones.blur)
    noise, residual = MeasurementNoise(of_samples, config.tau, config.sigma), one_sided_residual(y)
    evidence = Evidence("input", of_samples, y, noise, residual)
    A = GreySmall(P, _size(y), None, frame, tones.blur)
    finish = partial(approached, noise_ratio=config.sigma / config.tau)
    notes.append(
        f"taken for blurred by {tones.blur:.2f} of its pixels, of gamma {tones.gamma:.2f}, on paper"
        f" of {tones.paper:.0%} white"
    )
    return Input(evidence, P, A, y, frame, look, residual, finish), notes


AS: dict[str, Callable[[Tensor, int | None, Canvas], Read]] = {
    "grey": as_small,
    "colour": as_small,
    "full": as_full,
    "lineart": as_line_art,
    "screentone": as_screentone,
}
