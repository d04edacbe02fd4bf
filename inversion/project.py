"""The projector: change a picture as little as can be so that, as an 8-bit file, it measures as y.

In 8-bit levels, for one picture x_0 in the box [0, 255] and the 8-bit measurement y, solve

    min_x  1/2 sum_c g_c |x_c - x_0c|^2   subject to   l <= A x <= u,  0 <= x <= 255

where A = D . luma, g is luma's row (for colours A = D and g = 1) and l, u = y -/+ SLACK, with no
upper bound where y = 255 and no lower bound where y = 0: a file clips its overshoot, so a
saturated pixel is a one-sided constraint.
The norm is weighted by g so that the answer has the form (Boyd & Vandenberghe, ch. 5)

    x = clip(x_0 + D_v^T lam D_h, 0, 255),     lam [h, w] the multipliers,

one grey shift for all three colours: chroma changes only where a colour meets the end of its
range, and the luma lost there goes to whatever still has room. Without the box this is
x + A'(y - A x). lam maximises the concave, piecewise quadratic dual by semismooth Newton steps
with a line search. After every step the picture is rounded, measured as a file would be and the
best is kept; identical pixels everywhere end the search, as does a lack of progress (an input
that no picture reproduces).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from inversion.operators import LUMA, ColourSmall, GreySmall, MeasurementError

Linear = GreySmall | ColourSmall

TOLERANCE = 1.0  # levels by which a candidate may miss a pixel and still agree with the input
SLACK = 0.2  # levels; below the 0.5 at which a pixel rounds to another level
PATIENCE = 20  # rounds without 1 % of progress before an input counts as infeasible
DAMPING = 0.005  # least share of a clipped colour's slope kept in the Newton matrix
RIDGE = 1e-6  # of the mean diagonal of D D^T, keeps the Newton matrix positive definite
CG_STEPS = 30
CHROMA_COST = 0.03  # of a squared luma error: what a squared colour error costs in rounding


@dataclass(frozen=True)
class Projection:
    """Projected pictures and how they agree with the input; one entry per sample.

    Residuals compare 8-bit levels with 8-bit levels: y rounded, against the finished picture
    measured, clipped and rounded as a file is.
    """

    pixels: Tensor  # [N, 3, R, R], in [-1, 1], exactly on the 8-bit grid (k / 127.5 - 1)
    residual_max_255: Tensor  # [N] largest difference
    residual_rms_255: Tensor  # [N]
    share_identical: Tensor  # [N] share of the pixels of y reproduced exactly, 0..1
    correction_rms_255: Tensor  # [N] rms of pixels - clip(x), over all pixels and colours
    rounds: Tensor  # [N] Newton steps taken
    feasible: Tensor  # [N] bool: residual_max_255 <= TOLERANCE


def project(x: Tensor, y: Tensor, A: Linear, *, max_rounds: int = 200) -> Projection:
    """Move pictures x [N, 3, R, R] onto those that measure as y [1 or N, channels, h, w].

    Both are in [-1, 1]; x is clipped first, y is rounded to 8 bits. Each sample is worked on
    alone, in float64, so that the others cannot change it. What cannot be reached is approached as
    closely as the search got (smallest rms) and marked `feasible = False`.

    Raises:
        MeasurementError: shapes do not fit A, or a value is not finite.
    """
    _check(x, y, A)
    starts = (x.double().clamp(-1, 1) + 1) * 127.5
    targets = ((y.double() + 1) * 127.5).round().clamp(0, 255).expand(len(x), -1, -1, -1)
    results = [
        _project_one(starts[k : k + 1], targets[k : k + 1], A, max_rounds) for k in range(len(x))
    ]
    pixels = torch.cat([result.levels for result in results])
    error = torch.cat([result.error for result in results]).flatten(1)
    worst = error.abs().amax(dim=1)
    return Projection(
        pixels=(pixels / 127.5 - 1).to(x.dtype),
        residual_max_255=worst,
        residual_rms_255=_rms(error),
        share_identical=(error == 0).double().mean(dim=1),
        correction_rms_255=_rms((pixels - starts).flatten(1)),
        rounds=torch.tensor([result.rounds for result in results]),
        feasible=worst <= TOLERANCE,
    )


def unprojected(x: Tensor, y: Tensor, A: Callable[[Tensor], Tensor]) -> Projection:
    """Round pictures x [N, 3, R, R] and measure them, where no projection is possible.

    Residuals are of levels that are neither clipped nor rounded; everything counts as feasible.
    """
    return _rounded(x.double().clamp(-1, 1), x, y, A)


def approached(x: Tensor, y: Tensor, A: Linear, noise_ratio: float) -> Projection:
    """Move pictures x [N, 3, R, R] towards those that measure as y, as far as its noise lets.

    The minimum of |x - x_0|_g^2 / tau^2 + |A x - y|^2 / sigma^2 (Wiener), without the box:
    x_0 + D_v^T lam D_h with (K_v kron K_h + (sigma / tau)^2) lam = y - A x_0.

    Args:
        x: pictures in [-1, 1].
        y: `[1 or N, channels, h, w]`.
        A: the measurement.
        noise_ratio: sigma / tau.
    """
    start = x.double().clamp(-1, 1)
    (a, u_v), (b, u_h) = (torch.linalg.eigh(k.to(start)) for k in A.gram_factors()[:2])
    r = u_v.mT @ (y.double() - A(start)) @ u_h
    lam = u_v @ (r / (a[:, None] * b + noise_ratio**2)) @ u_h.mT
    return _rounded((start + A.spread(lam)).clamp(-1, 1), x, y, A)


def _rounded(moved: Tensor, x: Tensor, y: Tensor, A: Callable[[Tensor], Tensor]) -> Projection:
    levels = ((moved + 1) * 127.5).round()
    pixels = (levels / 127.5 - 1).to(x.dtype)
    error = ((A(pixels) - y) * 127.5).double().flatten(1)
    correction = levels - (x.double().clamp(-1, 1) + 1) * 127.5
    return Projection(
        pixels,
        residual_max_255=error.abs().amax(dim=1),
        residual_rms_255=_rms(error),
        share_identical=(error.abs() < 0.5).double().mean(dim=1),
        correction_rms_255=_rms(correction.flatten(1)),
        rounds=torch.zeros(len(x), dtype=torch.int64),
        feasible=torch.ones(len(x), dtype=torch.bool),
    )


@dataclass(frozen=True)
class _Rounded:
    """A picture on the 8-bit grid [1, 3, R, R] and its measurement's error [1, 1, h, w]."""

    levels: Tensor
    error: Tensor
    rounds: int

    def cost(self) -> float:
        """Return the rms error, a thousandfold when a pixel misses the tolerance."""
        miss = bool(self.error.abs().max() > TOLERANCE)
        return float(self.error.square().mean().sqrt()) * (1000 if miss else 1)


