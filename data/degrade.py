"""What happens to a face before it is a small grey file: drawn at random, said, and done.

In this order: the picture lies a little off (shift, rotation, scale), is made grey, blurred and
reduced with some kernel, printed on paper that is not white with ink that is not black, scanned
with noise, and stored as JPEG (the order of Zhang et al. 2021, BSRGAN, of first degree, and tones).
"""

import io
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Generator, Tensor

from data.image_io import LUMA

Measure = Callable[[Tensor, int], Tensor]  # x [1, 3, P, P], side -> y [1, 1, side, side], exact
KERNELS = ("bicubic", "area", "bilinear", "lanczos")
SIZES = (16, 128)  # smallest and largest side of the result
PLAIN_SHARE, EACH_SHARE = 0.4, 0.4  # of pictures that are reduced only; of each of the others
QUALITIES = (30, 95)  # of JPEG
NUM_TOLD = 14  # length of `told`


@dataclass(frozen=True)
class Degradation:
    """What is done to one picture; of the defaults, nothing but the exact measurement."""

    size: int  # side of the result
    kernel: str = "bicubic"  # one of KERNELS
    blur: float = 0.0  # standard deviation of a Gaussian, in pixels of the result
    noise: float = 0.0  # standard deviation, of grey in [-1, 1]
    noise_seed: int = 0
    quality: int | None = None  # of JPEG; None: not compressed
    gamma: float = 1.0  # exponent of grey in [0, 1]
    paper: float = 1.0  # what white becomes, in [0, 1]
    ink: float = 0.0  # what black becomes
    shift: tuple[float, float] = (0.0, 0.0)  # to the right and down, in sides of the picture
    rotation: float = 0.0  # degrees, anticlockwise
    scale: float = 1.0  # of what is shown

    @property
    def is_plain(self) -> bool:
        """Whether the picture is only measured."""
        return replace(self, noise_seed=0) == Degradation(self.size)

    def told(self, is_told: bool = True) -> Tensor:
        """Return what a network is told `[NUM_TOLD]`: whether it is told anything, then all of it.

        Of about unit size, 0 for what was not done. The side of the result is not among them: the
        network sees it.
        """
        if not is_told:
            return torch.zeros(NUM_TOLD)
        kernel = [float(self.kernel == name) for name in KERNELS[1:]]
        file = 0.0 if self.quality is None else (110 - self.quality) / 50
        tones = [4 * math.log(self.gamma), 8 * (1 - self.paper), 8 * self.ink]
        place = [*(25 * s for s in self.shift), self.rotation / 5, 15 * math.log(self.scale)]
        return torch.tensor([1, *kernel, self.blur, 20 * self.noise, file, *tones, *place])


def draw_degradation(generator: Generator, largest: int = SIZES[1]) -> Degradation:
    """Draw a degradation: log-uniform in size up to `largest`, each of the others now and then."""

    def uniform(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand([], generator=generator, dtype=torch.float64))

    def sometimes(usual: float, low: float, high: float) -> float:
        is_done, value = uniform(0, 1) < EACH_SHARE, uniform(low, high)
        return value if is_done else usual

    size = math.exp(uniform(math.log(min(SIZES[0], largest)), math.log(largest + 1)))
    drawn = Degradation(
        size=min(int(size), largest),
        kernel=KERNELS[int(uniform(0, len(KERNELS)))],
        blur=sometimes(0, 0.3, 1.2),
        noise=sometimes(0, 0.005, 0.08),
        noise_seed=int(uniform(0, 2**31)),
        quality=int(sometimes(0, *QUALITIES)) or None,
        gamma=math.exp(sometimes(0, -0.35, 0.35)),
        paper=sometimes(1, 0.8, 1),
        ink=sometimes(0, 0, 0.2),
        shift=(sometimes(0, -0.04, 0.04), sometimes(0, -0.04, 0.04)),
        rotation=sometimes(0, -6, 6),
        scale=math.exp(sometimes(0, -0.08, 0.08)),
    )
    return Degradation(drawn.size) if uniform(0, 1) < PLAIN_SHARE else drawn


