"""Random changes of pictures between data and discriminator, the same for real and generated ones.

Pipeline "bgc" of "Training Generative Adversarial Networks with Limited Data" (Karras et al. 2020,
appendix B): blits of pixels, geometry and colour, each transform applied with probability p.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from custom_ops import upfirdn2d
from engine.seeding import derive_generator

NUMBERS_PER_SAMPLE = 28

# Least asymmetric wavelet with 6 vanishing moments (Daubechies 1992, table 6.3), of sum 1
SYM6 = (
    *(0.010892350163292340, 0.0024683061859233179, -0.083431607706072971, -0.034161560793286004),
    *(0.34722898647921771, 0.55694639196286894, 0.2389521856664347, -0.051362484930839247),
    *(-0.014891875649269698, 0.031625281330021744, 0.0012499610463979227, -0.0055159337546887511),
)
# Upsampled sample n lies at pixel (n - DELAY) / 2: for straight ramps this is exact
DELAY = sum(k * tap for k, tap in enumerate(SYM6))
FIRST = round(DELAY)  # the upsampled sample that lies nearest to the first pixel

_BILINEAR, _NEAREST, _REFLECTION = 0, 1, 2  # codes of torch.grid_sampler


def draw_numbers(seed: int, stream: str, indices: Iterable[int]) -> Tensor:
    """Return what `augment` needs for the samples of these indices: `[N, 28]` in [0, 1).

    Row n depends only on (seed, stream, indices[n]), so no batch split changes it.
    """
    generators = (derive_generator(seed, stream, index) for index in indices)
    return torch.stack([_draw_row(generator) for generator in generators])


def _draw_row(generator: torch.Generator) -> Tensor:
    return torch.rand(NUMBERS_PER_SAMPLE, generator=generator, dtype=torch.double)


def augment(images: Tensor, p: float, numbers: Tensor) -> Tensor:
    """Change each picture by the transforms that its row of `numbers` selects.

    Blits alone copy pixels; geometry resamples. Beyond its borders a picture is reflected. A
    sample that nothing changes keeps its very bits; with p = 0 all do. Linear in `images` but for
    an offset; derivatives of every order are exact.

    Args:
        images: `[N, 3, R, R]`, R >= 4, black at -1 and white at 1.
        p: probability of each transform, in [0, 1].
        numbers: `[N, 28]` on the CPU, uniform in [0, 1), see `draw_numbers`.

    Returns:
        `[N, 3, R, R]`, not clipped.
    """
    if p == 0:
        return images
    blit, geometry, colour = select_transforms(p, numbers, images.shape[-1])
    is_resampled = _is_change(geometry)
    images = _replace(images, _blit, blit, _is_change(blit) & ~is_resampled)
    images = _replace(images, _resample, geometry @ blit, is_resampled)
    return _replace(images, _recolour, colour, _is_change(colour))


def select_transforms(p: float, numbers: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the transforms of pictures of `size` pixels that `numbers` `[N, 28]` select.

    Returns:
        `[N, 3, 3]`: blit, from old to new positions (x, y, 1) in pixels from the centre, y down;
        `[N, 3, 3]`: geometry, which follows it;
        `[N, 4, 4]`: colour, from old to new (R, G, B, 1).
    """
    draws = _Draws(p, numbers)
    return _select_blit(draws, size), _select_geometry(draws, size), _select_colour(draws)


