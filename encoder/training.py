"""Train an encoder on examples that a frozen generator makes without end."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from encoder.examples import Batch
from encoder.losses import ImageLoss, flow_losses
from encoder.model import Encoder, Guess
from engine.fitting import warm_cosine
from engine.ranks import ALONE, Ranks
from stylegan.checkpoint import CheckpointError
from stylegan.config import ConfigError

MEASURED = (
    "residual_sqrt_cov",
    "curvature",
)  # of the encoder, not learned, and by the first process alone


@dataclass(frozen=True)
class EncoderTrainingConfig:
    """The recipe of one run. A step is a batch, of all processes together.

    Raises:
        ConfigError: a value is out of range.
    """

    total_steps: int  # of the whole run
    batch: int = 16  # examples per step
    passes: int = 1  # corrections of a guess that are trained: none, 1, ... in turn, step by step
    lr: float = 1e-3  # peak learning rate of AdamW
    warmup: int = 500  # steps in which it rises; then it falls as a half cosine to 0
    weight_decay: float = 0.01
    precision: str = "fp32"  # or 'bf16' for the convolutions
    seed: int = 0

    def __post_init__(self) -> None:
        if self.total_steps < 1:
            raise ConfigError(f"total_steps is {self.total_steps}; it must be at least 1.")
        if self.passes < 0:
            raise ConfigError(f"passes is {self.passes}; it must be at least 0.")

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of a step."""
        return self.lr * warm_cosine(step, self.total_steps, self.warmup)

    @property
    def turns(self) -> int:
        """Steps that learn from the same examples: the first guess, then its corrections."""
        return self.passes + 1

    def indices(self, step: int, ranks: Ranks) -> range:
        """Return the examples that a process learns from in a step.

        Raises:
            ConfigError: the batch does not go into equal parts.
        """
        part, rest = divmod(self.batch, ranks.size)
        if rest or not part:
            what = f"batch of {self.batch}: it does not go into {ranks.size} equal parts"
            raise ConfigError(f"{what}, one for each process. Change --batch.")
        first = step // self.turns * self.batch + ranks.rank * part
        return range(first, first + part)


class Losses(NamedTuple):
    """Means over a batch, each a number on the device."""

    mean: Tensor  # squared error of v, per element
    flow: Tensor  # of the velocity, about 1 where nothing is known
    image: Tensor  # of real pictures, 0 without them


