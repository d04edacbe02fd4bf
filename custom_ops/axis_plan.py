"""Sizes of the two axes of `D(act(U(x)))`, which the compiled kernels of CPU and CUDA share."""

from collections.abc import Sequence
from typing import NamedTuple

FORWARD, FORWARD_SAVE, MASKED, LINEAR = range(4)  # `Mode` of the kernels


class AxisPlan(NamedTuple):
    """Sizes of one axis: `in -> mid` by `up`, then `mid -> out` by `down` (kernels: `Axis`)."""

    size_in: int
    mid: int
    out: int
    up: int
    down: int
    before_up: int
    before_down: int
    taps_up: int
    taps_down: int

    def transpose(self) -> "AxisPlan":
        """The plan of the adjoint map."""
        return AxisPlan(
            self.out,
            self.mid,
            self.size_in,
            self.down,
            self.up,
            self.taps_down - 1 - self.before_down,
            self.taps_up - 1 - self.before_up,
            self.taps_down,
            self.taps_up,
        )


Plans = tuple[AxisPlan, AxisPlan]
"""Of the height and of the width."""


def plan_axis(
    size: int, up: int, down: int, pad: Sequence[int], taps_up: int, taps_down: int
) -> AxisPlan:
    """Plan one axis with `pad = [before, after]`; without output, `out` is below 1."""
    mid = size * up + pad[0] + pad[1] - taps_up + 1
    out = (mid - taps_down) // down + 1
    mid = (out - 1) * down + taps_down  # samples beyond these reach no output
    return AxisPlan(size, mid, out, up, down, pad[0], 0, taps_up, taps_down)


def transpose(plans: Plans) -> Plans:
    """The plans of the adjoint map."""
    return plans[0].transpose(), plans[1].transpose()