def _project_one(start: Tensor, target: Tensor, A: Linear, max_rounds: int) -> _Rounded:
    """Take Newton steps on one sample, in levels, until its rounded picture measures as target."""
    dual = _Dual(start, target, A)
    point = dual.at(torch.zeros_like(target))
    best = _round(point, target, A, 0)
    damping, stale, rounds = DAMPING, 0, 0
    while best.error.any() and stale < PATIENCE and rounds < max_rounds:
        rounds += 1
        point, damping = dual.step(point, damping)
        found = _round(point, target, A, rounds)
        stale = 0 if found.cost() < 0.99 * best.cost() else stale + 1
        best = min(best, found, key=_Rounded.cost)
    return _Rounded(best.levels, best.error, rounds)


@dataclass(frozen=True)
class _Point:
    """The dual at one lam: the primal picture that belongs to it and the slope."""

    lam: Tensor  # [1, 1, h, w]
    picture: Tensor  # [1, 3, R, R] = clip(shifted)
    free: Tensor  # [1, 3, R, R] bool: not clipped
    slope: Tensor  # [1, 1, h, w], of the dual where lam may move, 0 where it may not
    value: Tensor  # [] the dual's value


class _Dual:
    """The dual of the projection of one sample.

    q(lam) = 1/2 |x - z|_g^2 - 1/2 |z|_g^2 + sum lam (l where lam > 0, u where lam < 0)
    with z = x_0 + D_v^T lam D_h and x = clip(z); its slope is (l or u) - A x, its curvature
    -A M D^T where M masks the colours that are not clipped.
    """

    def __init__(self, start: Tensor, target: Tensor, A: Linear) -> None:
        self.A = A
        self.start = start
        self.lower = (target - SLACK).masked_fill(target <= 0, -torch.inf)
        self.upper = (target + SLACK).masked_fill(target >= 255, torch.inf)
        self.g = start.new_tensor(A.weights)[:, None, None]
        k_v, k_h, _ = A.gram_factors()
        self.ridge = RIDGE * float(k_v.diag().mean() * k_h.diag().mean())

    def at(self, lam: Tensor) -> _Point:
        z = self.start + self.A.spread(lam)
        picture = z.clamp(0, 255)
        measured = self.A(picture)
        below, above = self.lower - measured, self.upper - measured
        slope = torch.where(
            lam > 0, below, torch.where(lam < 0, above, below.clamp(min=0) + above.clamp(max=0))
        )
        bound = torch.where(lam > 0, self.lower, self.upper).where(lam != 0, 0.0)
        value = (self.g * ((picture - z).square() - z.square())).sum() / 2 + (lam * bound).sum()
        value = value - self.ridge * lam.square().sum() / 2
        return _Point(lam, picture, (z >= 0) & (z <= 255), slope - self.ridge * lam, value)

    def step(self, point: _Point, damping: float) -> tuple[_Point, float]:
        """Take a Newton step uphill; return where it led and the damping for the next.

        Clipped colours count as free by the share `damping`: without it the step relies on the
        few free ones and overshoots. It grows threefold after a step that was too bold.
        """
        moving = (point.lam != 0) | (point.slope != 0)
        weight = point.free + damping * ~point.free

        def curvature(p: Tensor) -> Tensor:
            return moving * self.A(weight * self.A.spread(p)) + self.ridge * p

        direction = _conjugate_gradient(curvature, point.slope)
        found, length = self._search(point, direction)
        if length < 0.5 or found.slope.norm() > point.slope.norm():
            return found, min(1.0, 3 * damping)
        return found, max(DAMPING, damping / 2) if length == 1 else damping

    def _search(self, point: _Point, direction: Tensor) -> tuple[_Point, float]:
        """Go along the direction, half as far until the dual rises (Armijo); return the length."""
        sign = torch.where(point.lam != 0, point.lam, point.slope)
        length = 1.0
        while True:
            lam = point.lam + length * direction
            lam = lam.where(lam * sign > 0, 0.0)  # l and u meet at 0: stop there, do not cross
            found = self.at(lam)
            rise = 1e-4 * (point.slope * (lam - point.lam)).sum()
            if found.value >= point.value + rise or length < 1e-3:
                return found, length
            length /= 2


