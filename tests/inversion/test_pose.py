"""Poses and tones: their geometry by numpy, and the search on pictures of a known origin."""

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from inversion.config import InversionConfig
from inversion.inputs import AS, Canvas, as_toned
from inversion.operators import GreySmall
from inversion.pose import Pose, PoseSearch, inverse_of, upright
from inversion.tone_search import ToneSearch
from inversion.tones import Tones
from tests.inversion.tiny import LUMA, as_file, as_measurement, resize, tiny_generator

POSES = [Pose(10, 0.06, -0.04), Pose(-13, -0.09, 0.02), Pose(0, 0.05, 0.1)]
SIDE, DIM = 64, 5


def pattern(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A picture without symmetry, of points in widths from its middle (y down), in [-1, 1]."""
    blobs = [(-0.2, -0.1, 0.11, 0.9), (0.15, 0.2, 0.08, -0.8), (0.1, -0.25, 0.06, 0.7)]
    blobs += [(-0.12, 0.28, 0.07, -0.6)]
    return sum(w * np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * s * s)) for a, b, s, w in blobs)


def seen(pose: Pose, side: int = SIDE) -> np.ndarray:
    """The pattern turned anticlockwise about the middle, then shifted: `[side, side]`."""
    v, u = (np.mgrid[:side, :side] + 0.5) / side - 0.5
    u, v = u - pose.right, v - pose.down
    angle = np.deg2rad(pose.degrees)
    return pattern(u * np.cos(angle) - v * np.sin(angle), u * np.sin(angle) + v * np.cos(angle))


# ---- geometry ----


@pytest.mark.parametrize("pose", POSES, ids=str)
def test_the_transform_takes_points_of_the_picture_to_the_upright_face(pose: Pose) -> None:
    [m] = pose.transform().double().numpy()
    v, u = (np.mgrid[:SIDE, :SIDE] + 0.5) / SIDE - 0.5
    x, y, one = np.einsum("ij,jhw->ihw", m, np.stack([u, v, np.ones_like(u)]))
    np.testing.assert_allclose(pattern(x, y), seen(pose), atol=1e-5)
    np.testing.assert_allclose(one, 1)


def test_a_quarter_turn_is_anticlockwise() -> None:
    right = torch.tensor([0.3, 0.0, 1.0])  # what is at the right was at the bottom
    x, y, _ = inverse_of(torch.tensor([[90.0, 0, 0]]))[0] @ right
    assert (round(float(x), 5), round(float(y), 5)) == (0.0, 0.3)


def test_upright_undoes_poses() -> None:
    numbers = torch.tensor([[p.degrees, p.right, p.down] for p in POSES])
    for pose, found in zip(POSES, numbers.split(1), strict=True):
        [[picture]] = upright(torch.from_numpy(seen(pose))[None, None], found)
        inner = np.s_[12:-12, 12:-12]
        np.testing.assert_allclose(picture[inner], seen(Pose())[inner], atol=0.02)


def test_a_generators_picture_lies_as_told() -> None:
    """Of random weights: shifted and turned pictures are like the upright one moved by hand."""
    G = tiny_generator(margin_size=8)
    ws = G.mapping(torch.randn(1, 16, generator=torch.Generator().manual_seed(3)))
    plain = G.synthesis(ws)
    for pose in (Pose(right=0.125), Pose(down=-0.125), Pose(12.0)):
        posed = G.synthesis(ws, pose.transform())
        moves = {
            s: torch.tensor([[s * pose.degrees, s * pose.right, s * pose.down]]) for s in (1, -1)
        }
        errors = {
            s: float((upright(posed, move) - plain)[..., 8:-8, 8:-8].square().mean())
            for s, move in moves.items()
        }
        assert errors[1] < 0.5 * errors[-1], (pose, errors)


# ---- searches, on a generator that is linear in ws ----


class Prior:
    """Latents as they are, one layer."""

    dim, num_ws = DIM, 1

    def to_ws(self, v: Tensor) -> Tensor:
        return v[:, None]


def flat(root_of: int) -> Tensor:
    return torch.zeros(1, root_of)


def posed_pattern(ws: Tensor, transform: Tensor, precision: str = "fp32") -> Tensor:
    """The pattern in a pose, its contrast told by the latent."""
    v, u = torch.meshgrid(*2 * [torch.arange(SIDE) + 0.5], indexing="ij")
    points = torch.stack([u / SIDE - 0.5, v / SIDE - 0.5, torch.ones(SIDE, SIDE)]).flatten(1)
    x, y, _ = (transform @ points).unflatten(2, (SIDE, SIDE)).unbind(1)
    blobs = [(-0.2, -0.1, 0.11, 0.9), (0.15, 0.2, 0.08, -0.8), (0.1, -0.25, 0.06, 0.7)]
    blobs += [(-0.12, 0.28, 0.07, -0.6)]
    img = sum(
        (w * (1 + ws[:, 0, k] / 5))[:, None, None]
        * torch.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * s * s))
        for k, (a, b, s, w) in enumerate(blobs)
    )
    return img[:, None].expand(-1, 3, -1, -1)


def searched(kind: type, y: Tensor, synthesis: Callable[..., Tensor], **options: object):
    canvas = Canvas(SIDE, SIDE, InversionConfig(precision="fp32"))
    given, _ = AS["grey"](y, None, canvas)
    G = SimpleNamespace(synthesis=synthesis, config=SimpleNamespace(img_resolution=SIDE))
    parts = (G, Prior(), given, lambda noise: noise, canvas.config, 0)
    return kind(*parts, curvature=flat(2 * DIM), **options)


@pytest.mark.parametrize("pose", POSES, ids=str)
def test_the_pose_of_a_picture_is_found(pose: Pose) -> None:
    y = as_measurement(as_file(resize((seen(pose) + 1) * 127.5, 32)))
    found = searched(PoseSearch, y, posed_pattern).pose()
    assert found.degrees == pytest.approx(pose.degrees, abs=0.5)
    assert (found.right, found.down) == pytest.approx((pose.right, pose.down), abs=0.2 / 32)


def shapes(ws: Tensor, precision: str = "fp32") -> Tensor:
    """Sharp rectangles of brightness told by the latent, black to white in all."""
    img = torch.full((len(ws), SIDE, SIDE), 0.8)
    boxes = [(6, 6, 30, 24), (34, 10, 58, 30), (10, 36, 40, 56), (44, 38, 58, 60), (20, 18, 44, 46)]
    for k, (left, top, right, bottom) in enumerate(boxes):
        level = torch.tensor([-0.9, 0.0, 0.5, -0.4, 0.9])[k] + 0.05 * ws[:, 0, k]
        box = torch.zeros(SIDE, SIDE)
        box[top:bottom, left:right] = 1
        img = img * (1 - box) + level[:, None, None] * box
    return img[:, None].expand(-1, 3, -1, -1)


TRUE_TONES = [Tones(0.5, 1.25, 1.0), Tones(2.0, 0.8, 0.9), Tones(1.0, 1.1, 0.85)]


@pytest.mark.parametrize("tones", TRUE_TONES, ids=str)
def test_the_tones_of_a_picture_are_found(tones: Tones) -> None:
    picture = (shapes(torch.zeros(1, 1, DIM))[0].permute(1, 2, 0).double().numpy() + 1) / 2
    blurred = gaussian_filter(picture @ LUMA, 2 * tones.blur, mode="nearest")
    small = np.clip(resize(blurred, 32), 0, 1) ** tones.gamma * tones.paper
    found = searched(ToneSearch, as_measurement(as_file(255 * small)), shapes).tones()
    assert found.blur == pytest.approx(tones.blur, rel=0.15)
    assert found.gamma == pytest.approx(tones.gamma, rel=0.08)
    assert found.paper == pytest.approx(tones.paper, abs=0.04)


# ---- toned inputs ----


def test_tones_are_undone_but_for_the_blur() -> None:
    grey = torch.linspace(0, 1, 11)
    y = 2 * (0.8 * grey**1.3) - 1
    found = Tones(1.0, 1.3, 0.8).undone(y)
    torch.testing.assert_close(found, 2 * grey - 1, rtol=0, atol=1e-5)
    assert Tones(paper=0.8).undone(torch.ones(1)).item() == 1  # whiter than paper is white


def test_blurred_measurements_are_scipys() -> None:
    x = shapes(torch.zeros(1, 1, DIM)).double()
    found = GreySmall(SIDE, (32, 32), None, None, 1.2)(x)[0, 0]
    luma = x[0].permute(1, 2, 0).numpy() @ LUMA
    expected = resize(gaussian_filter(luma, 2.4, mode="nearest", truncate=6), 32)
    np.testing.assert_allclose(found[6:-6, 6:-6], expected[6:-6, 6:-6], atol=1e-3)


def test_finished_pictures_come_as_near_as_the_noise_lets() -> None:
    """The dense Wiener solution, by numpy."""
    config = InversionConfig(tau=0.06, sigma=0.03)
    canvas = Canvas(8, 8, config)
    rng = np.random.default_rng(0)
    y = torch.from_numpy(rng.uniform(-0.3, 0.3, (1, 1, 4, 4))).float()
    given, notes = as_toned(y, None, canvas, Tones(0.8, 1.1, 0.95))
    x = torch.from_numpy(rng.uniform(-0.4, 0.4, (2, 3, 8, 8)))
    done = given.projection(x)
    basis = torch.eye(64, dtype=torch.float64).view(64, 1, 8, 8).expand(-1, 3, -1, -1)
    D = given.A(basis).flatten(1).T.numpy()
    r = (given.y.double() - given.A(x)).flatten(1).numpy()
    grey = np.linalg.solve(D.T @ D + (0.03 / 0.06) ** 2 * np.eye(64), D.T @ r.T).T
    expected = x.numpy() + grey.reshape(2, 1, 8, 8)
    levels = np.round((np.clip(expected, -1, 1) + 1) * 127.5)
    assert np.abs((done.pixels.numpy() + 1) * 127.5 - levels).max() < 1e-6
    assert "blurred by 0.80 of its pixels, of gamma 1.10, on paper of 95% white" in notes[0]
