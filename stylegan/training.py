"""Train a StyleGAN3: logistic loss, lazy R1, averaged generator (Karras et al. 2021, app. D)."""

import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engine.failpoints import spoil
from engine.ranks import ALONE, Ranks
from stylegan.adaptation import NO_AUGMENTATION, AdaptationConfig, AdaptiveAugmentation
from stylegan.batching import draw_labels, draw_latents, positions_of_part
from stylegan.blur import blur, blur_sigma
from stylegan.checkpoint import CheckpointError
from stylegan.discriminator import Discriminator, samples_per_group
from stylegan.generator import Generator
from stylegan.guard import FiniteGuard
from stylegan.losses import discriminator_loss, generator_loss, r1_penalty
from stylegan.magnitudes import MagnitudeRecorder, follow_
from stylegan.optimizer import FlatAdam
from stylegan.recipe import TrainingConfig

LOSS_SCALE = 256  # of fp16: smaller gradients of signals would be zero
STATEFUL = ("G", "D", "G_ema", "g_opt", "d_opt", "augmentation", "guard")


@dataclass(frozen=True)
class TrainStep:
    """What one step reports, of all processes. Losses stay tensors: no step waits for them."""

    step: int  # steps done
    num_images: int  # real pictures seen
    g_loss: Tensor
    d_loss: Tensor
    real_sign: Tensor  # mean sign of D(real): near 1, D overfits; near 0, it sees nothing
    fake_sign: Tensor  # mean sign of D(fake)
    r1: Tensor | None  # only in steps that apply it
    g_grad_norm: Tensor  # of all weights together; a step whose norms are not finite is skipped
    d_grad_norm: Tensor


@dataclass(frozen=True)
class _Part:
    """Samples that go through the networks together."""

    indices: list[int]  # over the whole run
    reals: Tensor
    real_c: Tensor | None
    z: Tensor
    fake_c: Tensor | None


def _chunk(tensor: Tensor | None, num: int) -> list[Any]:
    return [None] * num if tensor is None else list(tensor.chunk(num))


