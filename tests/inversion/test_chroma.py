"""Means of chroma, by Pillow and numpy, and colours brought to a luma."""

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import multivariate_normal

from data.faces.colour import oklab
from inversion.controls.chroma import GRID, ChromaMeans, Wanted, chroma_evidence
from inversion.controls.luma import chroma_kept, fitted, luma_on_grid
from inversion.controls.oklab import at_luma, from_oklab, to_oklab

R = 8


def some_weights(rows: int) -> torch.Tensor:
    weights = torch.rand(rows, GRID, GRID, generator=torch.Generator().manual_seed(0)) ** 8
    return weights / weights.sum((1, 2), keepdim=True)


def by_hand(picture: np.ndarray, weights: np.ndarray, side: int) -> np.ndarray:
    """Enlarge [3, R, R] to `side`, reduce to the grid, take both chroma coordinates' means."""
    planes = []
    for plane in picture.astype(np.float32):
        image = Image.fromarray(plane).resize((side, side), Image.Resampling.BICUBIC)
        image = image.resize((GRID, GRID), Image.Resampling.BICUBIC)
        planes.append(np.asarray(image, np.float64))
    r, g, b = planes
    coordinates = (r - g) / np.sqrt(2), (r + g - 2 * b) / np.sqrt(6)
    return np.array([[(w * c).sum() for c in coordinates] for w in weights])


def test_means_are_those_of_pillow_and_numpy() -> None:
    weights, img = some_weights(3), torch.rand(2, 3, 32, 32) * 2 - 1
    found = ChromaMeans(32, 128, weights)(img)
    expected = [by_hand(x, weights.numpy(), 128) for x in img.numpy()]
    np.testing.assert_allclose(found, np.stack(expected), atol=1e-5)


def test_a_shift_of_grey_changes_nothing() -> None:
    A, img = ChromaMeans(R, R, some_weights(2)), torch.rand(1, 3, R, R)
    shift = torch.rand(1, 1, R, R)
    torch.testing.assert_close(A(img + shift), A(img), rtol=0, atol=1e-6)


def test_every_colour_is_meant_as_well_as_it_is_said() -> None:
    std = [0.02, 0.03, 0.04, 0.5]
    wanted = Wanted(some_weights(4), torch.rand(4, 3), torch.tensor(std))
    evidence = chroma_evidence("x", wanted, R, 2 * R)
    density = multivariate_normal(cov=np.diag(np.repeat(std, 2) ** 2))
    img = torch.rand(2, 3, R, R) * 2 - 1
    r = (evidence.A(img) - evidence.y).flatten(1)
    np.testing.assert_allclose(evidence.log_lik(img), density.logpdf(r), rtol=1e-4)


def test_what_is_wanted_is_on_the_scale_of_pictures() -> None:
    red = Wanted(some_weights(1), torch.tensor([[1.0, 0.0, 0.5]]), torch.tensor([0.1]))
    evidence = chroma_evidence("x", red, R, R)
    img = torch.tensor([1.0, -1.0, 0.0])[None, :, None, None].expand(1, 3, R, R)
    assert float(evidence.residual_rms_255(img)) < 1e-3


# ---- colours of given luma ----


def test_oklab_is_that_of_the_drawn_faces() -> None:
    colours = [(0, 0, 0), (255, 255, 255), (160, 48, 80), (3, 9, 200), (10, 250, 0)]
    found = to_oklab(torch.tensor(colours, dtype=torch.float64) / 255)
    expected = [oklab(colour) for colour in colours]
    np.testing.assert_allclose(found[1:], expected[1:], atol=1e-6)
    np.testing.assert_allclose(found[0], expected[0], atol=0.05)  # black: its slope is finite
    torch.testing.assert_close(
        from_oklab(found[1:]),
        torch.tensor(colours[1:]) / 255.0,
        rtol=0,
        atol=1e-6,
        check_dtype=False,
    )


def test_gradient_of_black_is_finite() -> None:
    rgb = torch.zeros(1, 3, requires_grad=True)
    to_oklab(rgb).sum().backward()
    assert rgb.grad is not None and rgb.grad.isfinite().all()


def hue_and_chroma(colour: torch.Tensor) -> tuple[float, float]:
    _, a, b = oklab(tuple((255 * colour).tolist()))
    return np.degrees(np.arctan2(b, a)), float(np.hypot(a, b))


@pytest.mark.parametrize("luma", [0.15, 0.4, 0.7, 0.95])
def test_hue_is_kept_at_every_luma_and_chroma_where_it_can(luma: float) -> None:
    wanted = torch.tensor([[160, 48, 80], [40, 90, 200], [120, 110, 100]]) / 255.0
    found = at_luma(wanted, torch.full((3,), luma))
    np.testing.assert_allclose(found.numpy() @ [0.299, 0.587, 0.114], luma, atol=1e-4)
    for before, after in zip(wanted, found, strict=True):
        (hue, chroma), (new_hue, new_chroma) = hue_and_chroma(before), hue_and_chroma(after)
        assert abs((hue - new_hue + 180) % 360 - 180) < 1
        assert new_chroma <= chroma + 1e-3
        at_the_end = float(after.min()) < 0.01 or float(after.max()) > 0.99
        assert at_the_end or new_chroma == pytest.approx(chroma, abs=1e-3)


def test_wanted_colours_take_the_luma_of_their_places() -> None:
    look = torch.full((1, 1, 16, 16), -0.6)
    look[..., 8:] = 0.4
    weights = torch.zeros(2, GRID, GRID)
    weights[0, 10, 8], weights[1, 10, 56] = 1, 1
    red = torch.tensor([[0.8, 0.2, 0.3]]).expand(2, 3)
    found = fitted(Wanted(weights, red, torch.ones(2)), luma_on_grid(look)).rgb
    np.testing.assert_allclose(found.numpy() @ [0.299, 0.587, 0.114], [0.2, 0.7], atol=1e-3)
    assert chroma_kept(red, red) == pytest.approx(1)
    assert chroma_kept(red, torch.full((2, 3), 0.5)) < 1e-3
