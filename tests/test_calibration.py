"""`benchmarks.calibration`: exact samplers pass, wrong ones do not; it goes on where it was."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from scipy import stats
from torch import Tensor

from benchmarks import calibration
from benchmarks.calibration import NAMES, Trial, as_assumed, ranks_of
from benchmarks.ranks import Ranks, Verdict, examine
from encoder.gaussian import GaussianConfig, GaussianEncoder
from encoder.model import save_encoder
from inversion.config import InversionConfig
from inversion.inputs import Canvas, Input, small_input
from inversion.operators import Frame, GreySmall
from inversion.pipeline import Inverter
from stylegan.checkpoint import save_generator
from tests.inversion.tiny import tiny_generator
from tests.invert_case import sha256

SIZES = [(500, 31), (200, 15)]  # truths and candidates of the flow, and of the solver


def gaussian(num: int, candidates: int, seed: int = 0, off: float = 0.0) -> Ranks:
    """Posteriors N(m, s^2) of their own for every truth, sampled exactly but for `off`."""
    rng = np.random.default_rng(seed)
    mean, std = rng.normal(size=num) * 5, rng.uniform(0.1, 3, num)
    truth = rng.normal(mean, std)
    return Ranks(truth, rng.normal((mean + off * std)[:, None], std[:, None], (num, candidates)))


def test_places_by_hand() -> None:
    ranks = Ranks(np.array([0.0, 5, 2, 1]), np.array([[1.0, 2, 3]] * 3 + [[1.0, 1, 1]]))
    drawn = np.random.default_rng(0).uniform(size=4)
    expected = (np.array([0, 3, 1, 0]) + drawn * [1, 1, 2, 4]) / 4
    np.testing.assert_allclose(ranks.uniforms(), expected)


def test_p_values_of_exact_samplers_are_uniform() -> None:
    found = [gaussian(60, 7, seed) for seed in range(400)]
    assert stats.kstest([each.p_value() for each in found], "uniform").pvalue > 0.001
    assert stats.kstest([each.shape_p_value() for each in found], "uniform").pvalue > 0.001


@pytest.mark.parametrize(("num", "candidates"), SIZES)
def test_exact_samplers_pass_and_wrong_ones_are_noticed(num: int, candidates: int) -> None:
    exact = {str(k): gaussian(num, candidates, k) for k in range(14)}
    table = examine(exact)
    assert Verdict.of(table) == Verdict(is_calibrated=True, has_power=True)
    for name, factor in (("p_narrow", 0.7), ("p_wide", 1.4)):
        made = {key: each.scaled(factor) for key, each in exact.items()}
        assert not Verdict.of(examine(made)).is_calibrated
        assert [row[name] for row in table.values()] == [each.p_value() for each in made.values()]
    one_wrong = exact | {"3": gaussian(num, candidates, 3, off=0.5)}
    assert not Verdict.of(examine(one_wrong)).is_calibrated
    assert not Verdict.of(examine({"0": gaussian(12, 7)})).has_power


def test_scaling_is_about_the_candidates_mean() -> None:
    made = Ranks(np.zeros(1), np.array([[1.0, 2, 6]])).scaled(0.5)
    np.testing.assert_allclose(made.candidates, [[2, 2.5, 4.5]])


# ---- the shipped solver on a linear generator, for which it is exact ----

CONFIG = InversionConfig(num_steps=8, tolerance=1e-6, chunk=15, tau=0.06, sigma=0.03)


class LinearPrior:
    """Latents as they are: ws_i = v + delta_i."""

    dim, num_ws = 3, 2

    def to_ws(self, v: Tensor, delta: Tensor) -> Tensor:
        return v[:, None] + delta

    def from_w(self, w: Tensor) -> Tensor:
        return w


def synthesis(ws: Tensor, precision: str = "fp32") -> Tensor:
    weight = torch.randn(48, 6, generator=torch.Generator().manual_seed(3)) * 0.05
    return (ws.flatten(1) @ weight.T).unflatten(1, (3, 4, 4))


def given(y: Tensor) -> Input:
    return small_input(y, Frame(2), Canvas(4, 4, CONFIG))


def test_the_solver_is_calibrated_where_it_is_exact() -> None:
    G, prior = SimpleNamespace(synthesis=synthesis), LinearPrior()
    bench = SimpleNamespace(G=G, prior=prior, config=CONFIG, A=GreySmall(4, (2, 2)), given=given)
    blank = Inverter(G, prior, given(torch.zeros(1, 1, 2, 2)), lambda noise: noise, CONFIG, 0)
    root = blank.measured_curvature()

    def solver(y: Tensor, index: int) -> Inverter:
        return replace(blank, input=given(y), seed=index, curvature=root)

    trial = Trial(G, prior, lambda index: as_assumed(bench, index), solver, candidates=15)
    rows = [trial.row(index) for index in range(100)]
    assert Verdict.of(examine(ranks_of(rows))) == Verdict(is_calibrated=True, has_power=True)


# ---- the script ----


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("models")
    generator, encoder = folder / "generator.safetensors", folder / "encoder.safetensors"
    save_generator(generator, tiny_generator())
    save_encoder(encoder, GaussianEncoder(GaussianConfig(16, sha256(generator))))
    return [f"--generator={generator}", f"--encoder={encoder}", "--size=8", "--set=chunk=2"]


def run(models: list[str], path: Path, *more: str) -> Result:
    words = [*models, "--method=flow", "--candidates=3", f"--rows={path}", *more]
    return CliRunner().invoke(calibration.main, words)


@pytest.mark.slow
def test_it_goes_on_where_it_was(models: list[str], tmp_path: Path) -> None:
    straight, path = tmp_path / "straight.jsonl", tmp_path / "rows.jsonl"
    assert run(models, straight, "--truths=3").exit_code == 0
    assert run(models, path, "--truths=2").exit_code == 0
    halfway = path.read_text()
    done = run(models, path, "--truths=3")
    assert path.read_text().startswith(halfway) and path.read_text() == straight.read_text()
    assert [line.split()[0] for line in done.output.splitlines()[:-1]] == [*NAMES]
    assert json.loads(done.output.splitlines()[-1]).keys() == {"is_calibrated", "has_power"}
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    shapes = [(len(row["truth"]), np.shape(row["candidates"])) for row in rows]
    assert shapes == [(len(NAMES), (3, len(NAMES)))] * 3
    assert rows[0]["candidates"] != rows[1]["candidates"]
    other = run(models, path, "--truths=4", "--world=assumed")
    assert other.exit_code == 2 and "rows of other settings" in other.output


@pytest.mark.parametrize("method", ["ours", pytest.param("pulse", marks=pytest.mark.slow)])
def test_other_methods(models: list[str], tmp_path: Path, method: str) -> None:
    path = tmp_path / "rows.jsonl"
    more = [f"--method={method}", "--truths=2", "--set=num_steps=2"]
    assert run(models, path, *more).exit_code == 0
    worlds = {json.loads(line)["about"]["world"] for line in path.read_text().splitlines()}
    assert worlds == {{"ours": "assumed", "pulse": "pictures"}[method]}
