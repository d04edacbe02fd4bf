"""train_encoder.py from end to end on a tiny generator."""

import json
import os
import shutil
import signal

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from tiny_models import digest, small_resnet, tiny_generator

import train_encoder
from encoder import load_encoder
from encoder.training import EncoderTrainer
from engine.files import file_sha256
from engine.lock import run_lock
from engine.record import read_record
from engine.session import Session, Wish
from engine.states import load_state
from inversion.latent import LatentPrior
from stylegan import load_generator
from stylegan.checkpoint import save_generator

FIGURES = {"step", "train_mse_v", "mse_w", "r2_w", "mse_v", "r2_v"}


@pytest.fixture(scope="module", autouse=True)
def small():
    """A tenth of a ResNet-50, and 100 held-out renders instead of 2,000."""
    num_threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("encoder.backbone.resnet50", small_resnet)
        patch.setattr(train_encoder, "NUM_HELD_OUT", 100)
        yield
    torch.set_num_threads(num_threads)


@pytest.fixture(scope="module")
def generator_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("generator") / "generator.safetensors"
    save_generator(path, tiny_generator())
    return path


def invoke(*args):
    args = [*map(str, args), "--batch", "4", "--fp32", "true"]
    return CliRunner().invoke(train_encoder.main, args, prog_name="train_encoder.py")


def training(generator_path, outdir, *more):
    result = invoke("--generator", generator_path, "--outdir", outdir, *more)
    assert result.exit_code == 0, result.output
    return result


def rows_of(folder):
    return [json.loads(line) for line in (folder / "stats.jsonl").read_text().splitlines()]


def assert_refused(result, code, exit_code, outdir=None):
    assert result.exit_code == exit_code, result.output
    [line] = [line for line in result.stderr.splitlines() if line.startswith("error")]
    assert line.startswith(f"error[{code}]: ")
    assert "Traceback" not in result.output
    assert outdir is None or not outdir.exists()


@pytest.fixture(scope="module")
def run(generator_path, tmp_path_factory):
    outdir = tmp_path_factory.mktemp("runs")
    result = training(generator_path, outdir, "--steps", 3, "--eval-every", 2)
    [folder] = outdir.iterdir()
    return folder, result.stdout


# --- a run -------------------------------------------------------------------------------------


def test_run_folder(run):
    folder, _ = run
    assert folder.name == "00000-encoder-batch4"
    assert sorted(os.listdir(folder)) == [
        "LATEST",
        "RUN.json",
        "curve.png",
        "encoder.safetensors",
        "log.txt",
        "state-000000002",
        "state-000000003",
        "stats.jsonl",
        "training_options.json",
    ]
    curve = Image.open(folder / "curve.png")
    assert min(curve.size) >= 400 and len(np.unique(np.asarray(curve.convert("L")))) > 10


def test_statistics(run):
    folder, printed = run
    rows = rows_of(folder)
    assert [row["step"] for row in rows] == [2, 3]
    assert all(set(row) == FIGURES for row in rows)
    assert all(np.isfinite(list(row.values())).all() for row in rows)
    assert all(row["mse_v"] > 0 and row["r2_v"] < 1 and row["r2_w"] < 1 for row in rows)
    assert [line.split()[:2] for line in printed.splitlines()] == [["step", "2"], ["step", "3"]]
    for name, value in rows[1].items():
        assert name in ("step", "train_mse_v") or f"{name} {value:.4f}" in printed


def test_figures_are_those_of_the_stored_encoder(run, generator_path):
    """The last line of the statistics, computed again from the files."""
    folder, _ = run
    encoder = load_encoder(folder / "encoder.safetensors", generator_path)
    G = load_generator(generator_path)
    prior = LatentPrior.fit(G)
    y, v = train_encoder.Renderer(G, prior, 0, "fp32").held_out_pairs()
    with torch.no_grad():
        errors = (v - encoder(y)).double().numpy()
    row = rows_of(folder)[-1]
    assert row["mse_v"] == pytest.approx(np.mean(errors**2), rel=1e-5)
    spread = v.double().numpy() - v.double().numpy().mean(0)
    assert row["r2_v"] == pytest.approx(1 - np.sum(errors**2) / np.sum(spread**2), rel=1e-4)
    root = encoder.residual_sqrt_cov.double().numpy()
    np.testing.assert_allclose(root @ root, errors.T @ errors / 100, rtol=1e-3, atol=1e-3)


