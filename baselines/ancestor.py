"""The direct ancestor of this project: a ResNet-50 answers one w, random fine layers the colours.

As published (A.N.I.M.E., ML4641): the encoder learns from a generator's pictures alone, truncated,
made small by taking every so-manieth pixel and grey by the plain mean of the colours; its loss is
the squared error of w. Candidates repeat that w in all layers and replace the finer half by other
random w. Nothing compares a candidate with the input: its known fault.
"""

from __future__ import annotations

import functools
from collections.abc import Generator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from baselines.colorizer import resize
from encoder.gaussian import GaussianConfig, GaussianEncoder
from engine.files import file_sha256
from engine.fitting import Reporter, warm_cosine
from engine.seeding import derive_generator
from stylegan import Generator as StyleGAN
from stylegan.checkpoint import (
    CheckpointError,
    config_from,
    read_weights,
    restore,
    save_weights,
)

KIND, WEIGHTS = "ancestor", "ancestor.safetensors"
PSI = 0.7  # truncation of all it learns from and shows
NUM_HELD_OUT = 512


@dataclass(frozen=True)
class AncestorTrainingConfig:
    """The recipe of one run."""

    total_steps: int
    batch: int = 16
    lr: float = 1e-3  # of AdamW, falling as a half cosine
    precision: str = "fp32"  # or 'bf16' for the convolutions
    seed: int = 0


@dataclass(frozen=True)
class Renders:
    """Pairs of a small grey picture and its w, without end."""

    G: StyleGAN
    seed: int
    side: int = 32  # of the grey pictures
    precision: str = "fp32"  # of the generator

    @torch.no_grad()
    def draw(self, stream: str, num: int, step: int) -> tuple[Tensor, Tensor]:
        """Return y `[num, 1, side, side]` in [-1, 1] and w `[num, w_dim]` of a step."""
        generator = derive_generator(self.seed, stream, step)
        z = torch.randn(num, self.G.config.z_dim, generator=generator)
        ws = self.G.mapping(z.to(self.G.mapping.w_avg.device), truncation_psi=PSI)
        x = self.G.synthesis(ws, precision=self.precision).clamp(-1, 1)
        return F.interpolate(x.mean(1, keepdim=True), (self.side, self.side)), ws[:, 0]


class AncestorTrainer:
    """The encoder and its optimiser."""

    def __init__(
        self, encoder: GaussianEncoder, config: AncestorTrainingConfig, renders: Renders
    ) -> None:
        self.encoder, self.config, self.renders = encoder.train(), config, renders
        self.optimizer = torch.optim.AdamW(encoder.parameters(), config.lr)
        self.step_count = 0

    def step(self) -> Tensor:
        """Learn from new renders and return the squared error of w, per element."""
        config = self.config
        rate = config.lr * warm_cosine(self.step_count, config.total_steps, 0)
        self.optimizer.param_groups[0]["lr"] = rate
        y, w = self.renders.draw("ancestor", config.batch, self.step_count)
        with torch.autocast(y.device.type, torch.bfloat16, enabled=config.precision == "bf16"):
            found = self.encoder.mean(y)
        loss = F.mse_loss(found.float(), w)
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
            CheckpointError: it is of another generator, or of something else.
        """
        groups = self.optimizer.state_dict()["param_groups"]
        try:
            if state["generator_sha256"] != self.encoder.config.generator_sha256:
                raise KeyError("another generator")
            self.step_count = state["step_count"]
            self.encoder.load_state_dict(state["encoder"])
            self.optimizer.load_state_dict({"state": state["optimizer"], "param_groups": groups})
        except (KeyError, RuntimeError) as error:
            message = f"training state: does not fit this run ({error}). Start anew."
            raise CheckpointError(message, "E-MODEL-MISMATCH") from error


def train(trainer: AncestorTrainer) -> Generator[tuple[int, Tensor]]:
    """Yield (steps done, loss) until the run's total is reached."""
    for step in range(trainer.step_count, trainer.config.total_steps):
        yield step + 1, trainer.step()


class AncestorReporter(Reporter):
    """Measure the error of w on renders kept apart; write figures, the curve and weights."""

    trainer: AncestorTrainer

    @functools.cached_property
    def exam(self) -> list[tuple[Tensor, Tensor]]:
        """Return the renders kept apart."""
        draw = self.trainer.renders.draw
        return [draw("held-out", 32, k) for k in range(NUM_HELD_OUT // 32)]

    def snapshot(self) -> None:
        """Measure, and write everything."""
        encoder = self.trainer.encoder.eval()
        with torch.no_grad():
            errors = torch.cat([encoder.mean(y) - w for y, w in self.exam])
        encoder.train()
        w = torch.cat([w for _, w in self.exam])
        mse, variance = errors.square().mean().item(), (w - w.mean(0)).square().mean().item()
        row = {"train_mse": self.mean_loss().item(), "mse": mse, "r2": 1 - mse / variance}
        facts = {"trained_steps": self.trainer.step_count, **row}
        state = encoder.state_dict()
        save_weights(self.run / WEIGHTS, KIND, asdict(encoder.config), state, **facts)
        self.write(
            row, f"mse of w {mse:.4f} (always the mean: {variance:.4f}), R^2 {row['r2']:.4f}"
        )


class Ancestor:
    """The ancestor as the evaluation takes it (`evaluation.methods.Colorizer`).

    Args:
        encoder: trained for G.
        G: the generator.
        num: candidates.
        finished: side of its pictures; the generator's if not given.
    """

    name, seen = "ancestor", "grey"

    def __init__(
        self, encoder: GaussianEncoder, G: StyleGAN, num: int, finished: int | None = None
    ) -> None:
        self.encoder, self.G, self.num = encoder, G, num
        self.finished = finished or G.config.img_resolution

    def see(self, x: Tensor, y: Tensor) -> Tensor:
        """Return y."""
        return y

    @torch.no_grad()
    def __call__(self, y: Tensor) -> Tensor:
        """Return candidates `[num, 3, finished, finished]` in [-1, 1] of y `[1, 1, h, w]`."""
        num_ws = self.G.config.num_ws
        ws = self.encoder.mean(y)[:, None].repeat(self.num, num_ws, 1)
        for k in range(self.num):
            z = torch.randn(1, self.G.config.z_dim, generator=derive_generator(0, "fine", k))
            ws[k, num_ws // 2 :] = self.G.mapping(z.to(y.device), truncation_psi=PSI)[0, 0]
        return resize(self.G.synthesis(ws).clamp(-1, 1), self.finished)


def new_ancestor(G: StyleGAN, generator_path: Path) -> GaussianEncoder:
    """Return an untrained encoder for a generator."""
    return GaussianEncoder(GaussianConfig(G.config.w_dim, file_sha256(generator_path)))


def load_ancestor(
    path: Path, G: StyleGAN, generator_path: Path, num: int, finished: int | None = None
) -> Ancestor:
    """Load the ancestor's encoder, for the generator that it was trained for.

    Raises:
        CheckpointError: missing, damaged, or for another generator.
    """
    metadata, state = read_weights(path, KIND)
    config = config_from(metadata, GaussianConfig, path)
    if config.generator_sha256 != file_sha256(generator_path):
        message = f"{path}: trained for another generator than {generator_path}. Give that one."
        raise CheckpointError(message, "E-MODEL-MISMATCH")
    return Ancestor(restore(GaussianEncoder, config, state, path), G, num, finished)