def _conjugate_gradient(apply: Callable[[Tensor], Tensor], b: Tensor) -> Tensor:
    """Solve apply(x) = b, apply positive definite, to a tenth of |b|: Newton needs no more."""
    x, r, p = torch.zeros_like(b), b, b
    rr = start = (r * r).sum()
    for _ in range(CG_STEPS):
        if rr <= 0.01 * start:
            break
        q = apply(p)
        a = rr / (p * q).sum()
        x, r = x + a * p, r - a * q
        rr, last = (r * r).sum(), rr
        p = r + rr / last * p
    return x


def _round(point: _Point, target: Tensor, A: Linear, rounds: int) -> _Rounded:
    levels = round_keeping_luma(point.picture) if A.channels == 1 else point.picture.round()
    return _Rounded(levels, A(levels).round().clamp(0, 255) - target, rounds)


def round_keeping_luma(levels: Tensor) -> Tensor:
    """Round levels [N, 3, H, W] up or down, the combination whose luma errs least per pixel.

    Of the eight combinations of floor and ceil the one of least (g . e)^2 + CHROMA_COST |e|^2 is
    taken: the luma's rms error is 0.08 level (0.19 by plain rounding), a colour's 0.39 (0.29),
    never 1 or more.
    """
    g = levels.new_tensor(LUMA)
    floor, ceil = levels.floor(), levels.ceil()
    best = torch.full_like(levels[:, :1], torch.inf)
    rounded = floor
    for combination in itertools.product((False, True), repeat=len(LUMA)):
        up = torch.tensor(combination, device=levels.device)[:, None, None]
        option = torch.where(up, ceil, floor)
        e = option - levels
        luma = torch.einsum("c,nchw->nhw", g, e)[:, None]
        cost = luma.square() + CHROMA_COST * e.square().sum(dim=1, keepdim=True)
        rounded = torch.where(cost < best, option, rounded)
        best = torch.minimum(best, cost)
    return rounded


def _check(x: Tensor, y: Tensor, A: Linear) -> None:
    side = A.img_resolution
    shape = (A.channels, *A.size)
    fits = x.shape[1:] == (3, side, side) and y.shape[1:] == shape
    if not fits or len(y) not in (1, len(x)):
        raise MeasurementError(
            f"projection: pictures {tuple(x.shape)} and measurement {tuple(y.shape)} do not fit"
            f" {A}. Give [N, 3, {side}, {side}] and [1 or N, {', '.join(map(str, shape))}]."
        )
    if not (x.isfinite().all() and y.isfinite().all()):
        raise MeasurementError("projection: a value is not finite. Check the pictures before it.")


def _rms(values: Tensor) -> Tensor:
    return values.square().mean(dim=1).sqrt()
