from dataclasses import replace

import numpy as np
import pytest
from scipy.interpolate import BPoly, CubicHermiteSpline

from data.faces import describe
from data.faces.canvas import Canvas, vertical_gradient
from data.faces.colour import material, mix, rgb, skin
from data.faces.curves import bezier, ellipse, mirrored, ribbon, smooth, taper
from data.faces.figure import Figure
from data.faces.paint import colour_paint
from data.faces.pose import Dome, Pose

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


def test_line_is_inked_where_its_path_runs_and_as_wide():
    canvas = Canvas(256, (0, 0, 0))
    path = np.stack([np.linspace(-0.3, 0.3, 100), np.full(100, 0.5)], axis=1)
    canvas.stroke(path, 0.1, (255, 255, 255), start=1.0, end=1.0)
    picture = np.asarray(canvas.finish())[:, :, 0] / 255
    np.testing.assert_allclose(picture[:, 60:196].sum(0), 25.6, atol=0.5)
    rows, columns = np.nonzero(picture > 0.5)
    assert rows.mean() == pytest.approx(127.5, abs=0.5)
    assert (columns.min(), columns.max()) == (51, 204)


def test_line_that_crosses_itself_has_no_hole():
    angle = np.linspace(0, 4 * np.pi, 200)  # twice around
    path = np.stack([0.2 * np.cos(angle), 0.5 + 0.2 * np.sin(angle)], axis=1)
    canvas = Canvas(256, (0, 0, 0))
    canvas.stroke(path, 0.05, (255, 255, 255), start=1.0, end=1.0)
    picture = np.asarray(canvas.finish())[:, :, 0] / 255
    assert picture.mean() == pytest.approx(2 * np.pi * 0.2 * 0.05, rel=0.03)


def test_pose_tilts_grows_and_moves_about_the_face():
    pose = Pose(tilt=90, scale=1.2, dx=0.1, dy=-0.05)
    point = np.array([[0.2, 0.6]])
    np.testing.assert_allclose(pose.place(point), [[0.1, 0.6 - 0.05 + 1.2 * 0.2]], atol=1e-12)


def test_turn_projects_a_dome():
    dome = Dome(0.3, 0.4, 0.5, depth=0.2, rim=0.05)
    path = np.array([[0.0, 0.5], [0.3, 0.5], [0.18, 0.5], [0.0, 0.1], [0.9, 0.9]])
    depth = np.array([0.25, 0.05, 0.05 + 0.2 * 0.8, 0.05, 0.05])
    np.testing.assert_allclose(dome.depth_at(path), depth, atol=1e-12)
    angle = np.radians(20)
    placed = Pose(turn=20, dome=dome).place(path)
    np.testing.assert_allclose(placed[:, 0], path[:, 0] * np.cos(angle) + depth * np.sin(angle))
    np.testing.assert_allclose(placed[:, 1], path[:, 1])


def test_near_layers_move_more_than_far_ones():
    face = replace(describe(0, 0), turn=20.0, tilt=0.0, offset_x=0.0)
    figure = Figure.of(face, colour_paint(face))
    middle = np.array([[0.0, 0.5]])
    layers = ("hair", "glasses", "face", "ears", "back")
    shifts = [figure.pose(layer).place(middle)[0, 0] for layer in layers]
    assert np.all(np.diff(shifts) < -0.005)


def test_opacity_blends_and_inside_confines():
    canvas = Canvas(64, (100, 100, 100))
    square = np.array([[-0.25, 0.25], [0.25, 0.25], [0.25, 0.75], [-0.25, 0.75]])
    with canvas.inside(square):
        canvas.fill(square * (4, 1), (200, 0, 100), opacity=0.5)
    picture = np.asarray(canvas.finish())
    np.testing.assert_allclose(picture[32, 32], (150, 50, 100), atol=1)
    assert (picture[:, :15] == 100).all() and (picture[:15] == 100).all()
    assert (picture[:, 50:] == 100).all()


BEYOND = [(3.0, 3.0), (-3.0, 0.5), (0.0, -2.0), (0.0, 1e4)]


