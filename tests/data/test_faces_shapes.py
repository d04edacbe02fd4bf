import numpy as np
import pytest
from scipy.interpolate import BPoly, CubicHermiteSpline

from data.faces.canvas import Canvas, vertical_gradient
from data.faces.colour import material, mix, rgb, skin
from data.faces.curves import bezier, ellipse, mirrored, ribbon, smooth, taper

# OKLCh of sRGB colours as CSS Color 4 lists them.
CSS = [
    ((1.0, 0.0, 0.0), (255, 255, 255)),
    ((0.627955, 0.257683, 29.2339), (255, 0, 0)),
    ((0.866440, 0.294827, 142.4953), (0, 255, 0)),
    ((0.452014, 0.313214, 264.0520), (0, 0, 255)),
    ((0.599871, 0.0, 0.0), (128, 128, 128)),
]


@pytest.mark.parametrize("lch, expected", CSS)
def test_oklch_agrees_with_css(lch, expected):
    assert np.abs(np.subtract(rgb(*lch), expected)).max() <= 1


def test_colours_outside_srgb_lose_chroma_not_lightness():
    grey = rgb(0.8, 0.0, 0.0)[0]
    red, green, blue = rgb(0.8, 0.4, 250)
    assert blue > green > red
    assert abs(0.2126 * red + 0.7152 * green + 0.0722 * blue - grey) < 12


def test_tones_are_ordered_by_lightness():
    def luma(colour):
        return np.dot(colour, (0.299, 0.587, 0.114))

    for hue in range(0, 360, 30):
        tones = material(0.55, 0.1, hue)
        order = [tones.line, tones.deep, tones.shade, tones.base, tones.light, tones.gleam]
        assert np.all(np.diff([luma(colour) for colour in order]) > 4)
    bases = [luma(skin(tone, 0.0).base) for tone in np.linspace(0, 1, 11)]
    assert np.all(np.diff(bases) < 0)


def test_mix_blends():
    assert mix((0, 100, 200), (100, 100, 0), 0.25) == (25, 100, 150)


@pytest.mark.parametrize("count", [3, 4])
def test_bezier_agrees_with_scipy(count):
    points = np.random.default_rng(0).normal(size=(count, 2))
    expected = BPoly(points[:, None], [0, 1])(np.linspace(0, 1, 12))
    np.testing.assert_allclose(bezier(*points), expected, atol=1e-12)


@pytest.mark.parametrize("closed", [False, True])
def test_smooth_is_the_catmull_rom_spline(closed):
    points = np.random.default_rng(1).normal(size=(6, 2))
    if closed:
        knots = np.concatenate([points[-2:], points, points[:3]])
        t = np.arange(-2, 9)
        slopes = np.gradient(knots, axis=0)
        expected = CubicHermiteSpline(t, knots, slopes)(np.arange(0, 6, 0.25))
    else:
        slopes = np.gradient(points, axis=0)
        expected = CubicHermiteSpline(np.arange(6), points, slopes)(np.arange(0, 5.01, 0.25))
    np.testing.assert_allclose(smooth(points, 4, closed=closed), expected, atol=1e-12)


def test_ribbon_of_a_straight_path_is_a_rectangle():
    path = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]])
    outline = ribbon(path, 0.5)
    assert set(map(tuple, outline)) == {(x, y) for x in (0.0, 1.0, 2.0) for y in (-0.25, 0.25)}


def test_taper_and_mirror():
    np.testing.assert_allclose(taper(3, 0.2, 0.0), [0.2, 1.0, 0.0])
    assert mirrored([(1, 2), (3, 4)]).tolist() == [[1, 2], [3, 4], [-3, 4], [-1, 2]]


def test_area_of_a_filled_ellipse():
    canvas = Canvas(256, (0, 0, 0))
    canvas.fill(ellipse(0.1, 0.5, 0.2, 0.1, samples=200), (255, 255, 255))
    picture = np.asarray(canvas.finish()).astype(float) / 255
    assert picture.mean() == pytest.approx(np.pi * 0.2 * 0.1, rel=0.01)
    rows, columns = np.nonzero(picture[:, :, 0] > 0.5)
    assert (columns.mean() + 0.5) / 256 == pytest.approx(0.6, abs=0.003)
    assert (rows.mean() + 0.5) / 256 == pytest.approx(0.5, abs=0.003)


def test_pose_moves_and_turns_about_the_face():
    canvas = Canvas(256, (0, 0, 0))
    canvas.pose(scale=1.2, tilt=90, dx=0.1, dy=-0.05)
    canvas.fill(ellipse(0.2, 0.6, 0.03, 0.03), (255, 255, 255))
    rows, columns = np.nonzero(np.asarray(canvas.finish())[:, :, 0] > 128)
    assert columns.mean() / 256 == pytest.approx(0.5 + 0.1, abs=0.006)
    assert rows.mean() / 256 == pytest.approx(0.6 - 0.05 + 1.2 * 0.2, abs=0.006)


def test_opacity_blends_and_inside_confines():
    canvas = Canvas(64, (100, 100, 100))
    square = np.array([[-0.25, 0.25], [0.25, 0.25], [0.25, 0.75], [-0.25, 0.75]])
    with canvas.inside(square):
        canvas.fill(square * (4, 1), (200, 0, 100), opacity=0.5)
    picture = np.asarray(canvas.finish())
    np.testing.assert_allclose(picture[32, 32], (150, 50, 100), atol=1)
    assert (picture[:, :15] == 100).all() and (picture[:15] == 100).all()
    assert (picture[:, 50:] == 100).all()


def test_shapes_beyond_the_edge_are_cut_off():
    canvas = Canvas(64, (9, 9, 9))
    far = ellipse(3.0, 3.0, 0.2, 0.2)
    canvas.fill(far, (255, 0, 0), opacity=0.5)
    canvas.gradient(far, ((255, 0, 0), (0, 255, 0)))
    canvas.glow(-2.0, -2.0, 0.1, 0.1, (255, 0, 0), 0.8)
    with canvas.inside(far):
        canvas.fill(far, (255, 0, 0))
    assert (np.asarray(canvas.finish()) == 9).all()


def test_vertical_gradient_runs_from_top_to_bottom():
    column = np.asarray(vertical_gradient([(0, 0, 0), (200, 100, 50)], 3, 64)).astype(int)
    assert (column[:, :1] == column).all()
    assert np.all(np.diff(column[:, 0, 0]) >= 0)
    np.testing.assert_allclose(column[32, 0], (100, 50, 25), atol=3)
