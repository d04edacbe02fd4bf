"""The Gaussianised latent space v of a generator (PULSE, Menon et al. 2020, with full covariance).

The mapping network ends in a leaky ReLU. Undone, centred and whitened, its output is close to a
standard normal v; `ws = T(v)` goes back.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.seeding import derive_generator
from stylegan import Generator, GeneratorConfig

SLOPE, GAIN = 0.2, math.sqrt(2)  # of the mapping network's last activation
EIGENVALUE_FLOOR = 1e-6  # of the largest


def _activate(u: Tensor) -> Tensor:
    return F.leaky_relu(u, SLOPE) * GAIN


def _deactivate(w: Tensor) -> Tensor:
    return F.leaky_relu(w / GAIN, 1 / SLOPE)


class GeneratorKindError(ValueError):
    """A generator whose pictures cannot be inverted: conditional, or not of three colours."""

    code = "E-MODEL-KIND"


def _require_plain_colour(config: GeneratorConfig) -> None:
    if config.c_dim:
        what = f"is conditional ({config.c_dim} classes). Give an unconditional one"
        raise GeneratorKindError(f"the generator: {what}.")
    if config.img_channels != 3:
        what = f"makes pictures of {config.img_channels} colours. Give one of 3 colours"
        raise GeneratorKindError(f"the generator: {what}.")


@dataclass(frozen=True)
class LatentPrior:
    """Mean and symmetric square roots of the covariance of the mapping's pre-activation u."""

    mean: Tensor  # [w_dim]
    sqrt_cov: Tensor  # [w_dim, w_dim]
    inv_sqrt_cov: Tensor  # [w_dim, w_dim]
    num_ws: int

    @classmethod
    def fit(cls, G: Generator, num_samples: int = 100_000, seed: int = 0) -> "LatentPrior":
        """Measure the prior of an unconditional generator with `num_samples` latents.

        The symmetric root is used because it is unique: no sign or order of eigenvectors can
        differ between machines.

        Raises:
            GeneratorKindError: the generator is conditional, or not of three colours.
        """
        _require_plain_colour(G.config)
        generator = derive_generator(seed, "latent-prior")
        z = torch.randn(num_samples, G.config.z_dim, generator=generator)
        device = G.mapping.w_avg.device
        with torch.inference_mode():
            parts = [
                _deactivate(G.mapping(part.to(device))[:, 0]).double() for part in z.split(8192)
            ]
        u = torch.cat(parts).cpu().clone()
        values, vectors = torch.linalg.eigh(u.T.cov())
        values = values.clamp(min=EIGENVALUE_FLOOR * values[-1].item())
        root = (vectors * values.sqrt()) @ vectors.T
        inverse = (vectors * values.rsqrt()) @ vectors.T
        mean, root, inverse = (t.float().to(device) for t in (u.mean(0), root, inverse))
        return cls(mean, root, inverse, num_ws=G.config.num_ws)

    @property
    def dim(self) -> int:
        """Length of v."""
        return len(self.mean)

    def to_ws(self, v: Tensor, delta: Tensor | None = None) -> Tensor:
        """Return `ws = T(v + delta_i)` `[N, num_ws, w_dim]`.

        Args:
            v: `[N, dim]`, shared by all layers.
            delta: `[N, num_ws, dim]`, what each layer adds, or None.
        """
        layered = v[:, None].expand(-1, self.num_ws, -1)
        if delta is not None:
            layered = layered + delta
        return _activate(self.mean + layered @ self.sqrt_cov)

    def from_w(self, w: Tensor) -> Tensor:
        """Return `v` `[N, dim]` of latents `w` `[N, w_dim]`; the inverse of `to_ws`."""
        return (_deactivate(w) - self.mean) @ self.inv_sqrt_cov

    def diagonal(self) -> "LatentPrior":
        """Return the prior that takes the numbers of u for independent, as PULSE does."""
        std = self.sqrt_cov.square().sum(1).sqrt()
        return LatentPrior(self.mean, std.diag(), (1 / std).diag(), self.num_ws)

    def excess_kurtosis(self, G: Generator, num_samples: int = 20_000, seed: int = 1) -> Tensor:
        """Return how far each marginal of v is from Gaussian: 0 for a Gaussian, `[dim]`."""
        generator = derive_generator(seed, "latent-prior")
        z = torch.randn(num_samples, G.config.z_dim, generator=generator).to(self.mean.device)
        with torch.inference_mode():
            v = self.from_w(G.mapping(z)[:, 0])
        v = (v - v.mean(0)) / v.std(0)
        return v.pow(4).mean(0) - 3
