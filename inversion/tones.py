"""How a grey picture was blurred and toned.

A print or scan is not the luma: it is blurred, its greys are bent (gamma), and its paper is not
white. In the order of `data.degrade`, with grey in [0, 1],

    y = paper (D B_sigma L x)^gamma

B_sigma being a Gaussian of sigma pixels of y. Undone point by point, what is left is linear.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Tones:
    """What was done to a grey picture; by default, nothing."""

    blur: float = 0.0  # standard deviation of a Gaussian, in pixels of y
    gamma: float = 1.0  # exponent of grey in [0, 1]
    paper: float = 1.0  # what white became, in [0, 1]

    def undone(self, y: Tensor) -> Tensor:
        """Return `y [1, 1, h, w]` in [-1, 1] with paper and gamma undone; the blur stays."""
        grey = ((y + 1) / 2 / self.paper).clamp(0, 1) ** (1 / self.gamma)
        return 2 * grey - 1
