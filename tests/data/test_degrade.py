"""Degradations: kernels against Pillow, what each of them does, and what is told of it."""

import io
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from PIL import Image

from data.degrade import KERNELS, NUM_TOLD, SIZES, Degradation, degrade, draw_degradation
from inversion.operators import GreySmall

SIDE = 96


def measure(x, size):
    return GreySmall(x.shape[-1], (size, size)).quantised(x)


def picture(seed=0, side=SIDE):
    """Smooth colours, within [-0.8, 0.8]."""
    coarse = torch.rand(1, 3, 12, 12, generator=torch.Generator().manual_seed(seed)) * 1.6 - 0.8
    return torch.nn.functional.interpolate(coarse, (side, side), mode="bilinear")


def result(x, **what):
    [y] = degrade(x, [Degradation(**{"size": 24, **what})], measure)
    assert y.shape == (1, 1, what.get("size", 24), what.get("size", 24))
    return y[0, 0].double().numpy()


def grey(x):
    return np.tensordot([0.299, 0.587, 0.114], x[0].double().numpy(), 1)


BARELY = {"noise": 1e-9}  # not plain, so that the steps are taken one by one
LEVEL = 2 / 255


def test_a_plain_degradation_is_the_measurement_itself():
    x = picture()
    given = object()
    assert degrade(x, [Degradation(16)], lambda seen, size: given) == [given]
    np.testing.assert_array_equal(result(x), measure(x, 24)[0, 0].double().numpy())


@pytest.mark.parametrize("size", [16, 24, 37])
def test_bicubic_step_by_step_is_the_measurement(size):
    x = picture()
    exact = measure(x, size)[0, 0].double().numpy()
    assert np.abs(result(x, size=size, **BARELY) - exact).max() <= 1.01 * LEVEL
    assert np.abs(result(x, size=size, **BARELY) - exact).mean() < 0.02 * LEVEL


@pytest.mark.parametrize("size", [16, 24, 37, 120])
@pytest.mark.parametrize(
    ("kernel", "filter_"),
    [
        ("bicubic", Image.Resampling.BICUBIC),
        ("bilinear", Image.Resampling.BILINEAR),
        ("lanczos", Image.Resampling.LANCZOS),
    ],
)
def test_kernels_against_pillow(kernel, filter_, size):
    x = picture(side=96)
    small = Image.fromarray(grey(x).astype(np.float32)).resize((size, size), filter_)
    found = result(x, size=size, kernel=kernel, **BARELY)
    assert np.abs(found - np.asarray(small)).max() <= 0.51 * LEVEL


@pytest.mark.parametrize("size", [16, 36])
def test_area_against_blocks(size):
    """Every pixel cut into `size` parts each way, then whole blocks averaged."""
    x = picture(side=48)
    fine = grey(x).repeat(size, 0).repeat(size, 1)
    small = fine.reshape(size, 48, size, 48).mean((1, 3))
    assert np.abs(result(x, size=size, kernel="area", **BARELY) - small).max() <= 0.51 * LEVEL


def dot(right=0.0, down=0.0):
    """A bright blob on black, its centre off the middle by parts of the side."""
    at = (np.arange(SIDE) + 0.5) / SIDE - 0.5
    blob = np.exp(-((at[None, :] - right) ** 2 + (at[:, None] - down) ** 2) / (2 * 0.06**2))
    return torch.from_numpy(2 * blob - 1).float().expand(1, 3, -1, -1)


def centre(y):
    """Where the light is, in sides to the right and down."""
    light = (y + 1) / 2
    at = (np.arange(len(y)) + 0.5) / len(y) - 0.5
    return np.array([(light.sum(0) * at).sum(), (light.sum(1) * at).sum()]) / light.sum()


def test_shift_rotation_and_scale():
    for what, where in [
        ({"shift": (0.1, -0.05)}, (0.3, -0.05)),
        ({"rotation": 30.0}, (0.2 * np.cos(np.pi / 6), -0.1)),  # up: anticlockwise
        ({"scale": 1.25}, (0.25, 0)),
        ({"shift": (0.0, 0.1), "rotation": 90.0, "scale": 0.9}, (0, -0.08)),
    ]:
        found = centre(result(dot(0.2), size=48, kernel="area", **what))
        np.testing.assert_allclose(found, where, atol=0.01, err_msg=str(what))


def test_blur_has_its_width_in_pixels_of_the_result():
    def variance(y):
        light, at = (y + 1) / 2, np.arange(len(y)) - len(y) / 2 + 0.5
        return (light.sum(0) * at**2).sum() / light.sum()

    before, after = (variance(result(dot(), size=48, blur=b, **BARELY)) for b in (0, 1.5))
    assert after - before == pytest.approx(1.5**2, rel=0.05)


