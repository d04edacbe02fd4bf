"""What the encoder alone gives: candidates without any search, to compare with."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, no_grad

from inversion.pipeline import Inverter, OnStep


@dataclass(frozen=True)
class Guesses(Inverter):
    """Candidates at the guess, with no layer's own share drawn; one evaluation each."""

    @property
    def options(self) -> dict[str, Any]:
        """What the search goes by: it takes no step."""
        return super().options | {"num_steps": 0}

    def search(self, indices: range, on_step: OnStep) -> tuple[Tensor, Tensor]:
        """Return the v `[N, dim]` of a chunk's start, and its ws."""
        with no_grad():
            v = self.start(self._anchor(indices)[:, : self.prior.dim])
        return v, self.prior.to_ws(v, self.share)
