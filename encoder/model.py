"""The encoder: where in the latent space a small grey picture probably lies, and how surely."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from encoder.backbone import CANVAS, FEATURES, Backbone
from encoder.flow import Flow
from encoder.gaussian import GaussianConfig, GaussianEncoder
from engine.files import file_sha256
from stylegan.checkpoint import (
    CheckpointError,
    config_from,
    read_weights,
    restore,
    save_weights,
)
from stylegan.config import ConfigError, require_range

CHANNELS = 3  # y, A y_hat, y - A y_hat
CURVATURE_RANK = 128  # directions of the latent whose curvature is kept for the solver
KNOWN = 2  # what is told of every input: its size, and whether there is a guess


@dataclass(frozen=True)
class EncoderConfig:
    """What an encoder is made of and which generator it belongs to.

    Raises:
        ConfigError: a value is out of range.
    """

    latent_dim: int  # length of v
    num_ws: int  # layers of the generator that take a latent
    generator_sha256: str  # of the generator's file
    told: int  # numbers that describe a degradation
    rank: int = 16  # of the layers' own shares
    version: int = 2  # of this kind of file; the first kind (encoder.gaussian) has none

    def __post_init__(self) -> None:
        require_range("latent_dim", self.latent_dim, int, 1, 1 << 16)
        require_range("num_ws", self.num_ws, int, 1, 1 << 10)
        require_range("told", self.told, int, 1, 1 << 10)
        require_range("rank", self.rank, int, 1, 1 << 10)
        require_range("version", self.version, int, 2, 2)
        if type(self.generator_sha256) is not str:
            raise ConfigError("generator_sha256 is no text; it must be the digest of a file.")


@dataclass(frozen=True)
class Look:
    """What the network looks at: measurements of any size, on canvases of one."""

    canvas: Tensor  # [N, 1, 128, 128]
    told: Tensor  # [N, 1 + told]: log2(side / 32), and the description of the degradation

    @classmethod
    def at(cls, y: Tensor, told: Tensor) -> "Look":
        """Look at measurements.

        Args:
            y: `[N, 1, h, w]` in [-1, 1], of any size.
            told: `[N, told]`, the description of the degradation (`data.degrade`); 0: unknown.
        """
        size = y.new_full((len(y), 1), y.shape[-1] / 32).log2()
        return cls(to_canvas(y), torch.cat([size, told], dim=1))

    @classmethod
    def join(cls, parts: "list[Look]") -> "Look":
        """Return one of several."""
        canvas, told = ([getattr(p, name) for p in parts] for name in ("canvas", "told"))
        return cls(torch.cat(canvas), torch.cat(told))


@dataclass(frozen=True)
class Guess:
    """What the network answers."""

    features: Tensor  # [N, 2048]
    v: Tensor  # [N, latent_dim], the mean of the posterior
    delta: Tensor  # [N, num_ws, latent_dim], what each layer adds to v

    @property
    def condition(self) -> Tensor:
        """What the flow is conditioned on, `[N, 2048 + latent_dim]`."""
        return torch.cat([self.features, self.v.detach()], dim=1)


def to_canvas(y: Tensor) -> Tensor:
    """Resize `y [N, 1, h, w]` to the canvas `[N, 1, 128, 128]` (bicubic)."""
    if y.shape[-2:] == (CANVAS, CANVAS):
        return y
    return F.interpolate(y, (CANVAS, CANVAS), mode="bicubic", antialias=True, align_corners=False)


class Encoder(nn.Module):
    """Guess v, the layers' own shares and the posterior of v from a small grey measurement."""

    residual_sqrt_cov: Tensor  # root of the mean squared error of v on held-out renders
    curvature: Tensor  # root [128, (1 + num_ws) dim] of the misfit's, in v and scaled shares

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.latent_dim
        self.backbone = Backbone(CHANNELS, KNOWN + config.told)
        self.head = nn.Linear(FEATURES, dim)
        self.shares = nn.Linear(FEATURES, config.num_ws * config.rank)
        self.directions = nn.Parameter(torch.randn(config.rank, dim) / dim**0.5)
        self.flow = Flow(dim, FEATURES + dim)
        self.register_buffer("residual_sqrt_cov", torch.eye(dim))
        curvature = torch.zeros(CURVATURE_RANK, (1 + config.num_ws) * dim)
        self.register_buffer("curvature", curvature)
        for layer in (self.head, self.shares):  # the untrained encoder answers the prior
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def look(self, y: Tensor, told: Tensor | None = None) -> Look:
        """Return what the network takes of `y [N, 1, h, w]`; `told` None: how degraded, unknown."""
        return Look.at(y, y.new_zeros(len(y), self.config.told) if told is None else told)

    def forward(
        self, look: Look, previous: Guess | None = None, y_hat: Tensor | None = None
    ) -> Guess:
        """Guess, or correct a guess by what it looks like (ReStyle, Alaluf et al. 2021).

        Args:
            look: the input.
            previous: the guess to correct, or None.
            y_hat: its measurement, on the canvas, `[N, 1, 128, 128]`.
        """
        y = look.canvas
        others = torch.zeros_like(y) if y_hat is None else y_hat
        rest = torch.zeros_like(y) if y_hat is None else y - y_hat
        flag = look.told.new_full((len(y), 1), float(y_hat is not None))
        canvas = torch.cat([y, others, rest], dim=1)
        h = self.backbone(canvas, torch.cat([look.told, flag], dim=1)).float()
        v, delta = self.head(h), self._delta(h)
        if previous is not None:
            v, delta = previous.v + v, previous.delta + delta
        return Guess(h, v, delta)

    def _delta(self, h: Tensor) -> Tensor:
        shares = self.shares(h).unflatten(1, (self.config.num_ws, self.config.rank))
        return shares @ self.directions

    @torch.no_grad()
    def refine(self, look: Look, measure: Callable[[Tensor, Tensor], Tensor], passes: int) -> Guess:
        """Guess, then correct the guess `passes` times, without any gradient.

        Args:
            look: the input.
            measure: (v, delta) -> `A y_hat [N, 1, h, w]`, one evaluation of the generator.
            passes: corrections.
        """
        guess = self(look)
        for _ in range(passes):
            guess = self(look, guess, to_canvas(measure(guess.v, guess.delta)))
        return guess

    def mean(self, y: Tensor, told: Tensor | None = None) -> Tensor:
        """Return the mean of v `[N, latent_dim]` for measurements as `look` takes them."""
        return self(self.look(y, told)).v

    def sample(self, y: Tensor, noise: Tensor, told: Tensor | None = None) -> Tensor:
        """Return samples `v [K, latent_dim]` of the posterior for one measurement.

        Args:
            y: `[1, 1, h, w]` in [-1, 1].
            noise: standard normal, `[K, latent_dim]`; sample k depends on row k alone.
            told: `[1, told]` as `look` takes it.
        """
        return self.flow.sample(self(self.look(y, told)).condition, noise)


