"""The measurement y = A x: luma or colour, then bicubic reduction; its right inverse and noise.

Everything rests on one explicit matrix per axis, D [n_out, n_in], so that any size works and the
adjoint, the inverse and the covariance are exact. A is one luma row g (or each colour by itself:
|g| = 1) followed by a separable reduction, so

    A x   = D_v (sum_c g_c x_c) D_h^T
    A A^T = |g|^2 (D_v D_v^T) kron (D_h D_h^T)

The operators are immutable, hold float64 and answer in the type and on the device of the question.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Generator, Tensor

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601 weights of R, G, B; they sum to 1
MAX_REDUCED_SIDE = (
    7 / 8
)  # of the picture's side; beyond it D D^T loses condition (2.5 here, 15 at 63/64)


class MeasurementError(ValueError):
    """Sizes or values that no measurement can be made of."""

    code = "E-INV-SHAPE"


def bicubic_matrix(n_out: int, n_in: int) -> Tensor:
    """Return the matrix [n_out, n_in] (float64) of antialiased bicubic resizing along one axis.

    Keys' cubic kernel with a = -0.5, stretched by n_in / n_out when reducing, truncated at the
    border and renormalised to a sum of 1 per row: what Pillow's BICUBIC (mode 'F') and
    `F.interpolate(mode='bicubic', antialias=True)` compute. Equal sizes give the identity.

    Raises:
        MeasurementError: a size is below 1.
    """
    if n_out < 1 or n_in < 1:
        raise MeasurementError(
            f"resize {n_in} -> {n_out}: sizes must be at least 1. Give positive sizes."
        )
    step = n_in / n_out
    centres = (torch.arange(n_out, dtype=torch.float64) + 0.5) * step
    taps = torch.arange(n_in, dtype=torch.float64) + 0.5
    weights = _cubic((taps[None, :] - centres[:, None]) / max(step, 1.0))
    return weights / weights.sum(dim=1, keepdim=True)


def _cubic(t: Tensor, a: float = -0.5) -> Tensor:
    """Keys (1981), eq. 4: piecewise cubic of support [-2, 2]."""
    t = t.abs()
    near = ((a + 2) * t - (a + 3)) * t**2 + 1
    far = a * (((t - 5) * t + 8) * t - 4)
    return torch.where(t < 1, near, torch.where(t < 2, far, torch.zeros_like(t)))


def gaussian_matrix(side: int, sigma: Tensor) -> Tensor:
    """Return blurs by `sigma [N]` pixels along an axis, `[N, side, side]`, rows of sum 1."""
    place = torch.arange(side, dtype=sigma.dtype, device=sigma.device)
    away = (place[:, None] - place) / sigma.clamp(min=0.05)[:, None, None]
    weights = torch.exp(-away.square() / 2)
    return weights / weights.sum(2, keepdim=True)


def bicubic_response(frequency: float) -> float:
    """Return what is left of a wave of `frequency` cycles per pixel that `bicubic_matrix` made."""
    t = torch.arange(-2, 2, 1 / 256, dtype=torch.float64) + 1 / 512
    wave = torch.cos(2 * torch.pi * frequency * t)
    return float((_cubic(t) * wave).sum().abs() / _cubic(t).sum())


def sample_at(img: Tensor, side: int) -> Tensor:
    """Sample pictures [N, C, R, R] at `side` >= R pixels: [N, C, side, side], bicubic.

    A StyleGAN3 picture is a band-limited signal, given by its R x R samples (Karras et al. 2021,
    section 2); more samples of it show nothing new, but leave room for what the input says.
    """
    if img.shape[-1] == side:
        return img
    matrix = bicubic_matrix(side, img.shape[-1]).to(img)
    return matrix @ img @ matrix.mT


@dataclass(frozen=True)
class Frame:
    """Where a measurement lies in the square picture that it shows: in a grid of side x side."""

    side: int
    top: int = 0
    left: int = 0

    @classmethod
    def around(cls, height: int, width: int) -> Frame:
        """Return the frame of the smallest square about the middle of height x width."""
        side = max(height, width)
        return cls(side, (side - height) // 2, (side - width) // 2)


class _Small:
    """What reductions of grey and of colours have in common.

    Pictures are [N, 3, R, R] and measurements [N, channels, h, w], both in [-1, 1] (A itself is
    linear: it neither clips nor rounds). Differentiable. Of its own size R, A reduces nothing.
    """

    channels: int
    weights: tuple[
        float, float, float
    ]  # of the colours, in the norm that the projector keeps small

    def __init__(
        self,
        img_resolution: int,
        size: tuple[int, int],
        sampled_at: int | None = None,
        frame: Frame | None = None,
        blur: float = 0.0,
    ) -> None:
        """Build A for pictures of side `img_resolution` and measurements of `size` (h, w).

        Args:
            img_resolution: R.
            size: of the measurement, (h, w).
            sampled_at: side at which pictures are sampled before they are measured (`sample_at`);
                R if None.
            frame: the part of the picture that is measured; all of it if None.
            blur: standard deviation of a Gaussian before the reduction, in pixels of the result.

        Raises:
            MeasurementError: a side of `size` is larger than the sampled picture's, or below 1.
        """
        side = sampled_at or img_resolution
        if max(size) > side:
            raise MeasurementError(
                f"measurement: {size[1]}x{size[0]} is larger than the picture's"
                f" {side}x{side}. Reduce it first."
            )
        self.img_resolution = img_resolution
        self.size = size
        enlarge = bicubic_matrix(side, img_resolution)
        grids = (frame.side, frame.side) if frame else size
        first = (frame.top, frame.left) if frame else (0, 0)
        self._d_v, self._d_h = (
            (_blurring(grid, side, blur) @ enlarge)[start : start + n]
            for grid, start, n in zip(grids, first, size, strict=True)
        )
        self._cast: dict[tuple[str, torch.device, torch.dtype], Tensor] = {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.img_resolution}, {self.size})"

    def __call__(self, x: Tensor) -> Tensor:
        """Measure x [N, 3, R, R] -> y [N, channels, h, w]."""
        raise NotImplementedError

    def spread(self, r: Tensor) -> Tensor:
        """Spread r [N, channels, h, w] over the picture, [N, 3, R, R], D_v^T r D_h.

        This is the adjoint of A for the product <x, x'> = sum_c weights_c x_c x'_c, in which a
        change of grey is orthogonal to a change of chroma.
        """
        wide = self._like("_d_v", r).mT @ r @ self._like("_d_h", r)
        return wide.expand(-1, 3, -1, -1)

    def right_inverse(self, r: Tensor) -> Tensor:
        """Apply A': r [N, channels, h, w] -> [N, 3, R, R] with A A' r = r.

        A' r = D_v^T (D_v D_v^T)^-1 r (D_h D_h^T)^-1 D_h: the smallest such change in the norm of
        `spread`; a grey one leaves every difference between colours alone.
        """
        wide = self._like("_inv_v", r) @ r @ self._like("_inv_h", r).mT
        return wide.expand(-1, 3, -1, -1)

    def quantised(self, x: Tensor) -> Tensor:
        """Measure as a file would hold it: A x clipped to [-1, 1], rounded to 8-bit levels."""
        levels = ((self(x) + 1) * 127.5).round().clamp(0, 255)
        return levels / 127.5 - 1

    @cached_property
    def _inv_v(self) -> Tensor:
        return _right_inverse(self._d_v)

    @cached_property
    def _inv_h(self) -> Tensor:
        return _right_inverse(self._d_h)

    def gram_factors(self) -> tuple[Tensor, Tensor, float]:
        """Return (K_v, K_h, |g|^2), float64: A A^T = |g|^2 K_v kron K_h, K = D D^T."""
        return self._d_v @ self._d_v.mT, self._d_h @ self._d_h.mT, self._g2()

    def _g2(self) -> float:
        return 1.0

    def _reduce(self, x: Tensor) -> Tensor:
        return self._like("_d_v", x) @ x @ self._like("_d_h", x).mT

    def _like(self, name: str, x: Tensor) -> Tensor:
        """The named float64 matrix in the type and on the device of x, cast once."""
        key = (name, x.device, x.dtype)
        if key not in self._cast:
            self._cast[key] = getattr(self, name).to(x)
        return self._cast[key]


class GreySmall(_Small):
    """Make pictures grey and small: A x = D_v (0.299 R + 0.587 G + 0.114 B) D_h^T."""

    channels, weights = 1, LUMA
    _g = torch.tensor(LUMA, dtype=torch.float64)

    def __call__(self, x: Tensor) -> Tensor:
        """Measure x [N, 3, R, R] -> y [N, 1, h, w]."""
        return self._reduce(torch.einsum("c,nchw->nhw", self._like("_g", x), x)[:, None])

    def _g2(self) -> float:
        return float(self._g @ self._g)


class ColourSmall(_Small):
    """Make pictures small: A x_c = D_v x_c D_h^T, each colour by itself."""

    channels, weights = 3, (1.0, 1.0, 1.0)

    def __call__(self, x: Tensor) -> Tensor:
        """Measure x [N, 3, R, R] -> y [N, 3, h, w]."""
        return self._reduce(x)


def _blurring(n_out: int, n_in: int, blur: float) -> Tensor:
    """Return the matrix of a reduction after a blur of `blur` pixels of the result."""
    reduction = bicubic_matrix(n_out, n_in)
    if not blur:
        return reduction
    sigma = torch.tensor([blur * n_in / n_out], dtype=torch.float64)
    return reduction @ gaussian_matrix(n_in, sigma)[0]


def _right_inverse(d: Tensor) -> Tensor:
    """Return D^T (D D^T)^-1."""
    factor = torch.linalg.cholesky(d @ d.mT)
    return torch.cholesky_solve(d, factor).mT


class MeasurementNoise:
    """The noise of a measurement: N(0, Sigma), Sigma = tau^2 A A^T + sigma^2 I.

    tau is the standard deviation of the picture's own error per colour and pixel (what the
    generator cannot draw), sigma that of the measurement (quantisation and the like), both on the
    scale of [-1, 1]. The Kronecker structure of A A^T gives the eigenvalues

        s_ij = tau^2 |g|^2 a_i b_j + sigma^2

    with a, b those of D_v D_v^T and D_h D_h^T, so that all below is exact and costs four small
    matrix products.
    """

    def __init__(self, A: GreySmall | ColourSmall, tau: float, sigma: float) -> None:
        """Decompose Sigma.

        Raises:
            MeasurementError: Sigma is not positive definite (tau or sigma negative, both zero).
        """
        if min(tau, sigma) < 0 or max(tau, sigma) == 0:
            raise MeasurementError(
                f"measurement noise: tau = {tau} and sigma = {sigma} make no covariance."
                " Give values >= 0, not both zero."
            )
        k_v, k_h, g2 = A.gram_factors()
        a, self._u_v = torch.linalg.eigh(k_v)
        b, self._u_h = torch.linalg.eigh(k_h)
        self._std = (tau**2 * g2 * a[:, None] * b[None, :] + sigma**2).sqrt()  # [h, w]
        self._channels = A.channels

    def sample(self, shape: tuple[int, ...], generator: Generator) -> Tensor:
        """Draw `shape` = (N, channels, h, w) from N(0, Sigma), on the generator's device."""
        n = torch.randn(shape, generator=generator, device=generator.device)
        return self._u_v.to(n) @ (self._std.to(n) * n) @ self._u_h.to(n).mT

    def whiten(self, r: Tensor) -> Tensor:
        """Return Sigma^-1/2 r [N, channels, h, w] up to a rotation."""
        return (self._u_v.to(r).mT @ r @ self._u_h.to(r)) / self._std.to(r)

    def log_det(self) -> float:
        """Return log det Sigma."""
        return float(2 * self._channels * self._std.log().sum())
