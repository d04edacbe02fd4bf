"""Train a StyleGAN3: logistic loss, lazy R1, averaged generator (Karras et al. 2021, app. D)."""

import copy
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from engine.interrupts import interrupts_held
from engine.seeding import derive_generator
from stylegan.adaptation import NO_AUGMENTATION, AdaptationConfig, AdaptiveAugmentation
from stylegan.checkpoint import CheckpointError
from stylegan.config import ConfigError
from stylegan.discriminator import Discriminator, samples_per_group
from stylegan.generator import Generator
from stylegan.guard import FiniteGuard
from stylegan.layers import SynthesisLayer
from stylegan.losses import discriminator_loss, generator_loss, r1_penalty


@dataclass(frozen=True)
class TrainingConfig:
    """The recipe of one run. One step is one batch of real pictures.

    Raises:
        ConfigError: a value is out of range.
    """

    total_steps: int  # steps of the whole run, resumed parts included
    batch: int = 32  # real pictures per step
    gamma: float = 2.0  # weight of the R1 penalty
    g_lr: float = 2.5e-3  # learning rate of the generator
    d_lr: float = 2e-3  # learning rate of the discriminator
    r1_interval: int = 16  # steps between two R1 penalties
    ema_kimg: float = 10.0  # half-life of the generator's average, thousands of pictures
    ema_rampup: float = 0.05  # at first, half-life over pictures seen
    anneal: float = 0.3  # last share of the run in which learning rates fall
    lr_floor: float = 0.25  # what they fall to
    w_avg_decay: float = 0.998  # per step
    magnitude_half_life: float = 20_000  # pictures, of the running input magnitudes
    precision: str = "fp32"  # of the signals between layers; R1 is always float32
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("total_steps", "batch", "r1_interval"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be at least 1.")
        for name in ("anneal", "lr_floor"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must lie in [0, 1].")

    def lr_factor(self, step: int) -> float:
        """Return what learning rates are multiplied by: 1, then a half cosine to the floor."""
        if not self.anneal:
            return 1.0
        progress = (step / self.total_steps - (1 - self.anneal)) / self.anneal
        return 1 - (1 - self.lr_floor) * (1 - math.cos(math.pi * min(max(progress, 0), 1))) / 2

    def ema_beta(self, num_images: int) -> float:
        """Return the decay of the generator's average after `num_images` pictures."""
        half_life = min(self.ema_kimg * 1000, num_images * self.ema_rampup)
        return 0.5 ** (self.batch / max(half_life, 1e-8))


@dataclass(frozen=True)
class TrainStep:
    """What one step reports. Losses stay tensors, so that no step waits for them."""

    step: int  # steps done
    num_images: int  # real pictures seen
    g_loss: Tensor
    d_loss: Tensor
    real_sign: Tensor  # mean sign of D(real): near 1, D overfits; near 0, it sees nothing
    r1: Tensor | None  # only in steps that apply it
    g_grad_norm: Tensor  # of all weights together; a step whose norms are not finite is skipped
    d_grad_norm: Tensor


class MagnitudeRecorder:
    """Record the mean square of every synthesis layer's input while it is attached."""

    def __init__(self, G: Generator) -> None:
        self.layers: list[SynthesisLayer] = list(G.synthesis.layers)  # type: ignore[arg-type]
        self.values: dict[int, Tensor] = {}

    def _record(self, layer: nn.Module, inputs: tuple[Tensor, Tensor]) -> None:
        x = inputs[0].detach()
        square = torch.linalg.vector_norm(x, dtype=torch.float32).square()
        self.values[self.layers.index(layer)] = square / x.numel()  # type: ignore[arg-type]

    def __enter__(self) -> "MagnitudeRecorder":
        self.handles = [layer.register_forward_pre_hook(self._record) for layer in self.layers]
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()

    def update(self, decay: float) -> None:
        """Move every layer's `magnitude_ema` towards what was recorded."""
        for index, value in self.values.items():
            magnitude = self.layers[index].magnitude_ema
            magnitude.copy_(_if_finite(value.lerp(magnitude, decay), magnitude))


def _if_finite(new: Tensor, old: Tensor) -> Tensor:
    return torch.where(new.isfinite().all(), new, old)


def _adam(module: nn.Module, lr: float, lazy_ratio: float = 1.0) -> torch.optim.Adam:
    """Adam with betas (0, 0.99), corrected for the steps that lazy regularisation adds."""
    betas = (0.0**lazy_ratio, 0.99**lazy_ratio)
    return torch.optim.Adam(module.parameters(), lr * lazy_ratio, betas, eps=1e-8, fused=True)


def _adam_state(optimizer: torch.optim.Optimizer) -> dict[int, dict[str, Tensor]]:
    """Return Adam's state without first moments, which with beta1 = 0 no step reads."""
    state = optimizer.state_dict()["state"]
    return {i: {k: v for k, v in s.items() if k != "exp_avg"} for i, s in state.items()}


def _restore_adam(optimizer: torch.optim.Optimizer, state: dict[int, dict[str, Tensor]]) -> None:
    groups = optimizer.state_dict()["param_groups"]
    whole = {i: {**s, "exp_avg": torch.zeros_like(s["exp_avg_sq"])} for i, s in state.items()}
    optimizer.load_state_dict({"state": whole, "param_groups": groups})


class Trainer:
    """Generator, discriminator, averaged generator and their optimisers, stepped together.

    Raises:
        ConfigError: the batch does not divide into the discriminator's groups.
    """

    def __init__(
        self,
        G: Generator,
        D: Discriminator,
        config: TrainingConfig,
        adaptation: AdaptationConfig = NO_AUGMENTATION,
    ) -> None:
        samples_per_group(config.batch, D.config.mbstd_group_size)
        self.augmentation = AdaptiveAugmentation(adaptation, config.seed)
        self.guard = FiniteGuard()
        self.G, self.D, self.config = G.train(), D.train(), config
        self.G_ema = copy.deepcopy(G).eval().requires_grad_(False)
        interval = config.r1_interval
        self.g_opt = _adam(G, config.g_lr)
        self.d_opt = _adam(D, config.d_lr, interval / (interval + 1))
        self.base_lrs = {opt: opt.param_groups[0]["lr"] for opt in (self.g_opt, self.d_opt)}
        self.step_count = 0

    @property
    def num_images(self) -> int:
        """Real pictures seen so far."""
        return self.step_count * self.config.batch

    @interrupts_held()
    def step(self, reals: Tensor) -> TrainStep:
        """Take one step on real pictures `[batch, 3, R, R]` in [-1, 1].

        D and G learn from the same fakes: one generator pass serves both. Gradients that are not
        finite change nothing.

        Raises:
            TrainingError: too many steps had such gradients.
        """
        self._set_learning_rates()
        fakes = self._generate()
        d_loss, real_sign, d_norm = self._step_discriminator(reals, fakes.detach())
        g_loss, g_norm = self._step_generator(fakes)
        is_lazy = self.step_count % self.config.r1_interval == 0
        r1, r1_norm = self._step_r1(reals) if is_lazy else (None, d_norm)
        self.augmentation.observe(real_sign, self.config.batch)
        self.step_count += 1
        self._average_generator()
        self.guard.observe(self.step_count, [g_norm, d_norm, r1_norm])
        losses = g_loss, d_loss, real_sign, r1
        return TrainStep(self.step_count, self.num_images, *losses, g_norm, d_norm)

    def _augment(self, images: Tensor, stream: str) -> Tensor:
        return self.augmentation(images, stream, self.num_images)

    def _set_learning_rates(self) -> None:
        factor = self.config.lr_factor(self.step_count)
        for optimizer, base in self.base_lrs.items():
            optimizer.param_groups[0]["lr"] = base * factor

    def _generate(self) -> Tensor:
        config = self.config
        generator = derive_generator(config.seed, "z", self.step_count)
        z = torch.randn(config.batch, self.G.config.z_dim, generator=generator)
        ws = self.G.mapping(z)
        mean_w = ws[:, 0].detach().mean(0)
        w_avg = self.G.mapping.w_avg
        w_avg.copy_(_if_finite(mean_w.lerp(w_avg, config.w_avg_decay), w_avg))
        with MagnitudeRecorder(self.G) as magnitudes:
            fakes = self.G.synthesis(ws, precision=config.precision)
        magnitudes.update(0.5 ** (config.batch / config.magnitude_half_life))
        return fakes

    def _step_discriminator(self, reals: Tensor, fakes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        precision = self.config.precision
        real_logits = self.D(self._augment(reals, "augment real"), precision=precision)
        fake_logits = self.D(self._augment(fakes, "augment fake"), precision=precision)
        loss = discriminator_loss(real_logits, fake_logits)
        norm = self._descend(self.d_opt, loss)
        return loss.detach(), real_logits.detach().sign().mean(), norm

    def _step_generator(self, fakes: Tensor) -> tuple[Tensor, Tensor]:
        self.D.requires_grad_(False)
        fakes = self._augment(fakes, "augment generator")
        loss = generator_loss(self.D(fakes, precision=self.config.precision))
        norm = self._descend(self.g_opt, loss)
        self.D.requires_grad_(True)
        return loss.detach(), norm

    def _step_r1(self, reals: Tensor) -> tuple[Tensor, Tensor]:
        reals = reals.detach().requires_grad_(True)
        penalty = r1_penalty(self.D(self._augment(reals, "augment r1")), reals)
        weight = self.config.gamma / 2 * self.config.r1_interval
        return penalty.detach(), self._descend(self.d_opt, penalty * weight)

    @staticmethod
    def _descend(optimizer: torch.optim.Adam, loss: Tensor) -> Tensor:
        """Step down the gradient of `loss` if it is finite, and return its norm."""
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        grads = [p.grad for p in optimizer.param_groups[0]["params"] if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(grads)
        optimizer.found_inf = (~norm.isfinite()).float()  # type: ignore[attr-defined]  # skips
        optimizer.step()
        return norm

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
        return {
            "step_count": self.step_count,
            "G": self.G.state_dict(),
            "D": self.D.state_dict(),
            "G_ema": self.G_ema.state_dict(),
            "g_opt": _adam_state(self.g_opt),
            "d_opt": _adam_state(self.d_opt),
            "augmentation": self.augmentation.state_dict(),
            "guard": self.guard.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state_dict()`.

        Raises:
            CheckpointError: names or shapes differ.
        """
        try:
            self.step_count = state["step_count"]
            for name in ("G", "D", "G_ema"):
                getattr(self, name).load_state_dict(state[name])
            _restore_adam(self.g_opt, state["g_opt"])
            _restore_adam(self.d_opt, state["d_opt"])
            self.augmentation.load_state_dict(state["augmentation"])
            self.guard.load_state_dict(state["guard"])
        except (KeyError, RuntimeError) as error:
            message = f"training state: made with other options ({error}). Repeat those."
            raise CheckpointError(message, "E-MODEL-MISMATCH") from error


def train(trainer: Trainer, batches: Iterable[Tensor]) -> Iterator[TrainStep]:
    """Yield one `TrainStep` per batch until the run's total is reached."""
    if trainer.step_count >= trainer.config.total_steps:
        return
    for reals in batches:
        yield trainer.step(reals)
        if trainer.step_count >= trainer.config.total_steps:
            return
