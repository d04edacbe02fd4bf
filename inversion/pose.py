"""How a face lies in the picture: turned and shifted, solved for together with a latent.

A generator of StyleGAN3 takes the pose as the transform of its input (Karras et al. 2021, section
3.1), so that a turned face is not another face: candidates are synthesised as the input lies.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from inversion.joint import JointSearch

SCALE = (8.0, 0.05, 0.05)  # prior standard deviations: degrees, widths of the picture
DEGREES, SHIFTS = (-14.0, -7.0, 0.0, 7.0, 14.0), (-0.08, 0.0, 0.08)  # tried first

Guess = Callable[[Tensor], Tensor]  # y [N, 1, s, s] -> v [N, dim]


@dataclass(frozen=True)
class Pose:
    """What is done to an upright face: turned about the middle, then shifted."""

    degrees: float = 0.0  # anticlockwise
    right: float = 0.0  # in widths of the picture
    down: float = 0.0

    def transform(self) -> Tensor:
        """Return `[1, 3, 3]`, float32, as `G.synthesis` takes it."""
        return inverse_of(torch.tensor([[self.degrees, self.right, self.down]]))


def inverse_of(poses: Tensor) -> Tensor:
    """Return the inverse transforms `[N, 3, 3]` of poses (degrees, right, down) `[N, 3]`.

    In units of the picture's width from its middle, x to the right and y down: a point of the
    turned picture to the point of the upright one that is seen there.
    """
    angle = poses[:, 0] * (math.pi / 180)
    cos, sin = angle.cos(), angle.sin()
    right, down = poses[:, 1], poses[:, 2]
    rows = [cos, -sin, sin * down - cos * right, sin, cos, -sin * right - cos * down]
    zero = torch.zeros_like(cos)
    rows += [zero, zero, torch.ones_like(cos)]
    return torch.stack(rows, dim=1).unflatten(1, (3, 3))


def upright(y: Tensor, poses: Tensor) -> Tensor:
    """Undo poses `[N, 3]` of a picture `y [1, C, h, h]`: `[N, C, h, h]`, bicubic.

    What comes in from outside repeats the border.
    """
    forward = torch.linalg.inv(inverse_of(poses))[:, :2]
    halves = torch.cat([forward[..., :2], 2 * forward[..., 2:]], dim=2)  # grids reach from -1 to 1
    grid = F.affine_grid(halves.to(y), [len(poses), *y.shape[1:]], align_corners=False)
    y = y.expand(len(poses), -1, -1, -1)
    return F.grid_sample(y, grid, "bicubic", padding_mode="border", align_corners=False)


@dataclass(frozen=True)
class PoseSearch(JointSearch):
    """Solve for the pose, in units of `SCALE`, and a latent at once."""

    guess: Guess | None = None  # of upright pictures like `input.look`; the prior's mean without

    def pose(self) -> Pose:
        """Return the pose of the largest posterior density that was found."""
        return Pose(*(self.numbers().cpu() * torch.tensor(SCALE)).tolist())

    def grid(self) -> Tensor:
        """Return the poses to try first."""
        poses = torch.tensor(list(itertools.product(DEGREES, SHIFTS, SHIFTS)))
        return poses / torch.tensor(SCALE)

    def guesses(self, numbers: Tensor) -> Tensor:
        """Return what is guessed from the input turned upright."""
        if self.guess is None:
            return numbers.new_zeros(len(numbers), self.prior.dim)
        return self.guess(upright(self.input.look, self._poses(numbers)))

    def misfit(self, ws: Tensor, numbers: Tensor) -> Tensor:
        """Return the whitened misfit to all evidence of faces that lie so."""
        transform, precision = inverse_of(self._poses(numbers)), self.config.precision
        img = self.G.synthesis(ws, transform, precision)
        return torch.cat([e.misfit(img, e.y) for e in self.evidence], dim=1)

    def _poses(self, numbers: Tensor) -> Tensor:
        return numbers * numbers.new_tensor(SCALE)
