"""generate.py: pictures of seeds, sheets and walks, read back by Pillow; what it refuses."""

import errno
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import generate
from stylegan.checkpoint import save_generator
from tests.inversion.tiny import SIDE, tiny_generator
from tests.invert_case import Run, assert_refused


def run(*args: object, outdir: Path) -> Run:
    """Call generate.py as the command line does."""
    words = [*map(str, args), "--outdir", str(outdir)]
    result = CliRunner().invoke(generate.main, words, prog_name="generate.py")
    return Run(result.exit_code, result.stdout, result.stderr, outdir)


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("generate") / "tiny.safetensors"
    save_generator(path, tiny_generator())
    yield path
    path.unlink()


@pytest.fixture
def outs(tmp_path: Path) -> Path:
    folder = tmp_path / "outs"
    folder.mkdir()
    return folder


def expected_picture(seed: int, psi: float = 1, **changes: int) -> np.ndarray:
    """Synthesise one seed without stylegan.sampling."""
    G = tiny_generator(**changes)
    z = np.random.RandomState(seed).randn(1, G.config.z_dim)
    c = torch.eye(G.config.c_dim)[:1] if G.config.c_dim else None
    picture = G(torch.from_numpy(z).float(), c, truncation_psi=psi)
    return ((picture[0].permute(1, 2, 0) + 1) * 127.5).round().clamp(0, 255).byte().numpy()


# ---- what it makes ----


def test_one_file_per_seed(generator: Path, outs: Path) -> None:
    done = run("--generator", generator, "--seeds", "4,0-1,123456", outdir=outs / "a")
    assert (done.code, done.stdout, done.stderr) == (0, f"4 seeds in {outs / 'a'}\n", "")
    names = [f"seed{seed}.png" for seed in ("0000", "0001", "0004", "123456")]
    assert sorted(p.name for p in done.folder.iterdir()) == names
    for seed in (0, 1, 4, 123456):
        assert np.array_equal(done.png(f"seed{seed:04d}.png"), expected_picture(seed))
    assert [p.name for p in outs.iterdir()] == ["a"]


def test_sixteen_seeds_by_default_and_truncation(generator: Path, outs: Path) -> None:
    done = run("--generator", generator, "--trunc", "0.5", outdir=outs / "a")
    assert [int(p.stem[4:]) for p in sorted(done.folder.iterdir())] == list(range(16))
    assert np.array_equal(done.png("seed0007.png"), expected_picture(7, psi=0.5))


