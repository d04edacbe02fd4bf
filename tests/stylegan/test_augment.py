"""Augmented pictures against numpy's and scipy's way of doing the same."""

import itertools
import math

import numpy as np
import pytest
import torch
from augment_case import P, noise, selecting, waves
from scipy.ndimage import affine_transform
from scipy.spatial.transform import Rotation

from stylegan.augment import SYM6, augment, draw_numbers


def numbers(count, stream="test"):
    return draw_numbers(0, stream, range(count))


def test_with_p_0_every_bit_stays():
    images = noise(8)
    assert torch.equal(augment(images.clone(), 0.0, torch.zeros(8, 28)), images)


def test_what_nothing_selects_keeps_its_bits():
    images = noise(6)
    rows = torch.cat([selecting(), selecting(mirror=True), selecting(), selecting(scale=1.3)])
    rows = torch.cat([rows, selecting(hue=1.0), selecting(mirror=False, quarter=0)])
    changed = augment(images, P, rows)
    same = [torch.equal(a, b) for a, b in zip(images, changed, strict=True)]
    assert same == [True, False, True, False, False, True]


def test_mirrored_pictures_are_flipped():
    images = noise()
    mirrored = augment(images, P, selecting(mirror=True).expand(2, -1))
    assert torch.equal(mirrored, images.flip(3))


@pytest.mark.parametrize("turns", range(4))
def test_quarter_turns_are_rot90(turns):
    turned = augment(noise(), P, selecting(quarter=turns).expand(2, -1))
    assert torch.equal(turned, torch.rot90(noise(), turns, (2, 3)))


def shifted(images, x, y):
    """Shift by whole pixels, right and down, with numpy's reflection."""
    pad = [(0, 0), (0, 0), (8, 8), (8, 8)]
    wide, size = np.pad(images.numpy(), pad, mode="reflect"), images.shape[-1]
    return torch.from_numpy(wide[:, :, 8 - y : 8 - y + size, 8 - x : 8 - x + size].copy())


@pytest.mark.parametrize(("x", "y"), [(3, 0), (0, 4), (-4, 2), (-1, -3)])
def test_shifts_by_whole_pixels_are_copies(x, y):
    images = noise(size=32)
    moved = augment(images, P, selecting(shift=(x / 32, y / 32)).expand(2, -1))
    assert torch.equal(moved, shifted(images, x, y))


def test_blits_follow_each_other():
    images = noise(size=32)
    row = selecting(mirror=True, quarter=3, shift=(2 / 32, -3 / 32))
    expected = shifted(torch.rot90(images.flip(3), 3, (2, 3)), 2, -3)
    assert torch.equal(augment(images, P, row.expand(2, -1)), expected)


def test_resampling_by_whole_pixels_gives_back_the_picture():
    """The wavelet is orthogonal: upsampled and downsampled, even noise is itself again."""
    images = noise(size=64).double()
    moved = augment(images, P, selecting(slide=(5 / 64, -4 / 64)).expand(2, -1))
    inner = (..., slice(16, 48), slice(16, 48))
    assert torch.allclose(moved[inner], shifted(images, 5, -4)[inner], rtol=0, atol=1e-12)


def affine(x_from_x, x_from_y, y_from_x, y_from_y):
    return np.array([[x_from_x, x_from_y], [y_from_x, y_from_y]])


def turn(angle):
    """Counter-clockwise by `angle` where y points down."""
    return affine(math.cos(angle), math.sin(angle), -math.sin(angle), math.cos(angle))


GEOMETRIES = {
    "scale": (dict(scale=1.3), np.eye(2) * 1.3),
    "shrink": (dict(scale=0.6), np.eye(2) * 0.6),
    "turn": (dict(turn_before=0.7), turn(0.7)),
    "stretch": (dict(stretch=1.25), np.diag([1.25, 0.8])),
    "slide": (dict(slide=(0.11, -0.07)), np.eye(2)),
    "quarter, scale": (dict(quarter=1, scale=1.2), 1.2 * turn(math.pi / 2)),
    "all": (
        dict(mirror=True, quarter=1, shift=(4 / 64, 2 / 64), scale=0.9)
        | dict(turn_before=0.4, stretch=1.2, turn_after=-2.0, slide=(-0.06, 0.03)),
        turn(-2)
        @ np.diag([1.2, 1 / 1.2])
        @ (0.9 * turn(0.4))
        @ turn(math.pi / 2)
        @ np.diag([-1, 1]),
    ),
}