def test_encoder_belongs_to_its_generator(run, generator_path):
    folder, _ = run
    encoder = load_encoder(folder / "encoder.safetensors", generator_path)
    assert encoder.config.generator_sha256 == file_sha256(generator_path)
    assert (encoder.config.latent_dim, encoder.config.input_size) == (16, 32)


# --- the pairs ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def renderer(generator_path):
    G = load_generator(generator_path)
    return train_encoder.Renderer(G, LatentPrior.fit(G, 5000), 0, "fp32")


def finished_and_reduced(x, side):
    """Enlarge `[3, R, R]` to 256 as finished pictures are, make it grey and small, by Pillow."""
    grey = Image.fromarray(np.tensordot([0.299, 0.587, 0.114], x, 1).astype(np.float32))
    large = grey.resize((256, 256), Image.Resampling.BICUBIC)
    return np.asarray(large.resize((side, side), Image.Resampling.BICUBIC)).clip(-1, 1)


def test_training_pairs_are_small_grey_pictures_of_their_latents(renderer):
    """Pictures 1, 3, ... of the native size, 0, 2, ... of all sizes; the network sees 32x32."""
    y, v = renderer.training_pairs(1, 4)
    with torch.no_grad():
        x = renderer.G.synthesis(renderer.prior.to_ws(v)).clamp(-1, 1).double().numpy()
    assert y.shape == (4, 1, 32, 32) and v.shape == (4, 16)
    for k, side in enumerate([12, 16, 14, 16]):  # sizes 2 and 3 of 8, 10, 12, 14, 16
        small = np.rint((finished_and_reduced(x[k], side) + 1) * 127.5) / 127.5 - 1
        seen = Image.fromarray(small.astype(np.float32)).resize((32, 32), Image.Resampling.BICUBIC)
        assert np.abs(y[k, 0].numpy() - np.asarray(seen)).mean() < 0.1 / 255
        assert np.abs(y[k, 0].numpy() - np.asarray(seen)).max() <= 3 / 255  # one level is 2 / 255


def test_held_out_pairs_have_the_native_size(renderer):
    y, v = renderer.held_out_pairs()
    assert y.shape == (100, 1, 16, 16) and v.shape == (100, 16)
    levels = (y.double().numpy() + 1) * 127.5
    assert np.abs(levels - np.rint(levels)).max() < 1e-3
    with torch.no_grad():
        x = renderer.G.synthesis(renderer.prior.to_ws(v[:3])).clamp(-1, 1).double().numpy()
    small = np.stack([finished_and_reduced(picture, 16) for picture in x])
    assert np.abs(y[:3, 0].numpy() - small).max() <= 0.51 * 2 / 255  # rounded to 8 bits


def test_every_size_is_trained(renderer, monkeypatch):
    seen, measure = [], renderer._measure
    monkeypatch.setattr(renderer, "_measure", lambda x, n: seen.append(n) or measure(x, n))
    for step in range(5):
        renderer.training_pairs(step, 4)
    assert seen[1::2] == [16] * 10
    assert sorted(seen[::2]) == sorted(2 * renderer.sizes) == sorted(2 * [8, 10, 12, 14, 16])


def test_pairs_depend_on_seed_and_step_alone(renderer):
    def drawn(seed, step):
        other = train_encoder.Renderer(renderer.G, renderer.prior, seed, "fp32")
        return digest(list(other.training_pairs(step, 2)))

    assert drawn(0, 5) == drawn(0, 5)
    assert len({drawn(0, 5), drawn(0, 7), drawn(1, 5)}) == 3
    held_out = renderer.held_out_pairs()[1]
    trained = torch.cat([renderer.training_pairs(step, 4)[1] for step in range(20)])
    assert torch.cdist(held_out, trained).min() > 0.1, "a held-out latent was trained on"
    assert len(held_out) == 100 and torch.cdist(held_out, held_out).fill_diagonal_(1).min() > 0.1


# --- resuming ----------------------------------------------------------------------------------


SAVE = Wish(save=True, stop=0)
ENDINGS = [
    (signal.SIGINT, 130, "interrupted"),
    (signal.SIGTERM, 75, "error[E-TRAIN-STOPPED]: "),
]