class Trainer:
    """Generator, discriminator, averaged generator and their optimisers, stepped together.

    The processes in `ranks` each take their part of every batch; what they compute does not depend
    on how many they are, but for rounding. Parameters of D that need no gradient stay as they are.

    Args:
        G, D: the networks, on the device to train on.
        config: the recipe.
        adaptation: of the augmentation.
        labels: those of the data set, `[num_images, c_dim]`, for conditional networks.
        ranks: which of the processes this is.

    Raises:
        ConfigError: the batch does not divide into processes, passes and D's groups.
    """

    def __init__(
        self,
        G: Generator,
        D: Discriminator,
        config: TrainingConfig,
        adaptation: AdaptationConfig = NO_AUGMENTATION,
        labels: Tensor | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        self.config, self.ranks, self.labels = config, ranks, labels
        passes = config.num_passes(ranks.size)
        self._num_parts = ranks.size * passes
        self._scale = LOSS_SCALE if config.precision == "fp16" else 1
        group = samples_per_group(config.batch, D.config.mbstd_group_size)
        self._positions = [
            positions_of_part(config.batch, group, ranks.rank * passes + k, self._num_parts)
            for k in range(passes)
        ]
        self.augmentation = AdaptiveAugmentation(adaptation, config.seed)
        self.guard = FiniteGuard()
        self.G, self.D = G.train(), D.train()
        self.G_ema = copy.deepcopy(G).eval().requires_grad_(False)
        self.magnitudes = MagnitudeRecorder(G)
        num_sums = 1 + len(self.magnitudes.layers) + G.config.w_dim
        self.g_opt = FlatAdam(G.parameters(), config.g_lr, num_sums=num_sums)
        trained = [p for p in D.parameters() if p.requires_grad]
        ratio = config.r1_interval / (config.r1_interval + 1)
        self.d_opt = FlatAdam(trained, config.d_lr, num_sums=3, lazy_ratio=ratio)
        self.step_count = 0

    @property
    def num_images(self) -> int:
        """Real pictures seen so far, by all processes."""
        return self.step_count * self.config.batch

    @property
    def lr_factor(self) -> float:
        """What learning rates are multiplied by in the step to come."""
        return self.config.lr_factor(self.step_count)

    def positions(self, step: int) -> list[int]:
        """Return the positions in the stream of pictures that this process needs for a step."""
        first = step * self.config.batch
        return [first + position for part in self._positions for position in part]

    def step(self, reals: Tensor, c: Tensor | None = None) -> TrainStep:
        """Take one step, together with the other processes.

        D and G learn from the same fakes; where a batch comes in one part, one generator pass
        serves both. Gradients that are not finite change nothing.

        Args:
            reals: real pictures `[N, 3, R, R]` in [-1, 1], those of `positions`.
            c: their labels `[N, c_dim]`.

        Raises:
            TrainingError: too many steps had such gradients.
        """
        parts = self._parts(reals, c)
        self.g_opt.clear()
        shared = self._generate(parts[0]) if len(parts) == 1 else None
        d_loss, real_sign, fake_sign, d_norm = self._step_discriminator(parts, shared)
        g_loss, g_norm = self._step_generator(parts, shared)
        is_lazy = self.step_count % self.config.r1_interval == 0
        r1, r1_norm = self._step_r1(parts) if is_lazy else (None, d_norm)
        self.augmentation.observe(real_sign, self.config.batch)
        self.step_count += 1
        self._average_generator()
        spoil("param", next(self.G_ema.parameters()), self.step_count)
        self.guard.observe(self.step_count, [g_norm, d_norm, r1_norm])
        losses = g_loss, d_loss, real_sign, fake_sign, r1
        return TrainStep(self.step_count, self.num_images, *losses, g_norm, d_norm)

    def _parts(self, reals: Tensor, c: Tensor | None) -> list[_Part]:
        """Cut this process's share of a batch into what goes through the networks together."""
        num, seed = len(self._positions), self.config.seed
        cuts = zip(self._positions, reals.chunk(num), _chunk(c, num), strict=True)
        parts = []
        for positions, images, real_c in cuts:
            indices = [self.num_images + position for position in positions]
            z = draw_latents(seed, "training", indices, self.G.config.z_dim)
            fake_c = draw_labels(seed, "training", indices, self.labels)
            tensors = [self._on_device(t) for t in (images, real_c, z, fake_c)]
            parts.append(_Part(indices, *tensors))  # type: ignore[arg-type]
        return parts

    def _on_device(self, tensor: Tensor | None) -> Tensor | None:
        device = self.g_opt.sums.device
        return None if tensor is None else tensor.to(device, non_blocking=True)

    def _judge(
        self, images: Tensor, c: Tensor | None, part: _Part, stream: str, precision: str
    ) -> Tensor:
        """Return D's logits of pictures, blurred while the run is young, and augmented."""
        sigma = blur_sigma(self.num_images, self.config.blur_kimg, self.config.blur_sigma)
        images = self.augmentation(blur(images, sigma), stream, part.indices)
        return self.D(images, c, precision=precision)

    def _generate(self, part: _Part) -> Tensor:
        """Return fakes, and add what their statistics are to the sums of G's gradients."""
        ws = self.G.mapping(part.z, part.fake_c)
        with self.magnitudes:
            fakes = self.G.synthesis(ws, precision=self.config.precision)
        statistics = torch.cat([torch.stack(self.magnitudes.values), ws[:, 0].detach().mean(0)])
        self.g_opt.sums[1:] += statistics / self._num_parts
        return fakes

    @torch.no_grad()
    def _generate_again(self, part: _Part) -> Tensor:
        ws = self.G.mapping(part.z, part.fake_c)
        return self.G.synthesis(ws, precision=self.config.precision)

    def _step_discriminator(self, parts: list[_Part], shared: Tensor | None) -> tuple[Tensor, ...]:
        precision = self.config.precision
        self.d_opt.clear()
        for part in parts:
            fakes = self._generate_again(part) if shared is None else shared.detach()
            real = self._judge(part.reals, part.real_c, part, "augment real", precision)
            fake = self._judge(fakes, part.fake_c, part, "augment fake", precision)
            loss = discriminator_loss(real, fake)
            (loss * (self._scale / self._num_parts)).backward()
            seen = torch.stack([loss, real.sign().mean(), fake.sign().mean()])
            self.d_opt.sums += seen.detach() / self._num_parts
        norm = self.d_opt.step(self.ranks, self.lr_factor, self._scale)
        return *self.d_opt.sums.clone(), norm

    def _step_generator(self, parts: list[_Part], shared: Tensor | None) -> tuple[Tensor, Tensor]:
        precision = self.config.precision
        for p in self.d_opt.parameters:
            p.requires_grad_(False)
        for part in parts:
            fakes = self._generate(part) if shared is None else shared
            logits = self._judge(fakes, part.fake_c, part, "augment generator", precision)
            loss = generator_loss(logits)
            (loss * (self._scale / self._num_parts)).backward()
            self.g_opt.sums[0] += loss.detach() / self._num_parts
        for p in self.d_opt.parameters:
            p.requires_grad_(True)
        spoil("grad", self.g_opt.gradients, self.step_count + 1)
        norm = self.g_opt.step(self.ranks, self.lr_factor, self._scale)
        self._follow_statistics()
        return self.g_opt.sums[0].clone(), norm

    @torch.no_grad()
    def _follow_statistics(self) -> None:
        """Move w_avg and the input magnitudes of all layers towards those of this step's fakes."""
        config, layers = self.config, self.magnitudes.layers
        _, squares, w = self.g_opt.sums.split([1, len(layers), self.G.config.w_dim])
        follow_(self.G.mapping.w_avg, w, config.w_avg_decay)
        decay = 0.5 ** (config.batch / config.magnitude_half_life)
        for layer, square in zip(layers, squares, strict=True):
            follow_(layer.magnitude_ema, square, decay)

    def _step_r1(self, parts: list[_Part]) -> tuple[Tensor, Tensor]:
        weight = self.config.gamma / 2 * self.config.r1_interval
        self.d_opt.clear()
        for part in parts:
            reals = part.reals.detach().requires_grad_(True)
            logits = self._judge(reals, part.real_c, part, "augment r1", "fp32")
            penalty = r1_penalty(logits, reals)
            (penalty * (weight / self._num_parts)).backward()
            self.d_opt.sums[0] += penalty.detach() / self._num_parts
        norm = self.d_opt.step(self.ranks, self.lr_factor)
        return self.d_opt.sums[0].clone(), norm

    @torch.no_grad()
    def _average_generator(self) -> None:
        beta = self.config.ema_beta(self.num_images)
        averaged: list[Tensor] = list(self.G_ema.parameters())
        live: list[Tensor] = list(self.G.parameters())
        torch._foreach_lerp_(averaged, live, 1 - beta)
        for mine, theirs in zip(self.G_ema.buffers(), self.G.buffers(), strict=True):
            mine.copy_(theirs)

    def state_dict(self) -> dict[str, Any]:
        """Return everything a resumed run needs, as tensors and plain types."""
        parts = {name: getattr(self, name).state_dict() for name in STATEFUL}
        return {"step_count": self.step_count, **parts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state_dict()`.

        Raises:
            CheckpointError: names or shapes differ.
        """
        try:
            self.step_count = state["step_count"]
            for name in STATEFUL:
                getattr(self, name).load_state_dict(state[name])
        except (KeyError, RuntimeError) as error:
            message = f"training state: made with other options ({error}). Repeat those."
            raise CheckpointError(message, "E-MODEL-MISMATCH") from error


def train(trainer: Trainer, batches: Iterable[Any]) -> Iterator[TrainStep]:
    """Yield one `TrainStep` per batch (pictures, labels) until the run's total is reached."""
    if trainer.step_count >= trainer.config.total_steps:
        return
    for images, c in batches:
        yield trainer.step(images, c)
        if trainer.step_count >= trainer.config.total_steps:
            return
