"""When a training whose gradients are not finite must stop."""

from typing import Any

import torch
from torch import Tensor

from engine.later import Later

MOST_IN_A_ROW = 8
MOST_RECENT, WINDOW = 10, 1000  # 1 % of the last steps
BEHIND = 4  # steps that a GPU may be behind: what it has not computed yet is looked at later


class TrainingError(RuntimeError):
    """A training that cannot go on."""

    code = "E-TRAIN-NAN"


class FiniteGuard:
    """Counts the steps that were skipped because a gradient was not finite.

    A step now and then may overflow and be skipped without harm; many mean that the run is lost,
    and going on would only hide it.
    """

    def __init__(self) -> None:
        self.skipped, self.in_a_row = 0, 0
        self.recent: list[int] = []  # steps that were skipped among the last
        self._pending: list[tuple[int, Later]] = []

    def observe(self, step: int, norms: list[Tensor]) -> None:
        """Take note of the gradient norms of a step.

        Raises:
            TrainingError: too many steps were skipped. On a GPU some steps after the last of them.
        """
        self._pending.append((step, Later(torch.stack(norms).isfinite().all())))
        self._settle(BEHIND if norms[0].is_cuda else 0)
        if self.in_a_row > MOST_IN_A_ROW or len(self.recent) > MOST_RECENT:
            what = f"{self.in_a_row} in a row, {len(self.recent)} of the last {WINDOW}"
            message = f"step {step}: gradients are not finite ({what}) and were left out. "
            raise TrainingError(message + "Lower --glr and --dlr, raise --gamma, or try --fp32 1.")

    def _settle(self, behind: int) -> None:
        while len(self._pending) > behind:
            step, is_finite = self._pending.pop(0)
            if float(is_finite):
                self.in_a_row = 0
            else:
                self.in_a_row += 1
                self.skipped += 1
                self.recent = [s for s in self.recent if s > step - WINDOW] + [step]

    def state_dict(self) -> dict[str, Any]:
        """Return the counts as plain values."""
        self._settle(behind=0)
        return {"skipped": self.skipped, "in_a_row": self.in_a_row, "recent": self.recent}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state_dict()`."""
        self.skipped, self.in_a_row = state["skipped"], state["in_a_row"]
        self.recent = list(state["recent"])
