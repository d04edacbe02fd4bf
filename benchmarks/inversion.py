"""How well candidates agree with drawn faces that no training has seen, before projection.

    python -m benchmarks.inversion --faces 20 --json runs/inversion.json

Prints one line per face and the medians: the RMS of A G(ws) - y over candidates and over random
samples of G, the correction that projection made, and the colour distance between candidates.
Candidates are solved for as `invert.py` does it.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import click

HELD_OUT_SEED = 1  # the training set is seed 0


@click.command()
@click.option("--generator", type=Path, default=Path("pretrained/generator.safetensors"))
@click.option("--encoder", type=Path, default=Path("pretrained/encoder.safetensors"))
@click.option("--faces", type=click.IntRange(1), default=20, show_default=True)
@click.option("--samples", type=click.IntRange(2), default=8, show_default=True)
@click.option("--size", type=click.IntRange(8), default=32, show_default=True)
@click.option("--set", "changes", multiple=True, help="An option of the solver, as tau=0.1.")
@click.option("--sheet", type=Path, help="Write the candidates of all faces as one picture.")
@click.option("--json", "report", type=Path, help="Write the numbers as JSON.")
def main(
    generator: Path,
    encoder: Path,
    faces: int,
    samples: int,
    size: int,
    changes: tuple[str, ...],
    sheet: Path | None,
    report: Path | None,
) -> None:
    """Invert held-out drawn faces and print what came out."""
    import numpy as np

    from data.image_io import save_png
    from stylegan import load_generator

    G = load_generator(generator)
    if not encoder.exists():
        print(f"{encoder}: no such file: candidates start from the prior")
    solver = Solver(G, generator, encoder, parse(changes), samples, size)
    rows, sheets = [], []
    for index in range(faces):
        row, picture = solver.face(index)
        rows.append(row)
        sheets.append(picture)
        print("  ".join(f"{name} {value:7.2f}" for name, value in row.items()), flush=True)
    medians = {name: float(np.median([row[name] for row in rows])) for name in rows[0]}
    medians["random_rms_255"] = solver.random_rms()
    print("median  " + "  ".join(f"{name} {value:.2f}" for name, value in medians.items()))
    if sheet:
        save_png(sheet, np.concatenate(sheets))
    if report:
        report.write_text(json.dumps({"medians": medians, "faces": rows}, indent=1) + "\n")


def parse(changes: tuple[str, ...]) -> dict[str, float | int | str]:
    """Read `name=value` pairs; numbers become numbers."""
    values: dict[str, float | int | str] = {}
    for change in changes:
        name, text = change.split("=")
        try:
            values[name] = int(text) if text.lstrip("-").isdigit() else float(text)
        except ValueError:
            values[name] = text
    return values


class Solver:
    """Invert the grey small versions of held-out drawn faces."""

    def __init__(self, G, generator, encoder, changes, samples, size):
        from encoder import load_encoder
        from inversion.config import InversionConfig
        from inversion.latent import LatentPrior
        from inversion.operators import GreySmall
        from stylegan.generator import native_precision

        self.G, self.prior = G, LatentPrior.fit(G)
        self.encoder = load_encoder(encoder, generator) if encoder.exists() else None
        self.config = InversionConfig(**{"precision": native_precision()} | changes)
        self.samples = samples
        self.side = self.config.finished_side(G.config.img_resolution)
        self.A = GreySmall(self.side, (size, size))

    def measure(self, index: int):
        """Return the picture and the measurement of a held-out face."""
        import numpy as np

        from data.faces import describe, draw
        from data.image_io import from_uint8

        drawn = np.asarray(draw(describe(HELD_OUT_SEED, index), self.side))
        x = from_uint8(drawn[None])
        return x, self.A.quantised(x)

    def random_rms(self, num: int = 64) -> float:
        """Return the median RMS between measurements of random samples and of faces."""
        import torch

        from inversion.objective import one_sided_residual
        from inversion.operators import sample_at

        z = torch.randn(num, self.G.config.z_dim, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            y_hat = self.A(sample_at(self.G(z).clamp(-1, 1), self.side).clamp(-1, 1))
        y = torch.cat([self.measure(index)[1] for index in range(num)])
        r = one_sided_residual(y)(y_hat, y)
        return (r.square().flatten(1).mean(1).sqrt() * 127.5).median().item()

    def face(self, index: int):
        """Invert one face; return its numbers and a row of pictures."""
        import numpy as np
        import torch

        from data.image_io import to_uint8
        from evaluation.diversity import mean_pairwise, pairwise_ciede2000
        from evaluation.report import tile
        from inversion.pipeline import Inverter

        x, y = self.measure(index)
        network = self.encoder
        start = (lambda noise: noise) if network is None else lambda n: network.sample(y, n)
        inverter = Inverter(self.G, self.prior, self.A, y, start, self.config, seed=0)
        began = time.monotonic()
        found = list(inverter.candidates(self.samples))
        seconds = time.monotonic() - began
        before = torch.cat([part.pictures for part in found])
        after = torch.cat([part.projection.pixels for part in found])

        def column(name: str) -> torch.Tensor:
            return torch.cat([getattr(part.projection, name) for part in found])

        row = {
            "face": index,
            "before_rms_255": torch.cat([p.residual_before_rms_255 for p in found]).median().item(),
            "correction_rms_255": column("correction_rms_255").median().item(),
            "worst_255": column("residual_max_255").max().item(),
            "ciede2000_before": mean_pairwise(pairwise_ciede2000(before)),
            "ciede2000_after": mean_pairwise(pairwise_ciede2000(after)),
            "seconds": seconds,
        }
        grey = self.A.right_inverse(y).clamp(-1, 1)
        cells = np.concatenate([to_uint8(part) for part in (x, grey, before, after)])
        return row, tile(cells, len(cells))


if __name__ == "__main__":
    main()
