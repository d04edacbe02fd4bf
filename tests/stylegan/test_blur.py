"""The Gaussian blur of D's pictures against SciPy, its derivatives and its schedule."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from stylegan.blur import blur, blur_sigma


@pytest.mark.parametrize("sigma", [0.4, 1.0, 3.3, 10.0])
@pytest.mark.parametrize("size", [(16, 16), (40, 70)])
def test_against_scipy(sigma, size):
    """Zeros outside the picture; 16 pixels are fewer than sigma 10 has taps."""
    x = np.random.default_rng(0).normal(size=(2, 3, *size))
    radius = int(3 * sigma)
    expected = gaussian_filter(x, sigma, mode="constant", axes=(2, 3), radius=radius)
    found = blur(torch.from_numpy(x), sigma)
    np.testing.assert_allclose(found, expected, atol=1e-6)  # taps are float32


@pytest.mark.parametrize("sigma", [0.0, 0.3])
def test_a_tiny_blur_is_none(sigma):
    x = torch.randn(1, 3, 8, 8)
    assert blur(x, sigma) is x


def test_a_flat_picture_stays_flat_inside():
    y = blur(torch.full((1, 1, 90, 90), 0.7), 10.0)
    assert y[..., 30:60, 30:60].sub(0.7).abs().max() < 1e-6
    assert y[..., 0, 45].item() == pytest.approx(0.35, abs=0.02)  # half of it lies outside


def test_derivatives_of_both_orders_are_exact():
    x = torch.randn(1, 2, 6, 7, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: blur(x, 2.0).sin(), x)
    assert torch.autograd.gradgradcheck(lambda x: blur(x, 2.0).sin(), x)


def test_it_fades_linearly():
    assert [blur_sigma(1000 * kimg, 200) for kimg in (0, 50, 150, 200, 900)] == [10, 7.5, 2.5, 0, 0]
    assert blur_sigma(100, 0.4, initial=4) == 3
    assert blur_sigma(0, 0) == 0
