"""How much of a latent an encoder finds in a small grey picture, beside what is easily found.

    python -m benchmarks.encoder --json runs/encoder.json

On held-out renders of the generator, made small and grey and no more: mean squared error and R^2
(0: always the mean) of v and of w, for ridge regression on the pixels, for the encoder's mean after
one look and after corrections, and for the mean of samples of its flow, on the first of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from torch import Tensor

    from encoder import Encoder
    from inversion.latent import LatentPrior
    from inversion.operators import GreySmall
    from stylegan import Generator

AT_A_TIME = 100
PENALTIES = tuple(10.0**k for k in range(-2, 5))  # of which ridge regression takes the best


@click.command()
@click.option("--generator", type=Path, default=Path("pretrained/generator.safetensors"))
@click.option("--encoder", type=Path, default=Path("pretrained/encoder.safetensors"))
@click.option("--pairs", type=click.IntRange(1000), default=50_000, show_default=True)
@click.option("--held-out", type=click.IntRange(2), default=2000, show_default=True)
@click.option("--few", type=click.IntRange(2), default=200, show_default=True, help="For the flow.")
@click.option("--samples", type=click.IntRange(1), default=64, show_default=True)
@click.option("--passes", type=click.IntRange(0), default=2, show_default=True)
@click.option("--size", type=click.IntRange(8), default=32, show_default=True)
@click.option("--json", "report", type=Path, help="Write the numbers as JSON.")
def main(
    generator: Path,
    encoder: Path,
    pairs: int,
    held_out: int,
    few: int,
    samples: int,
    passes: int,
    size: int,
    report: Path | None,
) -> None:
    """Measure an encoder and what it must be better than."""
    from encoder import Encoder, load_encoder
    from inversion.config import InversionConfig
    from inversion.latent import LatentPrior
    from inversion.operators import GreySmall
    from stylegan import load_generator

    G, network = load_generator(generator), load_encoder(encoder, generator)
    side = G.config.img_resolution
    A = GreySmall(side, (size, size), sampled_at=InversionConfig().finished_side(side))
    studio = Studio(G, LatentPrior.fit(G), A)
    y, v = studio.held_out(held_out)
    ridge = fit_ridge(((y.flatten(1), v) for y, v in studio.pairs("ridge", pairs)), PENALTIES)
    rows = {"ridge": studio.marks(with_one(y.flatten(1)) @ ridge, v)}
    if isinstance(network, Encoder):
        for name, guess in corrected(network, studio, y, passes):
            rows[name] = studio.marks(guess, v)
            rows[f"{name}, first {few}"] = studio.marks(guess[:few], v[:few])
        mean = mean_of_samples(network, y[:few], samples)
        rows[f"mean of {samples} samples, first {few}"] = studio.marks(mean, v[:few])
    else:
        rows["mean"] = studio.marks(network.mean(y), v)
    for name, row in rows.items():
        print(f"{name:36}" + "  ".join(f"{key} {value:.4f}" for key, value in row.items()))
    if report:
        report.write_text(json.dumps(rows, indent=1) + "\n")


class Studio:
    """Makes pairs of measurements and latents, and marks guesses."""

    def __init__(self, G: Generator, prior: LatentPrior, A: GreySmall) -> None:
        self.G, self.prior, self.A = G, prior, A

    def pairs(self, stream: str, num: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield `num` pairs of y `[n, 1, h, w]` and v `[n, dim]`, some at a time."""
        import torch

        from engine.seeding import derive_generator

        for first in range(0, num, AT_A_TIME):
            generator = derive_generator(1, stream, first)
            shape = (min(AT_A_TIME, num - first), self.G.config.z_dim)
            with torch.no_grad():
                w = self.G.mapping(torch.randn(shape, generator=generator))[:, 0]
                v = self.prior.from_w(w)
                yield self.measure(v), v

    def measure(self, v: Tensor, delta: Tensor | None = None) -> Tensor:
        """Return the measurements of latents, as files hold them."""
        return self.A.quantised(self.G.synthesis(self.prior.to_ws(v, delta)).clamp(-1, 1))

    def held_out(self, num: int) -> tuple[Tensor, Tensor]:
        """Return pairs that nothing here is fitted to."""
        import torch

        y, v = zip(*self.pairs("held-out of the benchmark", num), strict=True)
        return torch.cat(y), torch.cat(v)

    def marks(self, guess: Tensor, v: Tensor) -> dict[str, float]:
        """Return the errors of guesses `[N, dim]`."""
        from encoder.examination import r2

        found = (*r2(guess, v), *r2(*(self.prior.to_ws(t)[:, 0] for t in (guess, v))))
        return dict(zip(("mse_v", "r2_v", "mse_w", "r2_w"), found, strict=True))


def with_one(x: Tensor) -> Tensor:
    """Return `[N, d + 1]`: x and a column of ones."""
    import torch

    return torch.cat([x, torch.ones_like(x[:, :1])], dim=1)


def fit_ridge(batches: Iterable[tuple[Tensor, Tensor]], penalties: Iterable[float]) -> Tensor:
    """Return weights `[d + 1, dim]`, the last row the constant, with the best of the penalties.

    Every tenth batch is left out of the fit and chooses the penalty.

    Args:
        batches: of x `[n, d]` and v `[n, dim]`, several.
        penalties: of the squared weights; the constant has none.
    """
    import torch

    gram = cross = torch.zeros([], dtype=torch.float64)
    checks = []
    for k, (x, v) in enumerate(batches):
        if k % 10 == 0:
            checks.append((with_one(x), v))
            continue
        rows = with_one(x).double()
        gram, cross = gram + rows.mT @ rows, cross + rows.mT @ v.double()
    x, v = (torch.cat(column) for column in zip(*checks, strict=True))
    diagonal = torch.eye(len(gram), dtype=torch.float64)
    diagonal[-1, -1] = 0
    fits = [torch.linalg.solve(gram + p * diagonal, cross).float() for p in penalties]
    return min(fits, key=lambda weights: (x @ weights - v).square().mean().item())


def corrected(
    network: Encoder, studio: Studio, y: Tensor, passes: int
) -> Iterator[tuple[str, Tensor]]:
    """Yield the mean of v after each number of corrections, 0 to `passes`."""
    import torch

    from data.degrade import Degradation

    told = Degradation(y.shape[-1]).told()
    for num in range(passes + 1):
        guesses = []
        for part in y.split(AT_A_TIME):
            look = network.look(part, told.expand(len(part), -1))
            guesses.append(network.refine(look, studio.measure, num).v)
        yield f"mean, {num} corrections", torch.cat(guesses)


def mean_of_samples(network: Encoder, y: Tensor, samples: int) -> Tensor:
    """Return the mean of samples of the flow for each of `y [N, 1, h, w]`, `[N, dim]`."""
    import torch

    from data.degrade import Degradation
    from engine.seeding import derive_generator

    told, means = Degradation(y.shape[-1]).told()[None], []
    for k in range(len(y)):
        generator = derive_generator(0, "samples", k)
        noise = torch.randn(samples, network.config.latent_dim, generator=generator)
        means.append(network.sample(y[k : k + 1], noise, told).mean(0))
    return torch.stack(means)


if __name__ == "__main__":
    main()
