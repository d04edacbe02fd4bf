"""Adam on gradients that lie in one tensor, so that processes add them up in one call."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from engine.ranks import Ranks


class FlatAdam:
    """Adam (Kingma and Ba 2015) with betas (0, 0.99), of gradients summed over all processes.

    `backward()` adds to the gradients in place: each parameter's `grad` is a view of one tensor,
    and behind the last gradient in it lie numbers that are summed as well.

    Attributes:
        gradients: `[num_weights]` float32.
        sums: `[num_sums]` float32, whatever else is to be summed over the processes.

    Args:
        parameters: of one network, those to be trained.
        lr: learning rate.
        num_sums: how many further numbers there are.
        lazy_ratio: steps without over steps with lazy regularisation; it corrects lr and betas for
            the steps that the regularisation adds (Karras et al. 2020, appendix B).
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        *,
        num_sums: int,
        lazy_ratio: float = 1.0,
    ) -> None:
        self.parameters = list(parameters)
        sizes = [p.numel() for p in self.parameters]
        self._flat = torch.zeros(sum(sizes) + num_sums, device=self.parameters[0].device)
        self.gradients, self.sums = self._flat.split([sum(sizes), num_sums])
        for p, piece in zip(self.parameters, self.gradients.split(sizes), strict=True):
            p.grad = piece.view_as(p)
        self.base_lr = lr * lazy_ratio
        betas = (0.0**lazy_ratio, 0.99**lazy_ratio)
        self.adam = torch.optim.Adam(self.parameters, self.base_lr, betas, eps=1e-8, fused=True)

    def clear(self) -> None:
        """Set gradients and sums to zero."""
        self._flat.zero_()

    def step(self, ranks: Ranks, lr_factor: float, scale: float = 1) -> Tensor:
        """Sum gradients over the processes, step down them if they are finite, return their norm.

        The gradients are those of `scale` times the loss. Nothing waits for the norm: Adam itself
        looks at it.
        """
        self.gradients.div_(scale)
        ranks.sum_(self._flat)
        norm = torch.linalg.vector_norm(self.gradients)
        self.adam.param_groups[0]["lr"] = self.base_lr * lr_factor
        self.adam.found_inf = (~norm.isfinite()).float()  # type: ignore[attr-defined]
        self.adam.step()
        return norm

    def state_dict(self) -> dict[int, dict[str, Tensor]]:
        """Return Adam's state without first moments, which with beta1 = 0 no step reads."""
        state = self.adam.state_dict()["state"]
        return {i: {k: v for k, v in s.items() if k != "exp_avg"} for i, s in state.items()}

    def load_state_dict(self, state: dict[int, dict[str, Tensor]]) -> None:
        """Continue from `state_dict()`.

        Raises:
            KeyError: an entry is missing.
        """
        groups = self.adam.state_dict()["param_groups"]
        whole = {i: {**s, "exp_avg": torch.zeros_like(s["exp_avg_sq"])} for i, s in state.items()}
        self.adam.load_state_dict({"state": whole, "param_groups": groups})