def stopped(generator_path, outdir, monkeypatch, at, ending, *more):
    """Train, with a signal in the midst of a step."""
    number, exit_code, said = ending
    honest = EncoderTrainer.step

    def step(self, y, v):
        if self.step_count == at - 1:
            self.optimizer.register_step_post_hook(lambda *_: signal.raise_signal(number))
        return honest(self, y, v)

    with monkeypatch.context() as patch:
        patch.setattr(EncoderTrainer, "step", step)
        result = invoke("--generator", generator_path, "--outdir", outdir, *more)
    assert result.exit_code == exit_code and result.stderr.splitlines()[-1].startswith(said)
    [run] = outdir.iterdir()
    record = read_record(run)
    assert (record["status"], record["step"], record["last_good"]) == ("preempted", at, at)


@pytest.mark.parametrize("ending", ENDINGS)
def test_resuming_is_bit_exact(generator_path, tmp_path, monkeypatch, ending):
    more = ["--steps", 3, "--eval-every", 3, "--seed", 5]
    training(generator_path, tmp_path / "straight", *more)
    stopped(generator_path, tmp_path / "parts", monkeypatch, 2, ending, *more)
    [straight], [parts] = (tmp_path / "straight").iterdir(), (tmp_path / "parts").iterdir()
    assert [row["step"] for row in rows_of(parts)] == [2]
    training(generator_path, tmp_path / "parts", *more, "--resume", parts)
    expected, found = (load_state(p / "state-000000003") for p in (straight, parts))
    assert digest(found) == digest(expected)
    assert len(list((tmp_path / "parts").iterdir())) == 1, "a second run folder"
    [last], again = rows_of(straight), rows_of(parts)[-1]
    assert {k: again[k] for k in FIGURES - {"train_mse_v"}} == {
        k: last[k] for k in FIGURES - {"train_mse_v"}
    }


def test_going_back_to_a_state(run, generator_path, tmp_path):
    """Its figures go back as well, and states between two looks change nothing."""
    folder = shutil.copytree(run[0], tmp_path / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "after_step", lambda self, step: setattr(self, "step", step) or SAVE)
        more = ["--steps", 3, "--eval-every", 2, "--resume", folder / "state-000000002"]
        result = invoke("--generator", generator_path, "--batch", 4, *more)
    assert result.exit_code == 0, result.output
    assert [row["step"] for row in rows_of(folder)] == [2, 3]
    states = [load_state(p / "state-000000003") for p in (folder, run[0])]
    assert digest(states[0]) == digest(states[1])
    assert sorted(os.listdir(folder)) == sorted(os.listdir(run[0]))


def test_a_second_training_in_the_folder_is_refused(run, generator_path):
    folder, _ = run
    with run_lock(folder):
        result = invoke("--generator", generator_path, "--steps", 5, "--resume", folder)
    assert_refused(result, "E-OUT-LOCKED", 73)


def test_resuming_something_else_is_refused(run, generator_path, tmp_path):
    folder, _ = run
    other = tmp_path / "other.safetensors"
    save_generator(other, tiny_generator(seed=8))
    before = digest((folder / "stats.jsonl").read_text())
    result = invoke("--generator", other, "--steps", 5, "--resume", folder)
    assert_refused(result, "E-MODEL-MISMATCH", 76)
    result = invoke("--generator", generator_path, "--steps", 5, "--resume", tmp_path)
    assert_refused(result, "E-MODEL-MISSING", 66)
    assert digest((folder / "stats.jsonl").read_text()) == before


# --- what is refused ---------------------------------------------------------------------------


def test_wrong_generator(tmp_path, run):
    outdir = tmp_path / "runs"
    (tmp_path / "note.txt").write_text("not a model")
    for path, code, exit_code in [
        (tmp_path / "nothing.safetensors", "E-MODEL-MISSING", 66),
        (tmp_path / "note.txt", "E-MODEL", 65),
        (run[0] / "encoder.safetensors", "E-MODEL", 65),
    ]:
        result = invoke("--generator", path, "--outdir", outdir, "--steps", 1)
        assert_refused(result, code, exit_code, outdir)
        assert str(path) in result.stderr


@pytest.mark.parametrize("change", [["--batch", "1"], ["--lr", "0"], ["--steps", "abc"], ["--x"]])
def test_usage_errors(tmp_path, change):
    outdir = tmp_path / "runs"
    args = ["--generator", str(tmp_path / "none"), "--outdir", str(outdir), *change]
    assert_refused(CliRunner().invoke(train_encoder.main, args), "E-USAGE", 2, outdir)