class _Draws:
    """Reads columns of numbers in turn: a gate, then values, 0 wherever the gate is shut."""

    def __init__(self, p: float, numbers: Tensor) -> None:
        self.p, self.columns = p, iter(numbers.unbind(1))

    def _draw(self, p: float, inverse_cdf: Callable[[Tensor], Tensor]) -> Tensor:
        return (next(self.columns) < p) * inverse_cdf(next(self.columns))

    def _draw_pair(self, inverse_cdf: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        is_open = next(self.columns) < self.p
        return is_open * inverse_cdf(next(self.columns)), is_open * inverse_cdf(next(self.columns))

    def choice(self, options: int) -> Tensor:
        return self._draw(self.p, lambda u: (u * options).floor())

    def angle(self, p: float) -> Tensor:
        return self._draw(p, lambda u: (2 * u - 1) * math.pi)

    def normal(self, sigma: float) -> Tensor:
        return self._draw(self.p, lambda u: _normal(u) * sigma)

    def uniform_pair(self, limit: float) -> tuple[Tensor, Tensor]:
        return self._draw_pair(lambda u: (2 * u - 1) * limit)

    def normal_pair(self, sigma: float) -> tuple[Tensor, Tensor]:
        return self._draw_pair(lambda u: _normal(u) * sigma)


def _normal(u: Tensor) -> Tensor:
    return torch.special.ndtri(u.clamp(min=2**-54))  # finite at 0


def _select_blit(draws: _Draws, size: int) -> Tensor:
    mirror = 1 - 2 * draws.choice(2)
    G = _scale(mirror, torch.ones_like(mirror))
    G = _rotate(-math.pi / 2 * draws.choice(4)).round() @ G
    x, y = draws.uniform_pair(0.125)
    return _translate((x * size).round(), (y * size).round()) @ G


def _select_geometry(draws: _Draws, size: int) -> Tensor:
    p_rot = 1 - math.sqrt(1 - draws.p)  # at least one of two such rotations: probability p
    s = torch.exp2(draws.normal(0.2))
    G = _scale(s, s)
    G = _rotate(-draws.angle(p_rot)) @ G
    s = torch.exp2(draws.normal(0.2))
    G = _scale(s, 1 / s) @ G
    G = _rotate(-draws.angle(p_rot)) @ G
    x, y = draws.normal_pair(0.125)
    return _translate(x * size, y * size) @ G


def _select_colour(draws: _Draws) -> Tensor:
    """Brightness, contrast, luma flip, hue and saturation, in this order.

    All but the first are a factor on the grey axis v = (1, 1, 1) / sqrt(3) and a factor and turn
    of the plane across it, so their product is again one of these.
    """
    offset = draws.normal(0.2)[:, None, None]
    contrast = torch.exp2(draws.normal(0.5))[:, None, None]
    luma = 1 - 2 * draws.choice(2)[:, None, None]
    hue = draws.angle(draws.p)[:, None, None]
    saturation = torch.exp2(draws.normal(1))[:, None, None]
    eye = torch.eye(3).to(offset)
    on_axis = torch.full_like(eye, 1 / 3)
    quarter_turn = (eye.roll(1, 0) - eye.roll(1, 1)) / math.sqrt(3)  # x -> v x x
    on_plane = hue.cos() * (eye - on_axis) + hue.sin() * quarter_turn
    linear = contrast * (luma * on_axis + saturation * on_plane)
    column = contrast * luma * offset
    return _homogeneous(torch.cat([linear, column.expand(-1, 3, 1)], dim=2))


def _homogeneous(upper: Tensor) -> Tensor:
    """`[N, K, K + 1]` with the row (0, ..., 0, 1) below."""
    row = torch.eye(upper.shape[2])[-1:].to(upper)
    return torch.cat([upper, row.expand(len(upper), 1, -1)], dim=1)


def _scale(x: Tensor, y: Tensor) -> Tensor:
    zero = torch.zeros_like(x)
    return _affine(x, zero, zero, zero, y, zero)


def _rotate(angle: Tensor) -> Tensor:
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    return _affine(cos, -sin, zero, sin, cos, zero)


def _translate(x: Tensor, y: Tensor) -> Tensor:
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    return _affine(one, zero, x, zero, one, y)


def _affine(*entries: Tensor) -> Tensor:
    return _homogeneous(torch.stack(entries, dim=1).unflatten(1, (2, 3)))


def _is_change(matrices: Tensor) -> Tensor:
    return (matrices != torch.eye(matrices.shape[-1])).flatten(1).any(1)


def _replace(
    images: Tensor,
    transform: Callable[[Tensor, Tensor], Tensor],
    matrices: Tensor,
    mask: Tensor,
) -> Tensor:
    """Transform only the pictures of `mask`: the others cost nothing and stay as they are."""
    if not mask.any():
        return images
    index = mask.nonzero().flatten().to(images.device)
    return images.index_copy(0, index, transform(images[index], matrices[mask]))


def _blit(images: Tensor, matrices: Tensor) -> Tensor:
    positions = torch.arange(images.shape[-1], dtype=torch.double)
    return _Lookup.apply(images, _grid(images, matrices, positions), _NEAREST)


def _resample(images: Tensor, matrices: Tensor) -> Tensor:
    """Upsample by 2 with the wavelet, look up bilinearly, downsample with its mirror image.

    The wavelet is orthogonal: with no change in between this gives back the picture.
    """
    size, taps = images.shape[-1], len(SYM6)
    f = torch.tensor(SYM6, dtype=torch.double)
    margins = [(taps - FIRST) // 2, FIRST // 2] * 2
    fine = upfirdn2d(F.pad(images, margins, mode="reflect"), f, up=2, gain=4)
    positions = (torch.arange(2 * size + taps - 2, dtype=torch.double) - DELAY) / 2
    grid = _grid(images, matrices, positions, (DELAY - FIRST) / 2)
    return upfirdn2d(_Lookup.apply(fine, grid, _BILINEAR), f, down=2, flip_filter=True)


def _grid(images: Tensor, matrices: Tensor, positions: Tensor, lead: float = 0) -> Tensor:
    """Return where new `positions` `[K]` along both axes come from: `[N, K, K, 2]` for `_Lookup`.

    Positions count in pixels from the first one; the samples looked up lie `lead` before them.
    """
    half = (images.shape[-1] - 1) / 2
    old = torch.linalg.inv(matrices)[:, :2] / half
    old[:, :, 2] += lead / half
    old, positions = old[..., None, None].to(images), (positions - half).to(images)
    grid = old[:, :, 0] * positions + (old[:, :, 1] * positions[:, None] + old[:, :, 2])
    return grid.movedim(1, -1)


class _Lookup(torch.autograd.Function):
    """`grid_sample` with reflection; its derivative is the adjoint, whose derivative is a lookup.

    Before 2.12 torch has no second derivative of `grid_sample`.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, grid: Tensor, mode: int) -> Tensor:
        ctx.save_for_backward(grid)
        ctx.size, ctx.mode = x.shape, mode
        return torch.grid_sampler(x, grid, mode, _REFLECTION, True)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        return _AdjointLookup.apply(dy, *ctx.saved_tensors, ctx.size, ctx.mode), None, None


class _AdjointLookup(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, dy: Tensor, grid: Tensor, size: torch.Size, mode: int) -> Tensor:
        ctx.save_for_backward(grid)
        ctx.mode = mode
        args = dy, dy.new_empty(size), grid, mode, _REFLECTION, True, [True, False]
        return torch.ops.aten.grid_sampler_2d_backward(*args)[0]

    @staticmethod
    def backward(ctx: Any, dx: Tensor) -> tuple[Tensor | None, ...]:
        return _Lookup.apply(dx, *ctx.saved_tensors, ctx.mode), None, None, None


def _recolour(images: Tensor, matrices: Tensor) -> Tensor:
    weights = matrices[:, :3, :, None, None].to(images)
    scaled = [weights[:, :, k] * images[:, k : k + 1] for k in range(3)]
    return scaled[0] + scaled[1] + scaled[2] + weights[:, :, 3]
