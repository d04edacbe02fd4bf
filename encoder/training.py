"""Train an encoder on pairs (y, v) that a frozen generator makes without end."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from encoder.model import Encoder
from engine.fitting import warm_cosine
from stylegan.checkpoint import CheckpointError
from stylegan.config import ConfigError

Pairs = Callable[[int], tuple[Tensor, Tensor]]  # step -> y [N, 1, h, w], v [N, latent_dim]


@dataclass(frozen=True)
class EncoderTrainingConfig:
    """The recipe of one run.

    Raises:
        ConfigError: a value is out of range.
    """

    total_steps: int  # of the whole run
    lr: float = 1e-3  # peak learning rate of AdamW
    warmup: int = 500  # steps in which it rises; then it falls as a half cosine to 0
    weight_decay: float = 0.01
    precision: str = "fp32"  # or 'bf16' for the convolutions

    def __post_init__(self) -> None:
        if self.total_steps < 1:
            raise ConfigError(f"total_steps is {self.total_steps}; it must be at least 1.")

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of a step."""
        return self.lr * warm_cosine(step, self.total_steps, self.warmup)


@dataclass(frozen=True)
class HeldOut:
    """Errors on held-out pairs; R^2 is 1 for exact, 0 for always answering the mean."""

    mse_w: float
    r2_w: float
    mse_v: float
    r2_v: float


class EncoderTrainer:
    """An encoder and its optimiser."""

    def __init__(self, encoder: Encoder, config: EncoderTrainingConfig) -> None:
        self.encoder = encoder.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.config = config
        self.optimizer = torch.optim.AdamW(
            encoder.parameters(), config.lr, weight_decay=config.weight_decay, fused=True
        )
        self.step_count = 0

    def step(self, y: Tensor, v: Tensor) -> Tensor:
        """Descend on `E |encoder(y) - v|^2` and return the loss, per element."""
        self.encoder.train()
        self.optimizer.param_groups[0]["lr"] = self.config.learning_rate(self.step_count)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.config.precision == "bf16"):
            guess = self.encoder(y)
        loss = (guess.float() - v).square().mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.step_count += 1
        return loss.detach()

    def state_dict(self) -> dict[str, Any]:
        """Return everything a resumed run needs, as tensors and plain types."""
        return {
            "generator_sha256": self.encoder.config.generator_sha256,
            "step_count": self.step_count,
            "encoder": self.encoder.state_dict(),
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
            self.encoder.load_state_dict(state["encoder"])
            self.optimizer.load_state_dict({"state": state["optimizer"], "param_groups": groups})
        except (KeyError, RuntimeError) as error:
            message = f"training state: does not fit this encoder ({error}). Start anew."
            raise CheckpointError(message, "E-MODEL-MISMATCH") from error


def train(trainer: EncoderTrainer, pairs: Pairs) -> Iterator[tuple[int, Tensor]]:
    """Yield (steps done, loss) until the run's total is reached.

    The pairs of the next step are made on a thread of their own while the trainer learns.
    """
    first, total = trainer.step_count, trainer.config.total_steps
    if first >= total:
        return
    with ThreadPoolExecutor(1, "pairs") as ahead:
        upcoming = ahead.submit(pairs, first)
        for step in range(first + 1, total + 1):
            y, v = upcoming.result()
            if step < total:
                upcoming = ahead.submit(pairs, step)
            loss = trainer.step(y, v)
            yield step, loss


@torch.inference_mode()
def predict(encoder: Encoder, y: Tensor, batch: int = 100) -> Tensor:
    """Return the guesses of v for `y [N, 1, h, w]` in evaluation mode."""
    encoder.eval()
    return torch.cat([encoder(part) for part in y.split(batch)])


def _r2(guess: Tensor, truth: Tensor) -> tuple[float, float]:
    mse = (guess - truth).square().mean().item()
    return mse, 1 - mse / (truth - truth.mean(0)).square().mean().item()


def evaluate(guess: Tensor, v: Tensor, to_w: Callable[[Tensor], Tensor]) -> HeldOut:
    """Compare guesses `[N, latent_dim]` with the truth, in v and in the generator's own w."""
    mse_v, r2_v = _r2(guess, v)
    mse_w, r2_w = _r2(to_w(guess), to_w(v))
    return HeldOut(mse_w, r2_w, mse_v, r2_v)


def set_residual_covariance(encoder: Encoder, guess: Tensor, v: Tensor) -> None:
    """Store the symmetric root of the second moment of the errors on held-out pairs."""
    errors = (v - guess).double()
    values, vectors = torch.linalg.eigh(errors.T @ errors / len(errors))
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    encoder.residual_sqrt_cov.copy_(root)
