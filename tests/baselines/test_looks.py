"""What colourisers see: blur, edges, sketches and Lab beside SciPy's and scikit-image's."""

import numpy as np
import pytest
import torch
from colorizer_case import faces
from scipy import ndimage
from skimage import color, feature

from baselines.blur import blur_matrix, gaussian_blur
from baselines.colorizer import colour_cue, grey
from baselines.edges import canny, ink_share, sketch, xdog
from baselines.lab import ab_of, lightness, to_rgb


def luma():
    return grey(faces(4, 64))


def test_grey_is_luma():
    x = faces()
    r, g, b = x.double().numpy().transpose(1, 0, 2, 3)
    np.testing.assert_allclose(grey(x)[:, 0], 0.299 * r + 0.587 * g + 0.114 * b, atol=1e-6)


@pytest.mark.parametrize(("reflects", "mode"), [(True, "mirror"), (False, "nearest")])
@pytest.mark.parametrize("sigma", [0.8, 5.0])
def test_blur_is_scipys(reflects, mode, sigma):
    x = luma().double()
    reach = min(round(4 * sigma), 63)
    wanted = ndimage.gaussian_filter(
        x.numpy(), sigma, axes=(2, 3), mode=mode, radius=reach, truncate=0
    )
    found = gaussian_blur(x, sigma, reach, reflects=reflects)
    np.testing.assert_allclose(found, wanted, atol=1e-12)
    assert blur_matrix(64, sigma, reach).sum(1) == pytest.approx(1)


def test_colour_cue_has_sigma_20_at_256():
    x = torch.zeros(1, 3, 256, 256)
    x[..., 128, 128] = 1
    cue = colour_cue(x)[0, 0, 128].double()
    half = (cue > cue.max() / 2).sum()
    assert half == pytest.approx(2.355 * 20, abs=2)  # full width at half maximum: 47 pixels
    plain = torch.full((1, 3, 64, 64), 0.4)
    torch.testing.assert_close(colour_cue(plain), plain)  # no dark borders


def test_canny_is_scikit_images_within_a_pixel():
    y = luma()
    for ours, picture in zip(canny(y)[:, 0] < 0, (y[:, 0].double().numpy() + 1) / 2, strict=True):
        theirs = feature.canny(picture, 0.7, low_threshold=0.4, high_threshold=0.8, mode="mirror")
        near = [ndimage.binary_dilation(each, np.ones((3, 3))) for each in (ours.numpy(), theirs)]
        assert 0.03 < ours.float().mean() < 0.3
        assert (ours.numpy() & near[1]).sum() > 0.95 * ours.sum()
        assert (theirs & near[0]).sum() > 0.95 * theirs.sum()


def test_canny_follows_weak_lines_from_strong_ones_only():
    """A step that fades along its length is drawn to its weak end; a weak one alone is not."""
    y = torch.full((2, 1, 32, 48), -0.5)
    fading = torch.linspace(1.0, 0.28, 48)
    y[0, 0, 16:] += fading
    y[1, 0, 16:] += 0.28
    lines = canny(y, sigma=0.5)[:, 0] < 0
    assert lines[0].any(0)[2:-2].all() and lines[0].sum(0)[2:-2].max() == 1
    assert not lines[1].any()
    assert (canny(y, sigma=0.5, high=0.1)[1] < 0).any()


def test_sketch_is_opencvs_adaptive_threshold():
    """Its definition: the Gaussian mean of 7x7 pixels, sigma 1.4, edge pixels repeated, C = 2."""
    levels = (luma()[:1] + 1) * 127.5
    taps = np.exp(-(np.arange(-3, 4) ** 2) / (2 * 1.4**2))
    kernel = np.outer(taps, taps) / taps.sum() ** 2
    mean = ndimage.correlate(levels[0, 0].double().numpy(), kernel, mode="nearest")
    excess = levels[0, 0].numpy() - (mean - 2)
    found = sketch(levels / 127.5 - 1)[0, 0].numpy()
    clear = np.abs(excess) > 1e-3
    assert clear.mean() > 0.99 and ((found > 0) == (excess > 0))[clear].all()
    assert ink_share(torch.from_numpy(found)[None, None]).item() == (found < 0).mean()
    assert (sketch(torch.zeros(1, 1, 16, 16)) == 1).all()  # plain paper stays white


def test_xdog_draws_dark_lines_black_on_white_paper():
    y = torch.full((1, 1, 64, 64), 0.8)
    y[..., 30:32, :] = -0.6
    drawn = xdog(y)[0, 0, :, 32]
    assert drawn[:26].min() == 1 and drawn[36:].min() == 1 and drawn[30:32].max() < -0.9
    fine, coarse = (gaussian_blur((y + 1) / 2, sigma).numpy() for sigma in (0.7, 1.12))
    d = 19 * fine - 18 * coarse
    wanted = np.where(d >= 0.3, 1, np.clip(1 + np.tanh(10 * (d - 0.3)), 0, 1)) * 2 - 1
    np.testing.assert_allclose(xdog(y), wanted, atol=1e-5)


def test_lab_is_scikit_images():
    x = faces()
    rgb = (x.double().numpy().transpose(0, 2, 3, 1) + 1) / 2
    wanted = color.rgb2lab(rgb)
    np.testing.assert_allclose(ab_of(x).permute(0, 2, 3, 1) * 110, wanted[..., 1:], atol=0.02)
    y = grey(x)
    shown = np.repeat((y.double().numpy().transpose(0, 2, 3, 1) + 1) / 2, 3, -1)
    light = (lightness(y)[:, 0] + 1) * 50
    np.testing.assert_allclose(light, color.rgb2lab(shown)[..., 0], atol=0.02)


def test_lab_and_back():
    x = faces()
    lab = color.rgb2lab((x.double().numpy().transpose(0, 2, 3, 1) + 1) / 2).transpose(0, 3, 1, 2)
    light = torch.from_numpy(lab[:, :1] / 50 - 1).float()
    assert (to_rgb(light, ab_of(x)) - x).abs().max() < 1e-3
    wild = torch.tensor([[[[0.0]], [[1.0]]]])  # a colour that sRGB lacks
    assert to_rgb(torch.zeros(1, 1, 1, 1), wild).abs().max() <= 1
    grey_back = to_rgb(lightness(grey(x)), torch.zeros(4, 2, 32, 32))
    assert (grey_back - grey(x)).abs().max() < 2e-3
