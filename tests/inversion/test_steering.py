"""Candidates under controls: the colour goes where it is asked for, everything else stays open."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from inversion.controls.chroma import GRID, Wanted, chroma_evidence
from inversion.controls.palette import palette_evidence
from inversion.evidence import Evidence
from inversion.pipeline import Candidates, Inverter
from inversion.starts import best_of_guesses
from tests.inversion.test_pipeline import CONFIG, G, inverter, joined
from tests.inversion.tiny import SIDE, as_file, measured, picture_of

TOP, BOTTOM = (4, 8), (22, 20)  # rows and columns of 2 x 2 pixels of SIDE


def chroma(levels: np.ndarray, place: tuple[int, int]) -> np.ndarray:
    """Return R - G and R + G - 2 B of 2 x 2 pixels of pictures [..., R, R, 3] in levels."""
    row, column = place
    r, g, b = levels[..., row : row + 2, column : column + 2, :].mean((-3, -2)).T
    return np.stack([(r - g) / 2**0.5, (r + g - 2 * b) / 6**0.5], -1)


def dot(name: str, place: tuple[int, int], rgb: Sequence[float]) -> Evidence:
    weights = torch.zeros(1, GRID, GRID)
    row, column = (2 * place[0], 2 * place[1])
    weights[0, row : row + 4, column : column + 4] = 1 / 16
    wanted = Wanted(weights, torch.tensor([rgb], dtype=torch.float64), torch.tensor([0.02]))
    return chroma_evidence(name, wanted, SIDE, SIDE)


WANTED = picture_of(G, seed=5)  # another picture of the same generator


def colour_at(place: tuple[int, int]) -> list[float]:
    row, column = place
    return (WANTED[row : row + 2, column : column + 2].mean((0, 1)) / 255).tolist()


@pytest.fixture(scope="module")
def problem() -> Inverter:
    levels = as_file(measured(picture_of(G, seed=1), 8))
    return replace(inverter(levels), config=replace(CONFIG, num_steps=25))


@pytest.fixture(scope="module")
def free(problem: Inverter) -> list[Candidates]:
    return list(problem.candidates(4))


@pytest.fixture(scope="module")
def dotted(problem: Inverter) -> list[Candidates]:
    return list(replace(problem, further=(dot("a", TOP, colour_at(TOP)),)).candidates(4))


def levels_of(found: list[Candidates]) -> np.ndarray:
    return (joined(found, "pixels").double().numpy().transpose(0, 2, 3, 1) + 1) * 127.5


def misses(found: list[Candidates], place: tuple[int, int]) -> np.ndarray:
    """How far finished pictures are from the wanted chroma, in levels, `[N]`."""
    return np.linalg.norm(chroma(levels_of(found), place) - chroma(WANTED * 1.0, place), axis=-1)


def test_a_dot_has_the_colour_asked_for(free: list[Candidates], dotted: list[Candidates]) -> None:
    assert misses(dotted, TOP).mean() < 0.4 * misses(free, TOP).mean()
    assert float(joined(dotted, "residual_max_255").max()) <= 1  # they agree with the input, too


def test_controls_combine(problem: Inverter, free: list[Candidates]) -> None:
    both = dot("a", TOP, colour_at(TOP)), dot("b", BOTTOM, colour_at(BOTTOM))
    steered = list(replace(problem, further=both).candidates(4))
    for place in (TOP, BOTTOM):
        assert misses(steered, place).mean() < 0.6 * misses(free, place).mean(), place
    assert set(steered[0].residuals_rms_255) == {"input", "a", "b"}


def test_candidates_stay_apart_where_a_control_says_nothing(
    free: list[Candidates], dotted: list[Candidates]
) -> None:
    """The tiny generator's colours hang together, but not all at one dot."""
    far, near = (
        np.std(chroma(levels_of(dotted), place), 0).mean()
        / np.std(chroma(levels_of(free), place), 0).mean()
        for place in (BOTTOM, TOP)
    )
    assert near < 0.25 and far > 1.5 * near, (near, far)


def test_a_palette_draws_colours_nearer(problem: Inverter, free: list[Candidates]) -> None:
    reference = torch.from_numpy(WANTED / 127.5 - 1).float().permute(2, 0, 1)[None]
    reference = torch.nn.functional.interpolate(reference, (GRID, GRID))
    palette = palette_evidence(reference, SIDE, SIDE)
    steered = list(replace(problem, further=(palette,)).candidates(4))
    near, far = (
        palette.residual_rms_255(joined(found, "pixels")).mean() for found in (steered, free)
    )
    assert near < 0.7 * far


def test_a_steered_candidate_depends_on_its_number_and_the_seed_alone(problem: Inverter) -> None:
    config = replace(problem.config, num_steps=3)
    steered = replace(problem, config=config, further=(dot("a", TOP, colour_at(TOP)),))
    four, three = (list(steered.candidates(n)) for n in (4, 3))
    for name in ("ws", "pixels"):
        assert torch.equal(joined(four, name)[:3], joined(three, name))
    ws = torch.cat([joined(four, "ws"), joined(list(replace(steered, seed=1).candidates(2)), "ws")])
    assert torch.cdist(ws.flatten(1), ws.flatten(1)).fill_diagonal_(torch.inf).min() > 0.1


def test_the_best_guess_is_each_samples_own() -> None:
    """Guesses of 'the first number of the noise', asked to be near 1."""
    noise = torch.randn(5, 40, generator=torch.Generator().manual_seed(2))

    def cost(x: torch.Tensor) -> torch.Tensor:
        return (x[:, 0] - 1).square()

    together = best_of_guesses(lambda n: n, cost, noise)
    assert (cost(together) <= cost(noise)).all() and float(cost(together).max()) < 0.1
    for k in range(5):
        assert torch.equal(best_of_guesses(lambda n: n, cost, noise[k : k + 1])[0], together[k])
    np.testing.assert_allclose(together.abs().sort(1).values, noise.abs().sort(1).values)
