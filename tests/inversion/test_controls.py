"""Each control's weights and colours against arithmetic that shares nothing with them."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from data.faces.colour import oklab
from inversion.controls.chroma import GRID
from inversion.controls.cue import POINTS, cue
from inversion.controls.hint import STD, HintError, hint
from inversion.controls.palette import DIRECTIONS, QUANTILES, palette_evidence, quantiles
from inversion.controls.parts import PLACE_STD, part_colours, parts, unmixing
from inversion.controls.parts import STD as PART_STD

P = 256


def strokes(*painted: tuple[slice, slice, tuple[float, float, float], float]) -> torch.Tensor:
    rgba = torch.rand(4, P, P, generator=torch.Generator().manual_seed(0))  # colours behind nothing
    rgba[3] = 0
    for rows, columns, colour, alpha in painted:
        rgba[:3, rows, columns] = torch.tensor(colour)[:, None, None]
        rgba[3, rows, columns] = alpha
    return rgba


# ---- hint ----


def test_a_painted_cell_is_known_and_no_other() -> None:
    wanted = hint(strokes((slice(16, 24), slice(40, 48), (0.8, 0.1, 0.3), 1.0)))
    place = torch.zeros(GRID, GRID)
    place[4:6, 10:12] = 0.25  # pixels 16 to 24, 40 to 48 of 256
    torch.testing.assert_close(wanted.weights.float(), place[None])
    torch.testing.assert_close(wanted.rgb.float(), torch.tensor([[0.8, 0.1, 0.3]]))
    assert wanted.std.tolist() == pytest.approx([STD])


def test_paint_weighs_what_it_covers() -> None:
    half = hint(strokes((slice(16, 24), slice(40, 48), (0.8, 0.1, 0.3), 0.25)))
    thin = hint(strokes((slice(16, 18), slice(40, 48), (0.8, 0.1, 0.3), 1.0)))
    for wanted in (half, thin):
        assert wanted.std.tolist() == pytest.approx([2 * STD])
        torch.testing.assert_close(wanted.rgb.float(), torch.tensor([[0.8, 0.1, 0.3]]))
        assert float(wanted.weights.sum()) == pytest.approx(1)
    assert thin.weights[0, 4].sum() == pytest.approx(1)  # only the row that is painted


def test_two_paints_in_a_cell_mix_by_what_they_cover() -> None:
    red, blue = (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)
    wanted = hint(
        strokes((slice(16, 24), slice(40, 46), red, 1.0), (slice(16, 24), slice(46, 48), blue, 1.0))
    )
    torch.testing.assert_close(wanted.rgb.float(), torch.tensor([[0.75, 0.0, 0.25]]))


def test_strokes_without_paint_are_refused() -> None:
    for rgba in (strokes(), strokes((slice(0, 1), slice(0, 1), (1, 1, 1), 0.5))):
        with pytest.raises(HintError, match="no pixel is painted") as caught:
            hint(rgba)
        assert caught.value.code == "E-INV-HINT"


# ---- cue ----


def test_cue_reads_what_a_gaussian_filter_makes() -> None:
    rgba = torch.ones(4, P, P)
    smooth = gaussian_filter(np.random.default_rng(0).uniform(0, 1, (GRID, GRID)), 1)
    blurred = gaussian_filter(np.kron(smooth, np.ones((4, 4))), 20, mode="reflect", truncate=6)
    rgba[:3] = torch.from_numpy(blurred)
    wanted = cue(rgba)
    measured = wanted.weights.flatten(1) @ torch.from_numpy(smooth).flatten()
    assert wanted.weights.shape == (POINTS**2, GRID, GRID)
    np.testing.assert_allclose(measured, wanted.rgb[:, 0], atol=2e-3)
    assert np.ptp(blurred) > 0.05


def test_cue_says_nothing_where_it_is_transparent() -> None:
    rgba = torch.ones(4, P, P)
    rgba[3, :, :128] = 0
    wanted = cue(rgba)
    assert len(wanted.weights) == POINTS**2 // 2
    assert float(wanted.weights[:, :, GRID // 2 :].sum((1, 2)).min()) > 0.5
    rgba[3] = 0
    with pytest.raises(HintError, match="transparent everywhere"):
        cue(rgba)


# ---- palette ----


def test_quantiles_are_those_of_sorted_projections() -> None:
    picture = torch.rand(1, 3, GRID, GRID, dtype=torch.float64) * 2 - 1
    found = quantiles(picture)
    colours = (255 * (picture[0].flatten(1).T.numpy() + 1) / 2).tolist()
    lab = np.array([oklab(tuple(colour)) for colour in colours])
    for k in (0, 5, 9):
        angle = np.pi * k / DIRECTIONS
        ordered = np.sort(lab[:, 1] * np.cos(angle) + lab[:, 2] * np.sin(angle))
        expected = ordered.reshape(QUANTILES, -1).mean(1)
        np.testing.assert_allclose(found[0, k], expected, atol=1e-4)


def test_palette_knows_colours_but_no_places() -> None:
    picture = torch.rand(1, 3, GRID, GRID) * 2 - 1
    moved = picture.flatten(2)[:, :, torch.randperm(GRID**2)].unflatten(2, (GRID, GRID))
    evidence = palette_evidence(picture, GRID, GRID)
    assert float(evidence.residual_rms_255(moved)) < 1e-3
    turned = picture[:, [1, 2, 0]] * torch.tensor([0.2, 1.0, 0.6])[:, None, None]
    assert float(evidence.residual_rms_255(turned)) > 1


def test_palette_pulls_a_picture_towards_its_colours() -> None:
    reference = torch.rand(1, 3, GRID, GRID) * torch.tensor([1.0, 0.3, 0.1])[:, None, None]
    evidence = palette_evidence(reference, 16, 16)
    img = torch.zeros(1, 3, 16, 16, requires_grad=True)
    before = evidence.misfit(img, evidence.y).square().sum()
    (gradient,) = torch.autograd.grad(before, img)
    after = evidence.misfit(img - 0.1 * gradient / gradient.abs().max(), evidence.y).square().sum()
    assert gradient.isfinite().all() and after < 0.95 * before


# ---- parts ----


def mixed_picture() -> tuple[dict[str, torch.Tensor], dict[str, list[float]], torch.Tensor]:
    """Three soft regions that leave something over, and the picture that they make."""
    generator = torch.Generator().manual_seed(3)
    shares = torch.softmax(3 * torch.randn(4, GRID, GRID, generator=generator), 0)[:3]
    colours = [[0.8, 0.2, 0.3], [0.9, 0.8, 0.7], [0.1, 0.3, 0.9]]
    names = ("hair", "skin", "eyes")
    picture = torch.einsum("kij,kc->cij", shares, torch.tensor(colours))
    picture += 0.4 * (1 - shares.sum(0))
    return dict(zip(names, shares, strict=True)), dict(zip(names, colours, strict=True)), picture


def test_mixed_colours_are_told_apart() -> None:
    shares, colours, picture = mixed_picture()
    weights = unmixing(shares)
    found = part_colours(weights, picture)
    for name, colour in colours.items():
        np.testing.assert_allclose(found[name], colour, atol=1e-5)
        assert float(weights[name].sum()) == pytest.approx(1, abs=1e-6)


def test_weights_are_least_squares() -> None:
    shares, _, picture = mixed_picture()
    noisy = picture + 0.1 * torch.randn(picture.shape, generator=torch.Generator().manual_seed(4))
    columns = np.stack([s.numpy().ravel() for s in shares.values()], 1).astype(np.float64)
    columns = np.concatenate([columns, 1 - columns.sum(1, keepdims=True)], 1)
    flat = noisy.flatten(1).T.numpy().astype(np.float64)
    expected, *_ = np.linalg.lstsq(columns, flat, rcond=None)
    found = part_colours(unmixing(shares), noisy)
    np.testing.assert_allclose(
        np.stack([c.numpy() for c in found.values()]), expected[:3], atol=1e-5
    )


def test_a_region_that_is_not_seen_is_not_found() -> None:
    shares, _, _ = mixed_picture()
    shares["eyes"] = shares["eyes"] * 1e-4
    weights = unmixing(shares)
    assert list(weights) == ["hair", "skin"]
    asked = {"hair": torch.tensor([1.0, 0, 0]), "eyes": torch.tensor([0, 0, 1.0])}
    wanted = parts(weights, asked)
    assert wanted is not None and wanted.rgb.tolist() == [[1, 0, 0]]
    blurred = PLACE_STD * np.linalg.norm(weights["hair"])
    assert wanted.std.tolist() == pytest.approx([np.hypot(PART_STD["hair"], blurred)])
    assert parts(weights, {"eyes": asked["eyes"]}) is None
    assert unmixing({"hair": torch.zeros(GRID, GRID)}) == {}
