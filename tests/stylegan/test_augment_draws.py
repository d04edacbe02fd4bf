"""How often transforms are selected, and how strong they are, against the paper's appendix B."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from stylegan.augment import draw_numbers, select_transforms

COUNT, SIZE = 6000, 256
FOUR_SIGMA = 4 * math.sqrt(0.25 / COUNT)  # of a share
UNLIKELY = 1e-3  # of a true hypothesis; the numbers are always the same


@pytest.fixture(scope="module")
def numbers():
    return draw_numbers(0, "statistics", range(COUNT))


@pytest.fixture(scope="module")
def strengths(numbers):
    """Read off the strengths of all transforms at p = 1."""
    blit, geometry, colour = (m.numpy() for m in select_transforms(1, numbers, SIZE))
    return blit_strengths(blit) | geometry_strengths(geometry) | colour_strengths(colour)


def blit_strengths(blit):
    mirror = np.linalg.det(blit)
    quarter = np.arctan2(blit[:, 1, 0] * mirror, blit[:, 0, 0] * mirror) / (math.pi / 2)
    shift = {"shift x": blit[:, 0, 2], "shift y": blit[:, 1, 2]}
    return {"mirror": mirror, "quarter": np.rint(quarter) % 4} | shift


def geometry_strengths(geometry):
    """`turn_after stretch turn_before scale` by its singular values and vectors."""
    after, singular, before = np.linalg.svd(geometry[:, :2, :2])
    first = before[:, 0]  # the direction that is stretched most
    return {
        "scale": np.log2(singular.prod(1)) / 2,
        "stretch": np.log2(singular[:, 0] / singular[:, 1]) / 2,
        "turn before": np.arctan2(first[:, 1], first[:, 0]) % math.pi,
        "turn after": np.arctan2(after[:, 1, 0], after[:, 0, 0]) % math.pi,
        "slide x": geometry[:, 0, 2] / SIZE,
        "slide y": geometry[:, 1, 2] / SIZE,
    }


def colour_strengths(colour):
    linear, offset = colour[:, :3, :3], colour[:, :3, 3]
    grey = linear.sum((1, 2)) / 3
    red = np.array([2, -1, -1]) / math.sqrt(6)  # red and, across it, the plane's other axis
    other = np.array([0, 1, -1]) / math.sqrt(2)
    along, across = red @ linear.transpose(0, 2, 1) @ red, other @ (linear @ red).T
    return {
        "brightness": offset.mean(1) / grey,
        "contrast": np.log2(np.abs(grey)),
        "luma": np.sign(grey),
        "hue": np.arctan2(across, along),
        "saturation": np.log2(np.hypot(along, across) / np.abs(grey)),
    }


NORMAL = {"scale": 0.2, "slide x": 0.125, "slide y": 0.125, "brightness": 0.2, "contrast": 0.5}
UNIFORM = {"turn before": (0, math.pi), "turn after": (0, math.pi), "hue": (-math.pi, math.pi)}
CHOICES = {"mirror": (-1, 1), "quarter": (0, 1, 2, 3), "luma": (-1, 1)}


@pytest.mark.parametrize(("name", "sigma"), [*NORMAL.items(), ("saturation", 1.0)])
def test_normal_strengths(strengths, name, sigma):
    """Logarithms of factors are to base 2."""
    assert kstest(strengths[name], "norm", (0, sigma)).pvalue > UNLIKELY


def test_stretch(strengths):
    """By s along one axis and 1 / s along the other; which of both is the longer cannot be seen."""
    assert kstest(strengths["stretch"], "halfnorm", (0, 0.2)).pvalue > UNLIKELY


@pytest.mark.parametrize(("name", "limits"), UNIFORM.items())
def test_uniform_angles(strengths, name, limits):
    low, high = limits
    assert kstest(strengths[name], "uniform", (low, high - low)).pvalue > UNLIKELY


@pytest.mark.parametrize(("name", "options"), CHOICES.items())
def test_choices(strengths, name, options):
    shares = np.array([np.isclose(strengths[name], option).mean() for option in options])
    assert shares.sum() == 1
    assert np.abs(shares - 1 / len(options)).max() < FOUR_SIGMA


@pytest.mark.parametrize("name", ["shift x", "shift y"])
def test_shifts(strengths, name):
    pixels = strengths[name]
    assert (pixels == np.rint(pixels)).all()
    assert np.abs(pixels).max() == SIZE / 8
    jitter = np.random.default_rng(0).uniform(-0.5, 0.5, COUNT)
    assert kstest(pixels + jitter, "uniform", (-SIZE / 8, SIZE / 4)).pvalue > UNLIKELY


def test_strengths_do_not_depend_on_each_other(strengths):
    columns = [np.cos(v) if "turn" in name else v for name, v in strengths.items()]
    correlation = np.corrcoef(columns) - np.eye(len(columns))
    assert np.abs(correlation).max() < 4.5 / math.sqrt(COUNT)


@pytest.mark.parametrize("p", [0.1, 0.3, 0.8])
def test_how_often_nothing_changes(numbers, p):
    """Both rotations together are selected with probability p, like every other transform."""
    blit, geometry, colour = (m.numpy() for m in select_transforms(p, numbers, SIZE))
    stays = 1 - p
    for matrices, expected in [
        (blit, (1 - p / 2) * (1 - p * 3 / 4) * stays),
        (geometry, stays**4),
        (colour, stays**4 * (1 - p / 2)),
    ]:
        is_identity = (matrices == np.eye(matrices.shape[1])).all((1, 2))
        assert is_identity.mean() == pytest.approx(expected, abs=FOUR_SIGMA)


def test_how_often_each_transform_of_geometry_is_selected(numbers):
    p = 0.4
    _, geometry, _ = select_transforms(p, numbers, SIZE)
    square = geometry[:, :2, :2].mT @ geometry[:, :2, :2]
    determinant = torch.linalg.det(geometry[:, :2, :2])
    is_round = (square[:, 0, 1].abs() < 1e-9) & ((square[:, 0, 0] - square[:, 1, 1]).abs() < 1e-9)
    selected = {
        "scale": (determinant - 1).abs() > 1e-9,
        "stretch": ~is_round,
        "slide": geometry[:, 0, 2] != 0,
    }
    for name, is_selected in selected.items():
        mean = is_selected.double().mean().item()
        assert mean == pytest.approx(p, abs=FOUR_SIGMA), name


def test_extreme_numbers_stay_finite():
    ends = torch.tensor([0.0, 1 - 2**-53], dtype=torch.double)[:, None].expand(-1, 28)
    assert all(matrices.isfinite().all() for matrices in select_transforms(1, ends, SIZE))