class EncoderTrainer:
    """An encoder and its optimiser, the same in all processes.

    Raises:
        ConfigError: the batch does not go into equal parts.
    """

    def __init__(
        self,
        encoder: Encoder,
        config: EncoderTrainingConfig,
        ranks: Ranks = ALONE,
        image_loss: ImageLoss | None = None,
    ) -> None:
        config.indices(0, ranks)  # refuses a batch that cannot be shared
        self.encoder = encoder.train()
        self.config, self.ranks, self.image_loss = config, ranks, image_loss
        self.parameters = list(encoder.parameters())
        self.optimizer = torch.optim.AdamW(
            self.parameters, config.lr, weight_decay=config.weight_decay, fused=True
        )
        self.step_count = 0

    def step(self, batch: Batch) -> Losses:
        """Descend on the sum of the losses and return them."""
        self.encoder.train()
        self.optimizer.param_groups[0]["lr"] = self.config.learning_rate(self.step_count)
        self.optimizer.zero_grad()
        losses = self._losses(batch)
        share = 1 / self.ranks.size
        (torch.stack(losses).sum() * share).backward()
        for p in self.parameters:  # none may lack a gradient in one process and have it in another
            p.grad = torch.zeros_like(p) if p.grad is None else p.grad
        told = torch.stack(losses).detach() * share
        self._sum_over_processes(told)
        self.optimizer.step()
        self.step_count += 1
        return Losses(*told)

    def _losses(self, batch: Batch) -> Losses:
        guess = self._guess(batch)
        mean = (guess.v - batch.v).square().mean()
        seen = (self.config.seed, batch.indices, self._turn)
        flow = flow_losses(self.encoder.flow, guess, batch.v, *seen).mean()
        return Losses(mean, flow, self._image_loss(batch, mean))

    @property
    def _turn(self) -> int:
        return self.step_count % self.config.turns

    def _guess(self, batch: Batch) -> Guess:
        """Return the guess of this step's turn: the first, or a correction of one."""
        guess = None
        y_hat = None
        for _ in range(self._turn):
            with torch.no_grad():
                guess = self._look(batch.look, guess, y_hat)
            y_hat = batch.measure(guess.v, guess.delta)
        return self._look(batch.look, guess, y_hat)

    def _image_loss(self, batch: Batch, like: Tensor) -> Tensor:
        """Return the sum over this process's real pictures, over the number of its examples."""
        if batch.real is None or self.image_loss is None:
            return torch.zeros_like(like)
        guess = self._look(batch.real.look)
        return self.image_loss(guess, batch.real.x).sum() / len(batch.indices)

    def _look(self, *args: Any) -> Guess:
        device = self.parameters[0].device.type
        with torch.autocast(device, torch.bfloat16, enabled=self.config.precision == "bf16"):
            guess: Guess = self.encoder(*args)
        return Guess(*(t.float() for t in (guess.features, guess.v, guess.delta)))

    def _sum_over_processes(self, told: Tensor) -> None:
        """Replace gradients, and what is told of the step, by their sums."""
        if self.ranks.size == 1:
            return
        tensors = [told, *(p.grad for p in self.parameters if p.grad is not None)]
        flat = self.ranks.sum_(torch.cat([t.flatten() for t in tensors]))
        for tensor, piece in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(piece.view_as(tensor))

    def state_dict(self) -> dict[str, Any]:
        """Return everything a resumed run needs, as tensors and plain types."""
        return {
            "generator_sha256": self.encoder.config.generator_sha256,
            "step_count": self.step_count,
            "encoder": {k: v for k, v in self.encoder.state_dict().items() if k not in MEASURED},
            "optimizer": self.optimizer.state_dict()["state"],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state_dict()`.

        Raises:
            CheckpointError: it is of another generator, or names or shapes differ.
        """
        if state.get("generator_sha256") != self.encoder.config.generator_sha256:
            message = "training state: of another generator. Give the one it was started with."
            raise CheckpointError(message, "E-MODEL-MISMATCH")
        groups = self.optimizer.state_dict()["param_groups"]
        try:
            self.step_count = state["step_count"]
            measured = {name: getattr(self.encoder, name) for name in MEASURED}
            self.encoder.load_state_dict(state["encoder"] | measured)
            self.optimizer.load_state_dict({"state": state["optimizer"], "param_groups": groups})
        except (KeyError, RuntimeError) as error:
            message = f"training state: does not fit this encoder ({error}). Start anew."
            raise CheckpointError(message, "E-MODEL-MISMATCH") from error


def train(
    trainer: EncoderTrainer, examples: Callable[[range], Batch]
) -> Iterator[tuple[int, Tensor]]:
    """Yield (steps done, `Losses` as one tensor) until the run's total is reached.

    The next examples are made on a thread of their own while the trainer learns.

    Args:
        trainer: the trainer.
        examples: of these indices.
    """
    first, config = trainer.step_count, trainer.config
    if first >= config.total_steps:
        return
    with ThreadPoolExecutor(1, "examples") as ahead:
        upcoming = ahead.submit(examples, config.indices(first, trainer.ranks))
        for step in range(first, config.total_steps):
            if step == first or step % config.turns == 0:
                batch, following = upcoming.result(), (step // config.turns + 1) * config.turns
                if following < config.total_steps:
                    upcoming = ahead.submit(examples, config.indices(following, trainer.ranks))
            yield step + 1, torch.stack(trainer.step(batch))
