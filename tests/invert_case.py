"""Runs of invert.py in this process, on a tiny generator and with few steps.

`quick_config` makes runs of 4 steps, in chunks of 2, of 32x32 pictures.
"""

import functools
import hashlib
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import invert
from inversion.config import InversionConfig
from inversion.latent import LatentPrior
from stylegan.checkpoint import save_generator
from tests.inversion.tiny import as_file, measured, picture_of, tiny_generator

CHUNK = 2
ERROR_LINE = re.compile(r"error\[(E-[A-Z0-9-]+)\]: [^\n]+\n")


def quick_config(patch: pytest.MonkeyPatch, **options: object) -> None:
    """Let invert.py take few steps and few samples for the prior."""
    options = {"num_steps": 4, "chunk": CHUNK, "output_side": 32, **options}
    patch.setattr("colouring.models.InversionConfig", functools.partial(InversionConfig, **options))
    patch.setattr(LatentPrior, "fit", functools.partial(LatentPrior.fit, num_samples=5000))


@dataclass(frozen=True)
class Run:
    """What one call did."""

    code: int
    stdout: str
    stderr: str
    folder: Path

    @property
    def result(self) -> dict:
        return json.loads((self.folder / "result.json").read_text())

    def png(self, name: str) -> np.ndarray:
        return np.asarray(Image.open(self.folder / name))

    def bytes_of(self, *patterns: str) -> dict[str, bytes]:
        return {p.name: p.read_bytes() for n in patterns for p in self.folder.glob(n)}


def run(*args: object, outdir: Path | None = None) -> Run:
    """Call invert.py as the command line does."""
    words = [str(a) for a in args] + (["--outdir", str(outdir)] if outdir else [])
    result = CliRunner().invoke(invert.main, words, prog_name="invert.py")
    return Run(result.exit_code, result.stdout, result.stderr, outdir or Path("out"))


def save_grey(path: Path, levels: np.ndarray) -> Path:
    Image.fromarray(levels).save(path)
    return path


class Case:
    """A folder with a generator and with a small grey picture that it can agree with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.G = tiny_generator()
        self.generator = folder / "tiny.safetensors"
        save_generator(self.generator, self.G)
        self.levels = as_file(measured(picture_of(self.G, seed=1), 16))
        self.image = save_grey(folder / "lowres.png", self.levels)

    def run(self, *args: object, outdir: Path | None = None, image: Path | None = None) -> Run:
        """Run on the case's picture and generator, into a fresh folder unless one is named."""
        folder = outdir or self.folder / f"out-{len(list(self.folder.iterdir()))}"
        return run(
            f"--image={image or self.image}", "--generator", self.generator, *args, outdir=folder
        )

    def remove(self) -> None:
        shutil.rmtree(self.folder)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def assert_refused(done: Run, code: int, outs: Path, kind: str = "E-") -> None:
    """One error line that begins with `kind`, the exit code, and an untouched parent folder."""
    line = ERROR_LINE.fullmatch(done.stderr)
    assert line, done.stderr
    assert line[1].startswith(kind) and kind != "E-INTERNAL", done.stderr
    assert (done.code, done.stdout) == (code, ""), done.stderr
    assert list(outs.rglob("*")) == []