def test_a_grid_is_one_picture_in_rows(generator: Path, outs: Path) -> None:
    done = run("--generator", generator, "--grid", "3x2", outdir=outs / "a")
    assert (done.code, [p.name for p in done.folder.iterdir()]) == (0, ["grid.png"])
    sheet = done.png("grid.png")
    assert sheet.shape == (2 * SIDE, 3 * SIDE, 3)
    for k in range(6):
        cell = sheet[k // 3 * SIDE :, k % 3 * SIDE :][:SIDE, :SIDE]
        assert np.array_equal(cell, expected_picture(k)), k


def test_a_walk_passes_the_seeds_without_a_jump(generator: Path, outs: Path) -> None:
    options = "--walk --seeds 5,2,9 --frames 12 --fps 24".split()
    done = run("--generator", generator, *options, outdir=outs / "a")
    assert (done.code, [p.name for p in done.folder.iterdir()]) == (0, ["walk.webp"])
    with Image.open(done.folder / "walk.webp") as film:
        assert (film.size, film.n_frames) == ((SIDE, SIDE), 36)
        frames = [np.asarray((film.seek(k), film.convert("RGB"))[1], int) for k in range(36)]
    for k, seed in enumerate((5, 2, 9)):
        assert np.abs(frames[12 * k] - expected_picture(seed)).max() <= 1
    moved = [np.abs(frames[k] - frames[k - 1]).mean() for k in range(36)]  # [0]: last to first
    assert 0 < min(moved) and moved[0] <= max(moved[1:]) < np.abs(frames[0] - frames[24]).mean()


def test_classes(outs: Path, tmp_path: Path) -> None:
    path = tmp_path / "classes.safetensors"
    save_generator(path, tiny_generator(c_dim=3))
    done = run("--generator", path, "--class", 0, "--seeds", 1, outdir=outs / "a")
    assert np.array_equal(done.png("seed0001.png"), expected_picture(1, c_dim=3))
    other = run("--generator", path, "--class", 2, "--seeds", 1, outdir=outs / "b")
    assert not np.array_equal(other.png("seed0001.png"), done.png("seed0001.png"))


def test_grey_generators(outs: Path, tmp_path: Path) -> None:
    path = tmp_path / "grey.safetensors"
    save_generator(path, tiny_generator(img_channels=1))
    done = run("--generator", path, "--seeds", 1, outdir=outs / "a")
    expected = expected_picture(1, img_channels=1).repeat(3, axis=2)
    assert np.array_equal(done.png("seed0001.png"), expected)


def test_the_default_model(generator: Path, outs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (generate.PRETRAINED / "generator.safetensors").exists()
    (outs.parent / "pretrained").mkdir()
    (outs.parent / "pretrained" / "generator.safetensors").write_bytes(generator.read_bytes())
    monkeypatch.setattr(generate, "PRETRAINED", outs.parent / "pretrained")
    done = run("--seeds", 2, outdir=outs / "a")
    assert np.array_equal(done.png("seed0002.png"), expected_picture(2))


@pytest.mark.parametrize("what", [[], ["--grid", "2x1"], ["--walk", "--frames", "3"]], ids=str)
def test_same_command_same_bytes_in_a_new_folder(generator: Path, outs: Path, what: list) -> None:
    command = ["--generator", generator, "--seeds", "0-1", *what]
    first, second = (run(*command, outdir=outs / "a") for _ in range(2))
    assert second.stdout == f"2 seeds in {outs / 'a-2'}\n" != first.stdout
    files = {p.name: p.read_bytes() for p in (outs / "a").iterdir()}
    assert files and files == {p.name: p.read_bytes() for p in (outs / "a-2").iterdir()}


# ---- what it refuses ----

BAD = [["--seeds", value] for value in ("", "5-2", "-1", "1,,2", "a", "4294967296", "0-9999999")]
BAD += [["--grid", value] for value in ("4", "0x4", "4x", "1000x1")]
BAD += [["--trunc", value] for value in ("nan", "inf", "5", "x")]
BAD += [["--grid", "2x2", "--seeds", "0-2"], ["--grid", "2x2", "--walk"], ["--class", "-1"]]
BAD += [["--walk", "--seeds", "3"], ["--walk", "--frames", "0"], ["--walk", "--fps", "0"]]


@pytest.mark.parametrize("options", BAD, ids=" ".join)
def test_usage_errors_come_before_any_work(options: list[str], outs: Path, monkeypatch) -> None:
    monkeypatch.setattr(generate, "pictures", lambda *a, **k: pytest.fail("the work began"))
    assert_refused(run(*options, outdir=outs / "a"), 2, outs, "E-USAGE")


def test_a_class_of_a_generator_without_classes(generator: Path, outs: Path) -> None:
    done = run("--generator", generator, "--class", 0, outdir=outs / "a")
    assert_refused(done, 2, outs, "E-USAGE-CLASS")


def test_no_class_of_a_generator_with_classes(outs: Path, tmp_path: Path) -> None:
    path = tmp_path / "classes.safetensors"
    save_generator(path, tiny_generator(c_dim=3))
    assert_refused(run("--generator", path, outdir=outs / "a"), 2, outs, "E-USAGE-CLASS")


def test_pictures_that_no_file_can_hold(outs: Path, tmp_path: Path) -> None:
    path = tmp_path / "five.safetensors"
    save_generator(path, tiny_generator(img_channels=5))
    assert_refused(run("--generator", path, outdir=outs / "a"), 65, outs, "E-MODEL-KIND")


def test_generators_that_are_missing_or_damaged(generator: Path, outs: Path, tmp_path) -> None:
    nowhere, cut = tmp_path / "nowhere.safetensors", tmp_path / "cut.safetensors"
    cut.write_bytes(generator.read_bytes()[:1000])
    assert_refused(run("--generator", nowhere, outdir=outs / "a"), 66, outs, "E-MODEL-MISSING")
    assert_refused(run("--generator", cut, outdir=outs / "a"), 65, outs, "E-MODEL")
    assert_refused(run("--generator", tmp_path, outdir=outs / "a"), 65, outs, "E-MODEL")


def test_a_gpu_that_is_not_there(generator: Path, outs: Path, monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    done = run("--generator", generator, "--device", "cuda", outdir=outs / "a")
    assert_refused(done, 69, outs, "E-DEVICE")


def test_an_outdir_that_cannot_be_made(outs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (outs.parent / "file").write_text("mine")
    monkeypatch.setattr(generate, "pictures", lambda *a, **k: pytest.fail("the work began"))
    assert_refused(run(outdir=outs.parent / "file" / "a"), 73, outs, "E-OUT-CREATE")


@pytest.mark.parametrize("what", [[], ["--walk", "--frames", "2"]], ids=str)
@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), 130), (OSError(errno.ENOSPC, "full", "x"), 74)]
)
def test_what_stops_it_halfway_leaves_nothing(
    generator: Path, outs: Path, what: list, error: BaseException, code: int, monkeypatch
) -> None:
    from data.image_io import to_uint8

    calls = []

    def fails_later(picture: torch.Tensor) -> np.ndarray:
        calls.append(picture)
        if len(calls) > 2:
            raise error
        return to_uint8(picture)

    monkeypatch.setattr("data.image_io.to_uint8", fails_later)
    done = run("--generator", generator, *what, outdir=outs / "new" / "a")
    assert (done.code, done.stdout, len(calls)) == (code, "", 3)
    assert list(outs.iterdir()) == []
