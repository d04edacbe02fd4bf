"""Scans of screentone: what period the dots have, and the size at which only tones are left.

A screen of dots is a lattice: its spectrum is a few sharp peaks far above what a drawing has around
them. Reduction by a bicubic kernel takes the peaks away once the kernel's response there is next
to nothing, and leaves the tones, which dots keep on average (Kopf and Lischinski 2012, section 3).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from inversion.measurement import fitting_side, reduced
from inversion.operators import bicubic_response

COARSEST = 1 / 16  # cycles per pixel: dots further apart than 16 pixels are drawings of dots
STANDS_OUT = 300.0  # power of a peak, relative to the median at frequencies like its own
FAINTEST = 0.01  # amplitude of a peak, on the scale of [-1, 1]
LEFT = 0.001  # share of the dots' contrast that may stay
SHEETS = 0.3  # standard deviation, on the scale of [-1, 1], of sheets' tones about the true luma


@dataclass(frozen=True)
class Screen:
    """The strongest wave of a screen, in cycles per pixel down and across."""

    down: float
    across: float

    @property
    def period(self) -> float:
        """Pixels between neighbouring rows of dots."""
        return (self.down**2 + self.across**2) ** -0.5

    def left(self, share: float) -> float:
        """Return the share of its contrast that is left when sides are reduced to `share`."""
        return bicubic_response(self.down / share) * bicubic_response(self.across / share)


def find_screen(y: Tensor) -> Screen | None:
    """Find the screen of `y [1, 1, h, w]`, or None where no square lattice of peaks stands out."""
    power, down, across = _spectrum(y[0, 0])
    radius = (down[:, None].square() + across.square()).sqrt()
    usual, rings = torch.empty_like(power), (radius * 64).long()
    for ring in rings.unique():
        usual[rings == ring] = power[rings == ring].median()
    is_peak = (power > STANDS_OUT * usual) & (power > FAINTEST**2) & (radius > COARSEST)
    if not is_peak.any():
        return None
    top, left = divmod(int(power.where(is_peak, 0.0).argmax()), len(across))
    screen = Screen(float(down[top]), float(across[left]))
    turned = power[_near(down, screen.across)][:, _near(across, -screen.down)]
    return screen if turned.max() > power[top, left] / 10 else None


def _spectrum(grey: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return squared amplitudes of waves in `grey [h, w]`, and their cycles per pixel."""
    down, across = (torch.hann_window(n, periodic=False, dtype=torch.float64) for n in grey.shape)
    window = down[:, None] * across / (down.sum() * across.sum())
    power = torch.fft.fft2((grey - grey.mean()).double() * window).abs().square()
    return power, *(torch.fft.fftfreq(n, dtype=torch.float64) for n in grey.shape)


def _near(frequencies: Tensor, wanted: float) -> Tensor:
    """Return the indices of the three nearest frequencies."""
    return (frequencies - wanted).abs().topk(3, largest=False).indices


def descreened(y: Tensor, screen: Screen, largest: int) -> Tensor:
    """Reduce `y [1, 1, h, w]` to the largest size, at most `largest`, that shows no dots."""
    side = max(y.shape[-2:])
    sides = range(min(side, largest), 8, -1)
    kept = next((n for n in sides if screen.left(n / side) <= LEFT), 8)
    return reduced(y, fitting_side(kept, largest))
