"""Frechet distances against closed forms and scipy's square root of a matrix."""

import logging
import math

import numpy as np
import pytest
import scipy.linalg
import torch
from PIL import Image
from torch import Tensor

from evaluation.frechet import (
    FeatureError,
    Gaussian,
    Moments,
    accumulate,
    draws,
    frechet_distance,
    pixels16,
)


def normals(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def orthogonal(seed: int, d: int) -> Tensor:
    return torch.linalg.qr(normals(seed, d, d)).Q


def spectrum(seed: int, d: int) -> Tensor:
    return normals(seed, d).exp()


# ---- closed forms ----


@pytest.mark.parametrize("d", [1, 2, 64])
def test_commuting_covariances_have_a_closed_form(d: int) -> None:
    """|m1 - m2|^2 + sum (sqrt a - sqrt b)^2 for covariances Q diag(a) Q^T and Q diag(b) Q^T."""
    q, a, b = orthogonal(0, d), spectrum(1, d), spectrum(2, d)
    first = Gaussian(normals(3, d), (q * a) @ q.T)
    second = Gaussian(normals(4, d), (q * b) @ q.T)
    expected = (first.mean - second.mean).square().sum() + (a.sqrt() - b.sqrt()).square().sum()
    assert frechet_distance(first, second) == pytest.approx(expected.item(), rel=1e-10)


def test_a_linear_map_has_a_closed_form() -> None:
    """The optimal transport from N(0, I) to N(0, M M) by a positive M costs tr (M - I)^2."""
    d = 64
    q, scales = orthogonal(5, d), spectrum(6, d)
    M = (q * scales) @ q.T
    standard, mapped = Gaussian(torch.zeros(d), torch.eye(d)), Gaussian(torch.zeros(d), M @ M)
    expected = (M - torch.eye(d)).square().sum().item()
    assert frechet_distance(standard, mapped) == pytest.approx(expected, rel=1e-10)


def test_transport_between_covariances_that_do_not_commute() -> None:
    """x -> M x, M positive, is optimal from any N(0, S): the cost is tr (M - I) S (M - I)."""
    d = 48
    q, r = orthogonal(7, d), orthogonal(8, d)
    M, S = (q * spectrum(9, d)) @ q.T, (r * spectrum(10, d)) @ r.T
    assert (M @ S - S @ M).norm() > 1
    shift = M - torch.eye(d)
    expected = (shift @ S @ shift).trace().item()
    zero = torch.zeros(d, dtype=torch.float64)
    found = frechet_distance(Gaussian(zero, S), Gaussian(zero, M @ S @ M))
    assert found == pytest.approx(expected, rel=1e-10)


def test_it_equals_scipys_root() -> None:
    d = 40
    a, b = (Moments.of(normals(seed, 200, d) @ normals(seed + 1, d, d)) for seed in (11, 13))
    (m1, s1), (m2, s2) = a.gaussian(), b.gaussian()
    root = scipy.linalg.sqrtm(s1.numpy() @ s2.numpy())
    expected = ((m1 - m2) ** 2).sum() + s1.trace() + s2.trace() - 2 * np.trace(root).real
    found = frechet_distance(a.gaussian(), b.gaussian())
    assert found == pytest.approx(expected.item(), rel=1e-8)  # the accuracy of scipy's root


def test_it_is_symmetric_and_does_not_see_a_rotation() -> None:
    d = 32
    x, y, q = normals(14, 100, d), 2 * normals(15, 100, d) + 1, orthogonal(16, d)
    a, b = Moments.of(x).gaussian(), Moments.of(y).gaussian()
    forward = frechet_distance(a, b)
    assert forward == pytest.approx(frechet_distance(b, a), rel=1e-12)
    turned = Moments.of(x @ q).gaussian(), Moments.of(y @ q).gaussian()
    assert forward == pytest.approx(frechet_distance(*turned), rel=1e-10)


@pytest.mark.parametrize("count", [2, 20, 400])
def test_equal_sets_are_at_no_distance_however_few(count: int) -> None:
    features = normals(17, count, 64) * torch.logspace(2, -6, 64)
    a = Moments.of(features).gaussian()
    assert 0 <= frechet_distance(a, a) <= 1e-12 * a.cov.trace()


def test_singular_covariances_have_the_distance_of_the_plane_they_lie_in() -> None:
    x, y = normals(18, 50, 5), normals(19, 50, 5) * 3 + 1
    q = orthogonal(20, 60)[:5]
    flat = frechet_distance(Moments.of(x).gaussian(), Moments.of(y).gaussian())
    lifted = frechet_distance(Moments.of(x @ q).gaussian(), Moments.of(y @ q).gaussian())
    assert lifted == pytest.approx(flat, rel=1e-10)


# ---- moments ----


def test_moments_are_numpys() -> None:
    features = normals(21, 300, 12) * 3 + 100
    mean, cov = Moments.of(features).gaussian()
    assert np.abs(mean.numpy() - features.numpy().mean(0)).max() < 1e-11
    assert np.abs(cov.numpy() - np.cov(features.numpy().T)).max() < 1e-9


@pytest.mark.parametrize("batch", [1, 7, 64, 200])
def test_the_batch_size_and_the_split_over_ranks_do_not_matter(batch: int) -> None:
    pictures = torch.rand(200, 3, 32, 32, generator=torch.Generator().manual_seed(22)) * 2 - 1
    whole = Moments.of(few_pixels(pictures))
    batches = accumulate(pictures.split(batch), few_pixels)
    ranks = [accumulate(part.split(batch), few_pixels) for part in pictures.split(90)]
    reduced = Moments(torch.stack([rank.gram for rank in ranks]).sum(0))
    other = Moments.of(few_pixels(pictures.flip(0).pow(3))).gaussian()
    expected = frechet_distance(whole.gaussian(), other)
    for moments in (batches, ranks[0] + ranks[1] + ranks[2], reduced):
        assert moments.count == 200
        assert frechet_distance(moments.gaussian(), other) == pytest.approx(expected, rel=1e-6)


def few_pixels(pictures: Tensor) -> Tensor:
    return pixels16(pictures)[:, ::10]


def test_low_precision_features_are_summed_in_float64() -> None:
    features = torch.full((4096, 2), 0.1, dtype=torch.float32)
    [mean, _] = Moments.of(features).gaussian()
    assert mean.dtype == torch.float64 and mean[0].item() == pytest.approx(np.float32(0.1), 1e-15)


def test_draws_add_up_to_the_number_asked_for() -> None:
    batches = list(draws(lambda n: torch.zeros(n, 3), num=10, batch=4))
    assert [len(batch) for batch in batches] == [4, 4, 2]


def test_too_few_pictures_are_refused() -> None:
    with pytest.raises(FeatureError, match="of 1 pictures: too few"):
        Moments.of(normals(23, 1, 4)).gaussian()
    with pytest.raises(FeatureError, match="of 0 pictures: too few"):
        accumulate([], pixels16)


def test_fewer_pictures_than_features_are_worth_a_warning(caplog) -> None:
    with caplog.at_level(logging.WARNING):
        Moments.of(normals(24, 10, 9)).gaussian()
        assert not caplog.records
        Moments.of(normals(24, 9, 9)).gaussian()
    assert "9 pictures for 9 features: the Frechet distance is biased" in caplog.text


def test_different_features_are_refused() -> None:
    a, b = Moments.of(normals(25, 9, 3)).gaussian(), Moments.of(normals(26, 9, 4)).gaussian()
    with pytest.raises(FeatureError, match="lengths 3 and 4 cannot be compared"):
        frechet_distance(a, b)
    with pytest.raises(FeatureError, match=r"Give \[N, d\]"):
        Moments.of(normals(27, 2, 3, 4))


def test_pictures_that_are_not_finite_give_nan_and_no_error() -> None:
    pictures = torch.zeros(3, 3, 16, 16)
    good = Moments.of(pixels16(torch.rand(3, 3, 16, 16))).gaussian()
    pictures[1, 2, 3, 4] = math.nan
    assert math.isnan(frechet_distance(Moments.of(pixels16(pictures)).gaussian(), good))


# ---- pixels as features ----


def test_pixels16_are_pillows_reduction_in_luma_and_colour() -> None:
    rng = np.random.default_rng(28)
    levels = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    planes = [
        np.asarray(Image.fromarray(levels[..., c].astype(np.float32)).resize((16, 16), 3))
        for c in range(3)
    ]
    luma = 0.299 * planes[0] + 0.587 * planes[1] + 0.114 * planes[2]
    expected = np.stack([luma / 127.5 - 1, (planes[0] - luma) / 127.5, (planes[2] - luma) / 127.5])
    picture = torch.from_numpy(levels).permute(2, 0, 1)[None] / 127.5 - 1
    assert np.abs(pixels16(picture).reshape(3, 16, 16).numpy() - expected).max() < 1e-5


def test_pixels16_clip_as_a_file_does() -> None:
    picture = normals(29, 2, 3, 16, 16).float() * 2
    assert torch.equal(pixels16(picture), pixels16(picture.clamp(-1, 1)))


@pytest.mark.parametrize("shape", [(2, 1, 16, 16), (3, 16, 16), (2, 4, 16, 16)])
def test_pixels16_refuse_other_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(FeatureError, match=r"Give \[N, 3, H, W\]"):
        pixels16(torch.zeros(shape))