def save_encoder(path: Path, encoder: Encoder | GaussianEncoder, **facts: object) -> None:
    """Write an encoder as release weights."""
    save_weights(path, "encoder", asdict(encoder.config), encoder.state_dict(), **facts)


def load_encoder(path: Path | str, generator_path: Path | str) -> Encoder | GaussianEncoder:
    """Load an encoder in evaluation mode, frozen, and check that it fits the generator.

    Raises:
        CheckpointError: missing, damaged, or trained for another generator.
    """
    path = Path(path)
    metadata, state = read_weights(path, "encoder")
    if is_first_kind(metadata):
        first = config_from(metadata, GaussianConfig, path)
        _require_fit(first, path, generator_path)
        return restore(GaussianEncoder, first, state, path)
    config = config_from(metadata, EncoderConfig, path)
    _require_fit(config, path, generator_path)
    return restore(Encoder, config, state, path)


def is_first_kind(metadata: dict[str, str]) -> bool:
    """Return whether a file's metadata are those of the first kind of encoder."""
    try:
        return "input_size" in json.loads(metadata["config"])
    except (KeyError, TypeError, ValueError, RecursionError):
        return False


def _require_fit(
    config: EncoderConfig | GaussianConfig, path: Path, generator_path: Path | str
) -> None:
    found = file_sha256(Path(generator_path))
    if config.generator_sha256 != found:
        raise CheckpointError(
            f"{path}: made for generator {config.generator_sha256[:12]}, but {generator_path} is "
            f"{found[:12]}. Give the generator it was trained with, or leave --encoder out.",
            "E-MODEL-MISMATCH",
        )
