"""How strongly to augment: until the discriminator no longer tells training pictures apart.

The controller of "Training Generative Adversarial Networks with Limited Data" (Karras et al. 2020,
section 3): r = E[sign(D(real))] rises towards 1 as D overfits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from torch import Tensor

from engine.later import Later
from stylegan.augment import augment, draw_numbers
from stylegan.config import ConfigError


@dataclass(frozen=True)
class AdaptationConfig:
    """How the augmentation probability p follows D.

    Raises:
        ConfigError: a value is out of range.
    """

    target: float = 0.6  # r that p is steered towards
    kimg: float = 500.0  # thousands of pictures in which p could go from 0 to 1; inf: p stays
    interval: int = 4  # steps between two changes of p
    initial_p: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.initial_p <= 1:
            raise ConfigError(f"initial_p is {self.initial_p}; it must lie in [0, 1].")
        if not -1 <= self.target <= 1:
            raise ConfigError(f"target is {self.target}; it must lie in [-1, 1].")
        if not self.kimg > 0:
            raise ConfigError(f"kimg is {self.kimg}; it must be positive.")
        if self.interval < 1:
            raise ConfigError(f"interval is {self.interval}; it must be at least 1.")


NO_AUGMENTATION = AdaptationConfig(kimg=inf)


class AdaptiveAugmentation:
    """Augments pictures with a probability `p` that it adapts to what it observes of D.

    Every step: call it on all that D is to see, then `observe` the signs of D(real).
    """

    def __init__(self, config: AdaptationConfig, seed: int) -> None:
        self.config, self.seed = config, seed
        self.p = config.initial_p
        self.waiting: tuple[Later, int] = (Later(0.0), 0)  # what was seen in the interval before
        self._forget()

    def _forget(self) -> None:
        self.num_steps, self.num_images = 0, 0
        self.sign_sum: Tensor | float = 0.0

    def __call__(self, images: Tensor, stream: str, indices: Sequence[int]) -> Tensor:
        """Return `images` `[N, 3, R, R]` in [-1, 1], augmented and not clipped.

        Each picture's change depends only on (seed, stream, its index) and p.

        Args:
            images: samples.
            stream: use of the pictures; those of another stream change independently.
            indices: of the samples, over the whole run and all processes.
        """
        if self.p == 0:
            return images
        return augment(images, self.p, draw_numbers(self.seed, stream, indices))

    def observe(self, real_sign: Tensor | float, num_images: int) -> None:
        """Note one step's mean sign of D(real) over its `num_images` pictures of all processes.

        Every `interval` steps p moves by the pictures' share of `kimg`, towards `target`, after
        what was seen in the interval before: no step waits for a number still to be computed.
        """
        self.sign_sum = self.sign_sum + real_sign * num_images
        self.num_images += num_images
        self.num_steps += 1
        if self.num_steps == self.config.interval:
            self._adapt(*self.waiting)
            self.waiting = (Later(self.sign_sum), self.num_images)
            self._forget()

    def _adapt(self, sign_sum: Later, num_images: int) -> None:
        if num_images:
            excess = float(sign_sum) / num_images - self.config.target
            direction = (excess > 0) - (excess < 0)
            p = self.p + direction * num_images / (self.config.kimg * 1000)
            self.p = min(max(p, 0.0), 1.0)

    def state_dict(self) -> dict[str, Any]:
        """Return p and what was observed that has not changed it yet, as plain values."""
        sign_sum, num_images = self.waiting
        return {
            "p": self.p,
            "waiting_sign_sum": float(sign_sum),
            "waiting_num_images": num_images,
            "sign_sum": float(self.sign_sum),
            "num_images": self.num_images,
            "num_steps": self.num_steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state_dict()`.

        Raises:
            KeyError: a name is missing.
        """
        self.waiting = (Later(state["waiting_sign_sum"]), state["waiting_num_images"])
        self.p, self.sign_sum = state["p"], state["sign_sum"]
        self.num_images, self.num_steps = state["num_images"], state["num_steps"]