def degrade(images: Tensor, degradations: Iterable[Degradation], measure: Measure) -> list[Tensor]:
    """Degrade each of `images [N, 3, P, P]` in [-1, 1] as is said of it.

    Args:
        images: finished pictures.
        degradations: N of them.
        measure: the exact measurement, which a plain degradation is.

    Returns:
        N measurements `[1, 1, size, size]` in [-1, 1], as a file of 8 bits holds them.
    """
    pairs = zip(images.split(1), degradations, strict=True)
    return [measure(x, d.size) if d.is_plain else _degrade(x, d) for x, d in pairs]


def _degrade(x: Tensor, d: Degradation) -> Tensor:
    luma = torch.einsum("c,nchw->nhw", torch.tensor(LUMA).to(x), x)[:, None]
    placed = _place(luma, d)
    matrix = _axis(d.size, x.shape[-1], d.kernel, d.blur).to(x)
    grey = ((matrix @ placed @ matrix.mT + 1) / 2).clamp(0, 1)
    grey = d.ink + (d.paper - d.ink) * grey**d.gamma
    noise = torch.randn(grey.shape, generator=torch.Generator().manual_seed(d.noise_seed))
    return _filed(grey + d.noise / 2 * noise.to(grey), d.quality)


def _place(x: Tensor, d: Degradation) -> Tensor:
    """Shift, turn and scale about the centre; what comes in from outside is mirrored."""
    if (d.shift, d.rotation, d.scale) == ((0.0, 0.0), 0.0, 1.0):
        return x
    angle = math.radians(d.rotation)
    cos, sin = math.cos(angle) / d.scale, math.sin(angle) / d.scale
    right, down = (2 * s for s in d.shift)
    back = [[cos, -sin, -cos * right + sin * down], [sin, cos, -sin * right - cos * down]]
    grid = F.affine_grid(torch.tensor([back]).to(x), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, "bicubic", padding_mode="reflection", align_corners=False)


def _axis(n_out: int, n_in: int, kernel: str, blur: float) -> Tensor:
    """Return the matrix [n_out, n_in] (float64) of a blur and an antialiased reduction."""
    step, taps = n_in / n_out, torch.arange(n_in, dtype=torch.float64) + 0.5
    away = (torch.arange(n_out, dtype=torch.float64) + 0.5)[:, None] * step - taps
    weights = _weights(away, max(step, 1.0), kernel)
    if blur:
        reach = taps[:, None] - taps
        gauss = torch.exp(-((reach / (blur * step)) ** 2) / 2)
        weights = weights @ (gauss / gauss.sum(1, keepdim=True))
    return weights / weights.sum(1, keepdim=True)


def _weights(away: Tensor, width: float, kernel: str) -> Tensor:
    """Return the kernel at distances in pixels, stretched by `width`."""
    t = (away / width).abs()
    match kernel:
        case "area":  # how much of the pixel lies in the box
            return ((width + 1) / 2 - away.abs()).clamp(0, 1)
        case "bilinear":
            return (1 - t).clamp(min=0)
        case "bicubic":  # Keys (1981), eq. 4, a = -0.5
            near, far = (1.5 * t - 2.5) * t**2 + 1, ((-0.5 * t + 2.5) * t - 4) * t + 2
            return torch.where(t < 1, near, far.where(t < 2, torch.zeros_like(t)))
        case _:  # Lanczos of three lobes
            return (torch.sinc(t) * torch.sinc(t / 3)).where(t < 3, torch.zeros_like(t))


def _filed(grey: Tensor, quality: int | None) -> Tensor:
    """Return `[1, 1, h, w]` of [0, 1] as a file of 8 bits gives it back, in [-1, 1]."""
    levels = (grey * 255).round().clamp(0, 255)
    if quality is not None:
        file = io.BytesIO()
        Image.fromarray(levels[0, 0].byte().cpu().numpy()).save(file, "JPEG", quality=quality)
        levels = torch.from_numpy(np.array(Image.open(file))).to(levels)[None, None]
    return levels / 127.5 - 1
