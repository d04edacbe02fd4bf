"""The recipe of a training: its numbers, and what follows from them alone."""

import math
from dataclasses import dataclass

from stylegan.config import ConfigError


@dataclass(frozen=True)
class TrainingConfig:
    """The recipe of one run. One step is one batch of real pictures, of all processes together.

    Raises:
        ConfigError: a value is out of range.
    """

    total_steps: int  # steps of the whole run, resumed parts included
    batch: int = 32  # real pictures per step
    batch_gpu: int | None = None  # pictures that a process handles at a time; None: all of its own
    gamma: float = 2.0  # weight of the R1 penalty
    g_lr: float = 2.5e-3  # learning rate of the generator
    d_lr: float = 2e-3  # learning rate of the discriminator
    r1_interval: int = 16  # steps between two R1 penalties
    ema_kimg: float = 10.0  # half-life of the generator's average, thousands of pictures
    ema_rampup: float | None = 0.05  # at first, half-life over pictures seen; None: no such start
    anneal: float = 0.3  # last share of the run in which learning rates fall
    lr_floor: float = 0.25  # what they fall to
    blur_sigma: float = 0.0  # pixels, of the blur before D that fades away at the start of the run
    blur_kimg: float = 200.0  # thousands of pictures until it is gone
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
        half_life = self.ema_kimg * 1000
        if self.ema_rampup is not None:
            half_life = min(half_life, num_images * self.ema_rampup)
        return 0.5 ** (self.batch / max(half_life, 1e-8))

    def num_passes(self, num_ranks: int) -> int:
        """Return in how many parts each of `num_ranks` processes takes its share of a batch.

        Raises:
            ConfigError: the batch does not divide so.
        """
        at_a_time = self.batch_gpu or max(self.batch // num_ranks, 1)
        passes, rest = divmod(self.batch, num_ranks * at_a_time)
        if rest or not passes:
            what = f"batch of {self.batch}: not {num_ranks} processes times {at_a_time} pictures"
            raise ConfigError(f"{what} times a whole number. Change --batch or --batch-gpu.")
        return passes
