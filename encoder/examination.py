"""How good an encoder is on examples that training never sees."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from encoder.examples import Batch
from encoder.losses import flow_losses
from encoder.model import Encoder, Guess, Look
from encoder.posterior import second_moment_root

GROUPS = ("coarse", "middle", "fine")  # thirds of the generator's layers


def r2(guess: Tensor, truth: Tensor) -> tuple[float, float]:
    """Return the mean squared error and R^2: 1 for exact, 0 for always answering the mean."""
    mse = (guess - truth).square().mean().item()
    return mse, 1 - mse / (truth - truth.mean(0)).square().mean().item()


def layer_groups(num_ws: int) -> dict[str, slice]:
    """Return which layers are coarse, middle and fine: thirds, as nearly as they go."""
    cuts = [round(num_ws * k / len(GROUPS)) for k in range(len(GROUPS) + 1)]
    return {name: slice(*cuts[k : k + 2]) for k, name in enumerate(GROUPS)}


@torch.no_grad()
def guesses(encoder: Encoder, look: Look, size: int = 100) -> Iterator[Guess]:
    """Yield what an encoder answers, some at a time."""
    encoder.eval()
    for canvas, told in zip(look.canvas.split(size), look.told.split(size), strict=True):
        yield encoder(Look(canvas, told))


@torch.no_grad()
def examine(
    encoder: Encoder, batch: Batch, to_ws: Callable[[Tensor, Tensor], Tensor]
) -> tuple[dict[str, float], Tensor]:
    """Measure an encoder's first guesses.

    Args:
        encoder: in evaluation mode afterwards.
        batch: held-out examples.
        to_ws: v, delta -> ws `[N, num_ws, w_dim]`.

    Returns:
        `mse_v`, `r2_v`, `mse_<group>`, `r2_<group>` of ws and `flow_loss`; and the errors of v
        `[N, dim]`.
    """
    parts = list(guesses(encoder, batch.look))
    whole = Guess(*(torch.cat([getattr(p, n) for p in parts]) for n in ("features", "v", "delta")))
    marks = dict(zip(("mse_v", "r2_v"), r2(whole.v, batch.v), strict=True))
    found, truth = to_ws(whole.v, whole.delta), to_ws(batch.v, torch.zeros_like(whole.delta))
    for name, layers in layer_groups(found.shape[1]).items():
        marks[f"mse_{name}"], marks[f"r2_{name}"] = r2(found[:, layers], truth[:, layers])
    losses = flow_losses(encoder.flow, whole, batch.v, 0, range(len(batch.v)), draws=1)
    return marks | {"flow_loss": losses.mean().item()}, batch.v - whole.v


def set_residual_covariance(encoder: Encoder, errors: Tensor) -> None:
    """Store the root of the second moment of errors of v on held-out examples, `[N, dim]`."""
    encoder.residual_sqrt_cov.copy_(second_moment_root(errors))
