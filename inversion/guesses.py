"""What the encoder alone gives: candidates without any search, to compare with."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, no_grad

from inversion.pipeline import Inverter


@dataclass(frozen=True)
class Guesses(Inverter):
    """Candidates as they start, the same latent in all layers; one evaluation each."""

    @property
    def options(self) -> dict[str, Any]:
        """What the search goes by: it takes no step."""
        return super().options | {"num_steps": 0}

    def search(self, indices: range, on_step: Callable[[], None]) -> tuple[Tensor, Tensor]:
        """Return where a chunk starts, `[N, d]` with no layer's own share, and its ws."""
        with no_grad():
            v = self.start(self._anchor(indices)[:, : self.prior.dim])
        return v, self.prior.to_ws(v)