def reference(image, wish, matrix, mode="mirror"):
    """scipy's quintic splines of one plane `[64, 64]`."""
    shift = np.array(wish.get("slide", (0, 0))) * 64
    if "shift" in wish:  # it precedes what follows the blits
        later = matrix @ np.diag([-1, 1]) @ turn(-math.pi / 2)
        shift = shift + later @ (np.array(wish["shift"]) * 64)
    inverse = np.linalg.inv(matrix)[::-1, ::-1]  # of (y, x)
    centre = np.full(2, 31.5)
    offset = centre - inverse @ (centre + shift[::-1])
    return affine_transform(image, inverse, offset, order=5, mode=mode)


@pytest.mark.parametrize("name", GEOMETRIES)
def test_geometry_against_splines(name):
    wish, matrix = GEOMETRIES[name]
    images = waves()
    changed = augment(images, P, selecting(**wish))[0].numpy()
    expected = np.stack([reference(plane, wish, matrix) for plane in images[0].numpy()])
    error = np.abs(changed - expected)
    is_inside = reference(np.pad(np.ones((52, 52)), 6), wish, matrix, mode="constant") > 0.99
    assert is_inside.mean() > 0.15
    assert error[:, is_inside].max() < 0.01
    assert error.max() < 0.12  # where the picture is reflected, about an axis 0.05 pixels away


def test_straight_ramps_stay_exact():
    """A wavelet that is off the middle would move what is turned: by 0.2 pixels, uncorrected."""
    t = torch.arange(64, dtype=torch.double) - 31.5
    ramp = (0.03 * t - 0.02 * t[:, None]).expand(1, 3, 64, 64)
    matrix = turn(2.5) * 1.1
    changed = augment(ramp, P, selecting(turn_before=2.5, scale=1.1))[0, 0, 24:40, 24:40]
    slope = np.array([0.03, -0.02]) @ np.linalg.inv(matrix)
    expected = slope[0] * t + slope[1] * t[:, None]
    assert torch.allclose(changed, expected[24:40, 24:40], rtol=0, atol=1e-12)


def test_beyond_its_borders_a_picture_is_its_mirror_image():
    """A wave with peaks on the outermost pixels goes on as if there were no border."""
    t = torch.arange(49, dtype=torch.double)
    wave, moved = (torch.cos(math.tau * (t - shift) / 8) for shift in (0, 0.25))
    images = (wave * wave[:, None]).expand(1, 3, 49, 49)
    changed = augment(images, P, selecting(slide=(0.25 / 49, 0.25 / 49)))
    assert (changed - moved * moved[:, None]).abs().max() < 0.06  # 0.04 of it bilinear lookup's


COLOURS = {
    "brightness": dict(brightness=0.3),
    "contrast": dict(contrast=1.7),
    "luma": dict(luma=True),
    "hue": dict(hue=-2.2),
    "saturation": dict(saturation=0.4),
    "all": dict(brightness=-0.2, contrast=0.6, luma=True, hue=1.1, saturation=2.5),
}


def colour_matrix(brightness=0.0, contrast=1.0, luma=False, hue=0.0, saturation=1.0):
    """The product of five 4x4 matrices, each written down by itself."""
    v = np.ones(3) / math.sqrt(3)
    grey = np.outer(v, v)
    steps = [np.eye(3) * contrast, np.eye(3) - 2 * luma * grey]
    steps += [Rotation.from_rotvec(hue * v).as_matrix(), grey + saturation * (np.eye(3) - grey)]
    product = np.eye(4)
    product[:3, 3] = brightness
    for step in steps:
        whole = np.eye(4)
        whole[:3, :3] = step
        product = whole @ product
    return product


@pytest.mark.parametrize("name", COLOURS)
def test_colours_against_a_product_of_matrices(name):
    images = noise().double()
    changed = augment(images, P, selecting(**COLOURS[name]).expand(2, -1))
    matrix = torch.from_numpy(colour_matrix(**COLOURS[name]))
    expected = torch.einsum("oc,nchw->nohw", matrix[:3, :3], images) + matrix[:3, 3:, None]
    assert torch.allclose(changed, expected, rtol=0, atol=1e-12)


def test_a_third_of_a_turn_of_hue_exchanges_the_channels():
    images = noise()
    turned = augment(images, P, selecting(hue=math.tau / 3).expand(2, -1))
    assert torch.allclose(turned, images.roll(1, dims=1), rtol=0, atol=1e-6)


