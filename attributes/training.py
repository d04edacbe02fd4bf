"""Train a reader on drawn faces whose descriptions are known."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attributes.network import Network
from attributes.pictures import Examples
from attributes.schema import UNREADABLE, Truth
from data.image_io import from_uint8
from engine.fitting import warm_cosine
from stylegan.checkpoint import CheckpointError
from stylegan.config import ConfigError


@dataclass(frozen=True)
class ReaderTrainingConfig:
    """The recipe of one run.

    Raises:
        ConfigError: a value is out of range.
    """

    total_steps: int  # of the whole run
    lr: float = 2e-3  # peak learning rate of AdamW
    warmup: int = 200  # steps in which it rises; then it falls as a half cosine to 0
    weight_decay: float = 0.02
    precision: str = "fp32"  # or 'bf16' for the convolutions

    def __post_init__(self) -> None:
        if self.total_steps < 1:
            raise ConfigError(f"total_steps is {self.total_steps}; it must be at least 1.")

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of a step."""
        return self.lr * warm_cosine(step, self.total_steps, self.warmup)


class Trainer(ABC):
    """A network and its optimiser."""

    network: Any  # with a `config` that has `to_dict()`

    def __init__(self, network: nn.Module, config: ReaderTrainingConfig) -> None:
        self.network = network.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.config = config
        self.device = next(network.parameters()).device
        self.optimizer = torch.optim.AdamW(
            network.parameters(), config.lr, weight_decay=config.weight_decay, fused=True
        )
        self.step_count = 0

    @abstractmethod
    def loss(self, examples: Any) -> Tensor:
        """Return the loss of a batch."""

    def autocast(self) -> torch.autocast:
        """Return the context in which convolutions are computed as the recipe says."""
        is_bf16 = self.config.precision == "bf16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=is_bf16)

    def step(self, examples: Any) -> Tensor:
        """Descend on the loss of a batch and return it."""
        self.network.train()
        self.optimizer.param_groups[0]["lr"] = self.config.learning_rate(self.step_count)
        loss = self.loss(examples)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.step_count += 1
        return loss.detach()

    def state_dict(self) -> dict[str, Any]:
        """Return everything a resumed run needs, as tensors and plain types."""
        return {
            "config": self.network.config.to_dict(),
            "step_count": self.step_count,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict()["state"],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state_dict()`.

        Raises:
            CheckpointError: it is of another network or schema.
        """
        groups = self.optimizer.state_dict()["param_groups"]
        try:
            if state["config"] != self.network.config.to_dict():
                raise KeyError("other attributes or sizes")
            self.step_count = state["step_count"]
            self.network.load_state_dict(state["network"])
            self.optimizer.load_state_dict({"state": state["optimizer"], "param_groups": groups})
        except (KeyError, RuntimeError) as error:
            message = f"training state: does not fit this reader ({error}). Start anew."
            raise CheckpointError(message, "E-MODEL-MISMATCH") from error


class ReaderTrainer(Trainer):
    """A reader's network and its optimiser."""

    network: Network

    def loss(self, examples: Examples) -> Tensor:
        """Return the reading loss of a batch."""
        pictures = from_uint8(examples.pictures).to(self.device)
        with self.autocast():
            features = self.network.features(pictures)
        return reading_loss(self.network, features, examples.truth)


def reading_loss(network: Network, features: Tensor, truth: Truth) -> Tensor:
    """Return the mean over all attributes of -log p(truth), what cannot be read left out.

    p is a softmax for choices, and for numbers (in their units) a normal distribution.
    """
    choices, numbers = (torch.from_numpy(part).to(features.device) for part in truth)
    logits, means, spreads = network.answers(features)
    losses = [
        F.cross_entropy(each, choices[:, k], ignore_index=UNREADABLE, reduction="sum")
        for k, each in enumerate(logits)
    ]
    middles, units = numbers.new_tensor(list(network.config.numbers.values())).T
    wanted = (numbers - middles) / units
    is_known = wanted.isfinite()
    errors = (means - wanted.nan_to_num()).square()
    normal = (spreads + errors * (-spreads).exp()) / 2
    losses.append(normal.where(is_known, 0).sum())
    count = (choices != UNREADABLE).sum() + is_known.sum()
    return torch.stack(losses).sum() / count


def train(trainer: Trainer, batches: Iterable[Any]) -> Iterator[tuple[int, Tensor]]:
    """Yield (steps done, loss) until the run's total is reached."""
    remaining = range(trainer.step_count, trainer.config.total_steps)
    for step, examples in zip(remaining, batches, strict=False):
        loss = trainer.step(examples)
        yield step + 1, loss
