"""Screens of dots drawn here, found again and smoothed away."""

import numpy as np
import pytest
import torch

from inversion.config import InversionConfig
from inversion.inputs import AS, Canvas
from inversion.operators import bicubic_matrix, bicubic_response
from inversion.screentone import SHEETS, Screen, descreened, find_screen
from tests.inversion.tiny import as_measurement

SIDE = 128


def tones(side: int = SIDE) -> np.ndarray:
    """A drawing of few tones in [0, 1], with black lines."""
    v, u = np.mgrid[:side, :side] / side
    grey = np.where((u - 0.5) ** 2 + (v - 0.45) ** 2 < 0.1, 0.9, np.where(v > 0.7, 0.35, 0.6))
    grey[np.abs((u - 0.5) ** 2 + (v - 0.45) ** 2 - 0.1) < 0.004] = 0
    return grey


def screened(grey: np.ndarray, period: float, degrees: float) -> np.ndarray:
    """Dots where a wave of two directions is higher than the paper is white; 4 x 4 samples each."""
    side = len(grey)
    v, u = (np.mgrid[: 4 * side, : 4 * side] + 0.5) / 4
    angle = np.deg2rad(degrees)
    across, down = u * np.cos(angle) + v * np.sin(angle), v * np.cos(angle) - u * np.sin(angle)
    wave = np.cos(2 * np.pi * across / period) + np.cos(2 * np.pi * down / period)
    order = wave.ravel().argsort().argsort().reshape(wave.shape) / wave.size
    dots = grey.repeat(4, 0).repeat(4, 1) > order
    return np.round(255 * dots.reshape(side, 4, side, 4).mean((1, 3)))


@pytest.mark.parametrize(("period", "degrees"), [(3.0, 45), (5.2, 30), (4.0, 0)])
def test_the_period_is_found_and_the_dots_go(period: float, degrees: float) -> None:
    page = screened(tones(), period, degrees)
    y = as_measurement(page)
    screen = find_screen(y)
    assert screen is not None and screen.period == pytest.approx(period, rel=0.03)
    small = descreened(y, screen, SIDE)
    side = small.shape[-1]
    assert 0.5 < side * period / SIDE < 2.2, "much too small, or dots must show"
    flat = (small[0, 0, : side // 8] + 1) / 2  # a tone of 0.6
    assert float(flat.mean()) == pytest.approx(0.6, abs=0.03)
    assert flat[:, 2:-2].std() < 0.04 < (page[: SIDE // 8] / 255).std()


@pytest.mark.parametrize("kind", ["tones", "noise", "ramp", "lines"])
def test_pictures_without_a_screen_have_none(kind: str) -> None:
    noise = np.random.default_rng(0).normal(127, 40, (SIDE, SIDE))
    ramp = np.linspace(0, 255, SIDE)[None].repeat(SIDE, 0)
    made = {"tones": tones() * 255, "noise": noise.clip(0, 255), "ramp": ramp}
    made["lines"] = np.where(np.arange(SIDE)[:, None] % 64 < 3, 0, 255) + 0 * ramp
    assert find_screen(as_measurement(made[kind])) is None


@pytest.mark.parametrize(("side", "kept", "cycles"), [(100, 40, 17), (64, 40, 27), (90, 30, 31)])
def test_response_is_what_the_matrix_leaves_of_a_wave(side: int, kept: int, cycles: int) -> None:
    """Per pixel of the result, by the amplitude that is left (it may lie at another frequency)."""
    place = (np.arange(side) + 0.5) / side
    left = np.zeros(kept)
    for phase in (0, np.pi / 2):
        wave = torch.from_numpy(np.cos(2 * np.pi * cycles * place + phase))
        left += (bicubic_matrix(kept, side) @ wave).numpy() ** 2
    inner = np.sqrt(left[3:-3])
    np.testing.assert_allclose(inner, bicubic_response(cycles / kept), atol=0.03)


def test_screens_have_a_period() -> None:
    assert Screen(0.3, 0.4).period == pytest.approx(2)


def test_a_scan_is_a_grey_input_of_fewer_pixels_and_more_noise() -> None:
    canvas = Canvas(32, SIDE, InversionConfig())
    given, notes = AS["screentone"](as_measurement(screened(tones(), 4, 45)), None, canvas)
    side = given.y.shape[-1]
    assert float(notes[0].split()[1]) == pytest.approx(4, rel=0.03)
    assert notes[0].endswith(f": {side}x{side} left")
    sample = given.evidence.noise.sample((200, 1, side, side), torch.Generator().manual_seed(0))
    assert float(sample.std()) == pytest.approx(SHEETS, rel=0.05)
    plain, notes = AS["screentone"](as_measurement(255 * tones()), 24, canvas)
    assert notes[0].startswith("no screen of dots") and plain.y.shape[-1] == 24
