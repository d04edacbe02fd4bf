"""The mean square of every synthesis layer's input, followed over the run."""

import torch
from torch import Tensor, nn

from stylegan.generator import Generator
from stylegan.layers import SynthesisLayer


class MagnitudeRecorder:
    """Record the mean square of every synthesis layer's input while it is attached.

    Attributes:
        values: one scalar per layer, in order.
    """

    def __init__(self, G: Generator) -> None:
        self.layers: list[SynthesisLayer] = list(G.synthesis.layers)  # type: ignore[arg-type]
        self.values: list[Tensor] = []

    def _record(self, layer: nn.Module, inputs: tuple[Tensor, Tensor]) -> None:
        x = inputs[0].detach()
        square = torch.linalg.vector_norm(x, dtype=torch.float32).square()
        self.values.append(square / x.numel())

    def __enter__(self) -> "MagnitudeRecorder":
        self.values.clear()
        self.handles = [layer.register_forward_pre_hook(self._record) for layer in self.layers]
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()


def follow_(average: Tensor, value: Tensor, decay: float) -> None:
    """Move a running average towards `value`, unless that is not finite."""
    average.copy_(torch.where(value.isfinite().all(), value.lerp(average, decay), average))