@pytest.mark.parametrize("wish", [dict(hue=2.0), dict(saturation=3.0)], ids=str)
def test_hue_and_saturation_keep_grey_pictures(wish):
    grey = noise()[:, :1].expand(-1, 3, -1, -1)
    assert torch.allclose(augment(grey, P, selecting(**wish).expand(2, -1)), grey, atol=1e-6)


def test_derivatives_of_both_orders():
    rows = torch.cat([selecting(quarter=1, shift=(2 / 12, 0)), selecting(luma=True), numbers(2)])
    rows[2:, list(range(0, 28, 2))] *= 0.5  # opens most gates
    images = noise(4, 12).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: augment(x, P, rows), images, fast_mode=True)
    assert torch.autograd.gradgradcheck(lambda x: augment(x, P, rows), images, fast_mode=True)


def test_the_gradient_of_a_blit_is_a_blit():
    images, weights = noise(size=47).requires_grad_(), noise(size=47, seed=1)
    turned = augment(images, P, selecting(mirror=True, quarter=1).expand(2, -1))
    (grad,) = torch.autograd.grad((turned * weights).sum(), images)
    assert torch.equal(grad, torch.rot90(weights, -1, (2, 3)).flip(3))


def test_the_gradient_is_the_transposed_map():
    """`<A x, y> = <x, A^T y>`, for a map that is applied and for its gradient."""
    x, y = noise(8, 32).double().requires_grad_(), noise(8, 32, seed=1).double()
    zero = augment(torch.zeros_like(x), 1, numbers(8))
    product = ((augment(x, 1, numbers(8)) - zero) * y).sum()
    (grad,) = torch.autograd.grad(product, x)
    assert product.item() == pytest.approx((grad * x).sum().item(), rel=1e-12)


@pytest.mark.parametrize("p", [0.3, 1.0])
def test_a_picture_does_not_depend_on_its_batch(p):
    images = noise(12, 32)
    whole = augment(images, p, numbers(12))
    for size in (1, 5):
        starts = range(0, 12, size)
        rows = [draw_numbers(0, "test", range(i, min(i + size, 12))) for i in starts]
        parts = zip(images.split(size), rows, strict=True)
        assert torch.equal(torch.cat([augment(part, p, row) for part, row in parts]), whole)


def test_numbers_depend_on_seed_stream_and_index_alone():
    row = draw_numbers(3, "real", [7])
    assert torch.equal(draw_numbers(3, "real", [5, 6, 7])[2:], row)
    others = [draw_numbers(4, "real", [7]), draw_numbers(3, "fake", [7])]
    assert not any(torch.equal(other, row) for other in others)


def test_the_global_generator_is_left_alone():
    before = torch.get_rng_state()
    augment(noise(), 1.0, numbers(2))
    assert torch.equal(torch.get_rng_state(), before)


def daubechies_filters():
    """All 12-tap orthogonal filters with 6 zeros at the Nyquist frequency, real, of sum 1."""
    halfband = np.roots([math.comb(5 + k, k) for k in range(5, -1, -1)])
    roots = [np.roots([1, 4 * y - 2, 1]) for y in halfband]
    inner = [min(pair, key=abs) for pair in roots]
    upper = [z for z in inner if z.imag > 1e-9]
    real = [z.real for z in inner if abs(z.imag) < 1e-9]
    groups = [(z, z.conjugate()) for z in upper] + [(z,) for z in real]
    for signs in itertools.product((1, -1), repeat=len(groups)):
        zeros = [z**s for group, s in zip(groups, signs, strict=True) for z in group]
        f = np.poly([-1] * 6 + zeros).real
        yield f / f.sum()


def phase_error(f):
    """How far the phase is from a straight line, in the passband."""
    w = np.linspace(0.01, 2.5, 400)
    phase = np.unwrap(np.angle(np.exp(-1j * np.outer(w, np.arange(12))) @ f))
    return np.abs(phase - (phase @ w) / (w @ w) * w).max()


def test_the_wavelet_is_the_least_asymmetric_one():
    error, closest = min((np.abs(f - SYM6).max(), phase_error(f)) for f in daubechies_filters())
    assert error < 1e-10
    assert closest < min(phase_error(f) for f in daubechies_filters()) + 1e-9
    assert [np.dot(SYM6[2 * k :], SYM6[: 12 - 2 * k]) for k in range(6)] == pytest.approx(
        [0.5, 0, 0, 0, 0, 0], abs=1e-15
    )
