"""Tiny trainings through train_gan.py, for its tests."""

from pathlib import Path

from click.testing import CliRunner

import train_gan
from data.archive import encode_png, write_archive
from data.faces import describe, draw

ROOT = Path(__file__).parent.parent
TINY = (
    "--batch 4 --gamma 1 --cbase 128 --cmax 8 --num-layers 4 --z-dim 16 --w-dim 16 --margin 4 "
    "--first-cutoff 2 --first-stopband 4 --fp32 true --anneal 0"
).split()


def make_pictures(path, *, count=32, size=16, seed=0, labels=None):
    faces = (draw(describe(seed, index), size) for index in range(count))
    write_archive(path, (encode_png(face) for face in faces), labels=labels)
    return path


def invoke(*args):
    return CliRunner().invoke(train_gan.main, [*map(str, args)], prog_name="train_gan.py")


def training(data, outdir, *more):
    result = invoke("--data", data, "--outdir", outdir, *TINY, *more)
    assert result.exit_code == 0, result.output
    return result


def assert_refused(result, code, exit_code, outdir=None):
    assert result.exit_code == exit_code, result.output
    lines = result.stderr.splitlines()
    assert [line for line in lines if line.startswith("error")] == lines[-1:], lines
    assert lines[-1].startswith(f"error[{code}]: ")
    assert "Traceback" not in result.output
    assert outdir is None or not outdir.exists() or not any(outdir.iterdir())
