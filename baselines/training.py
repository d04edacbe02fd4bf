"""Train a colouriser on pictures: one recipe for all presets, with or without a discriminator."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.colorizer import ColorizerNetwork, grey, resize
from baselines.lab import ab_of
from baselines.patchgan import PatchGAN
from baselines.presets import ANSWERS
from baselines.unet import initialise
from data.loader import Loader
from engine.seeding import derive_generator
from stylegan.checkpoint import CheckpointError
from stylegan.config import ConfigError

PIXEL_LOSSES = {"l1": F.l1_loss, "l2": F.mse_loss}


@dataclass(frozen=True)
class ColorizerTrainingConfig:
    """What of a run is not the colouriser's own.

    Raises:
        ConfigError: a value is out of range.
    """

    total_steps: int  # of the whole run
    data_sha256: str  # of what is learned from: a run is resumed with the same
    precision: str = "fp32"  # or 'bf16' for the convolutions
    seed: int = 0

    def __post_init__(self) -> None:
        if self.total_steps < 1:
            raise ConfigError(f"total_steps is {self.total_steps}; it must be at least 1.")


class Losses(NamedTuple):
    """Means over a batch, 0 for what a preset does not have."""

    pixel: Tensor  # between answer and truth, in units of [-1, 1]
    enlarger: Tensor  # the same between enlarged and full-size grey
    judged: Tensor  # cross-entropy of the made pictures being taken for real
    judge: Tensor  # of the discriminator, mean over real and made


class ColorizerTrainer:
    """A colouriser, its discriminator if it has one, and their optimisers."""

    def __init__(self, network: ColorizerNetwork, config: ColorizerTrainingConfig) -> None:
        self.network, self.config = network, config
        preset = network.config
        self.device = next(network.parameters()).device
        self.nets: list[nn.Module] = [network]
        if preset.strides:
            channels = preset.seen_channels + ANSWERS[preset.answers]
            self.nets.append(PatchGAN(channels, preset.strides, preset.width, preset.judge_dropout))
        for net in self.nets:
            initialise(net, preset.init_std)
            net.train().to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        betas = (preset.beta1, 0.999)
        self.optimizers = [
            torch.optim.Adam(net.parameters(), preset.lr, betas, fused=True) for net in self.nets
        ]
        self.step_count = 0

    def step(self, x: Tensor) -> Losses:
        """Learn from pictures `[N, 3, S, S]` in [-1, 1] and return the losses."""
        torch.manual_seed(self._dice("dropout").initial_seed())
        x = x.to(self.device).contiguous(memory_format=torch.channels_last)
        y, preset = grey(x), self.network.config
        large = self._enlarged(y)
        seen = self.network.see(large.detach(), x)
        truth = ab_of(x) if preset.answers == "ab" else x
        answer = self._computed(self.network.colour, seen)
        pixel = PIXEL_LOSSES[preset.loss](answer, truth)
        enlarger = F.l1_loss(large, y) if preset.enlarges else torch.zeros_like(pixel)
        judge = self._train_judge(seen, truth, answer.detach())
        judged = self._judged(seen, answer, 1.0)
        self._descend(0, preset.loss_weight * (pixel + enlarger) + judged)
        self.step_count += 1
        return Losses(*(loss.detach() for loss in (pixel, enlarger, judged, judge)))

    def _enlarged(self, y: Tensor) -> Tensor:
        """Return what the network is given: grey, first made small where it is to enlarge it."""
        preset = self.network.config
        if not preset.enlarges:
            return y
        least, most = preset.side // 4, preset.side
        small = int(torch.randint(least, most, [], generator=self._dice("side")))
        return self._computed(self.network.enlarge, resize(y, small))

    def _train_judge(self, seen: Tensor, truth: Tensor, made: Tensor) -> Tensor:
        """Let the discriminator learn, at half its pace (Isola et al. 2017, section 3.3)."""
        loss = (self._judged(seen, truth, 1.0) + self._judged(seen, made, 0.0)) / 2
        if len(self.nets) > 1:
            self._descend(1, loss)
        return loss

    def _judged(self, seen: Tensor, answer: Tensor, wanted: float) -> Tensor:
        """Return the cross-entropy of the discriminator's opinion and the wanted one."""
        if len(self.nets) == 1:
            return answer.new_zeros([])
        logits = self._computed(self.nets[1], seen, answer)
        return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, wanted))

    def _computed(self, net: Callable[..., Tensor], *args: Tensor) -> Tensor:
        is_bf16 = self.config.precision == "bf16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=is_bf16):
            return net(*args).float()

    def _descend(self, which: int, loss: Tensor) -> None:
        """Take a step with one of the networks alone."""
        parameters = list(self.nets[which].parameters())
        for p, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            p.grad = gradient
        self.optimizers[which].step()

    def _dice(self, stream: str) -> torch.Generator:
        return derive_generator(self.config.seed, stream, self.step_count)

    def state_dict(self) -> dict[str, Any]:
        """Return everything a resumed run needs, as tensors and plain types."""
        return {
            "config": asdict(self.network.config),
            "data_sha256": self.config.data_sha256,
            "step_count": self.step_count,
            "nets": [net.state_dict() for net in self.nets],
            "optimizers": [each.state_dict()["state"] for each in self.optimizers],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state_dict()`.

        Raises:
            CheckpointError: it is of another colouriser or of other pictures.
        """
        try:
            if state["config"] != asdict(self.network.config):
                raise KeyError("another preset, size or option")
            if state["data_sha256"] != self.config.data_sha256:
                raise KeyError("other pictures")
            self.step_count = state["step_count"]
            for net, found in zip(self.nets, state["nets"], strict=True):
                net.load_state_dict(found)
            for each, moments in zip(self.optimizers, state["optimizers"], strict=True):
                groups = each.state_dict()["param_groups"]
                each.load_state_dict({"state": moments, "param_groups": groups})
        except (KeyError, RuntimeError) as error:
            message = f"training state: does not fit this run ({error}). Start anew."
            raise CheckpointError(message, "E-MODEL-MISMATCH") from error


def train(trainer: ColorizerTrainer, loader: Loader) -> Generator[tuple[int, Tensor]]:
    """Yield (steps done, `Losses` as one tensor) until the run's total is reached."""
    size, start = trainer.network.config.batch, trainer.step_count
    remaining = range(start, trainer.config.total_steps)
    with closing(loader.batches(lambda k: range(k * size, (k + 1) * size), start)) as batches:
        for step, batch in zip(remaining, batches, strict=False):
            yield step + 1, torch.stack(trainer.step(batch.images))