def test_tones_against_arithmetic():
    x = picture()
    plain = (result(x, **BARELY) + 1) / 2
    expected = 0.1 + (0.85 - 0.1) * plain**1.3
    found = (result(x, gamma=1.3, paper=0.85, ink=0.1) + 1) / 2
    assert np.abs(found - expected).max() <= 1.2 / 255
    white = result(torch.ones(1, 3, SIDE, SIDE), paper=0.8, ink=0.2)
    np.testing.assert_allclose(white, 0.8 * 2 - 1, atol=LEVEL / 2)


def test_noise_has_its_width_and_its_seed():
    flat = torch.zeros(1, 3, SIDE, SIDE)
    first, again, other = (result(flat, size=90, noise=0.1, noise_seed=s) for s in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).mean() > 0.05
    assert first.std() == pytest.approx(0.1, rel=0.05)


def test_jpeg_is_pillows():
    x = picture()
    before = np.rint((result(x, size=40, **BARELY) + 1) * 127.5).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(before).save(file, "JPEG", quality=30)
    levels = (result(x, size=40, quality=30) + 1) * 127.5
    np.testing.assert_allclose(levels, np.asarray(Image.open(file)), atol=1e-3)
    assert np.abs(levels - before).max() > 2


def test_each_picture_has_its_own():
    x = torch.cat([picture(0), picture(1)])
    parts = [Degradation(16, gamma=1.2), Degradation(30, noise=0.05, noise_seed=7)]
    together = degrade(x, parts, measure)
    for k in range(2):
        [alone] = degrade(x[k : k + 1], parts[k : k + 1], measure)
        assert torch.equal(alone, together[k])
    with pytest.raises(ValueError, match="zip"):
        degrade(x, parts[:1], measure)


# --- drawing -----------------------------------------------------------------------------------


def drawn(seed, **options):
    return draw_degradation(torch.Generator().manual_seed(seed), **options)


@pytest.fixture(scope="module")
def many():
    return [drawn(seed) for seed in range(600)]


def test_a_seed_is_a_degradation(many):
    assert [drawn(seed) for seed in range(20)] == many[:20]
    assert len({d.size for d in many}) > 60


def test_everything_happens_and_much_is_plain(many):
    assert 0.34 < np.mean([d.is_plain for d in many]) < 0.46
    assert (min(d.size for d in many), max(d.size for d in many)) == SIZES
    assert {d.kernel for d in many} == set(KERNELS)
    rough = [d for d in many if not d.is_plain]
    usual = Degradation(1)
    for name in {f.name for f in fields(Degradation)} - {"size", "kernel", "noise_seed"}:
        done = np.mean([getattr(d, name) != getattr(usual, name) for d in rough])
        assert 0.3 < done < 0.75, name  # a shift is two draws
    small = np.mean([d.size < 45 for d in many])
    assert 0.42 < small < 0.58, "the middle of 16 to 128, as ratios go, is 45"


def test_sizes_have_their_limit():
    assert {drawn(seed, largest=20).size for seed in range(100)} == {16, 17, 18, 19, 20}
    assert {drawn(seed, largest=12).size for seed in range(9)} == {12}


def test_all_of_them_can_be_done(many):
    x = picture()
    for y in degrade(x.expand(40, -1, -1, -1), [replace(d, size=32) for d in many[:40]], measure):
        levels = (y + 1) * 127.5
        assert levels.isfinite().all() and (levels - levels.round()).abs().max() < 1e-3
        assert levels.min() > -0.01 and levels.max() < 255.01


def test_what_is_told_says_everything_but_the_size(many):
    plain = Degradation(32).told()
    assert plain.tolist() == [1] + [0] * (NUM_TOLD - 1)
    assert not many[0].told(is_told=False).any() and len(plain) == NUM_TOLD
    for name, value in {
        "kernel": "area",
        "blur": 1.0,
        "noise": 0.05,
        "quality": 60,
        "gamma": 1.2,
        "paper": 0.9,
        "ink": 0.1,
        "shift": (0.04, 0.0),
        "rotation": 3.0,
        "scale": 1.07,
    }.items():
        one = replace(Degradation(32), **{name: value}).told()
        assert (one != plain).sum() == 1 and 0.5 <= (one - plain).abs().max() <= 1.1, name
    assert torch.equal(Degradation(64).told(), plain)
    assert torch.stack([d.told() for d in many]).abs().max() < 2.01