@pytest.mark.parametrize("x, y", BEYOND)
def test_shapes_beyond_the_edge_are_cut_off(x, y):
    canvas = Canvas(64, (9, 9, 9))
    far = ellipse(x, y, 0.2, 0.2)
    canvas.fill(far, (255, 0, 0), opacity=0.5)
    canvas.gradient(far, ((255, 0, 0), (0, 255, 0)))
    canvas.glow(x, y, 0.1, 0.1, (255, 0, 0), 0.8)
    canvas.soft(far, (255, 0, 0), 1.0, 0.02)
    canvas.stroke(far, 0.01, (255, 0, 0))
    canvas.outline(far, 0.01, (255, 0, 0))
    with canvas.inside(far), canvas.inside(far):
        canvas.fill(ellipse(0, 0.5, 2, 2), (255, 0, 0))
    assert (np.asarray(canvas.finish()) == 9).all()


@pytest.mark.parametrize("x, y", [(-0.5, 0.5), (0.5, 0.5), (0.0, 0.0), (0.5, 1.0)])
def test_shapes_across_the_edge_are_half_drawn(x, y):
    red = []
    for draw in (
        lambda canvas, path: canvas.fill(path, (255, 0, 0)),
        lambda canvas, path: canvas.fill(path, (255, 0, 0), opacity=0.999),
        lambda canvas, path: canvas.gradient(path, ((255, 0, 0), (255, 0, 0))),
        lambda canvas, path: canvas.soft(path, (255, 0, 0), 1.0, 0.004),
    ):
        canvas = Canvas(128, (0, 0, 0))
        draw(canvas, ellipse(x, y, 0.2, 0.2, samples=100))
        red.append(np.asarray(canvas.finish())[:, :, 0].mean() / 255)
    share = 0.25 if (x, y) == (0.5, 1.0) else 0.5
    np.testing.assert_allclose(red, share * np.pi * 0.04, rtol=0.06)


def test_soft_shape_keeps_its_area_and_blurs_its_edge():
    canvas = Canvas(256, (0, 0, 0))
    canvas.soft(ellipse(0.1, 0.5, 0.2, 0.2, samples=100), (255, 255, 255), 0.5, 0.03)
    picture = np.asarray(canvas.finish())[:, :, 0] / 255
    assert picture.mean() == pytest.approx(0.5 * np.pi * 0.04, rel=0.05)
    row = picture[128]
    assert row[154] == pytest.approx(0.5, abs=0.01)
    assert row[205] == pytest.approx(0.25, abs=0.03)
    assert 0.005 < row[215] < row[205] < row[195] < 0.495


def test_glow_fades_from_its_middle():
    canvas = Canvas(256, (0, 0, 0))
    canvas.glow(0.0, 0.5, 0.2, 0.1, (255, 255, 255), 0.6)
    picture = np.asarray(canvas.finish())[:, :, 0] / 255
    assert picture[128, 128] == pytest.approx(0.6, abs=0.05)
    assert np.all(np.diff(picture[128, 128:180]) <= 0) and picture[128, 181] == 0
    assert picture[101, 128] == 0 and picture[105, 128] > 0


def test_canvas_begins_with_a_picture_enlarged_smoothly():
    canvas = Canvas(128, vertical_gradient([(0, 0, 0), (255, 128, 0)], 16, 16))
    picture = np.asarray(canvas.finish()).astype(int)
    assert (picture == np.asarray(canvas.ground)).all()
    assert np.ptp(picture, axis=1).max() == 0
    assert np.all(np.diff(picture[8:-8, 0, 0]) >= 1)


def test_vertical_gradient_runs_from_top_to_bottom():
    column = np.asarray(vertical_gradient([(0, 0, 0), (200, 100, 50)], 3, 64)).astype(int)
    assert (column[:, :1] == column).all()
    assert np.all(np.diff(column[:, 0, 0]) >= 0)
    np.testing.assert_allclose(column[32, 0], (100, 50, 25), atol=3)
    np.testing.assert_allclose(column[[0, -1], 0], [(0, 0, 0), (200, 100, 50)], atol=3)
