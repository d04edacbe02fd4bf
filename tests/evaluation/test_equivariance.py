"""Equivariance of pictures known at every point: sums of waves, moved and turned exactly."""

import math

import pytest
import torch
from torch import Tensor

from evaluation.equivariance import (
    NAMES,
    decibels,
    equivariance,
    inverse_shift,
    movements,
    shift_error,
    turn_error,
)
from stylegan.sampling import Sampler
from tests.inversion.tiny import tiny_generator

SIDE = 48


class Waves:
    """Pictures of waves of `num` random frequencies below `band` cycles a pixel, given anywhere."""

    def __init__(self, band: float, num: int = 6, side: int = SIDE) -> None:
        draw = torch.Generator().manual_seed(0)
        angle = torch.rand(num, generator=draw) * 2 * math.pi
        radius = band * torch.rand(num, generator=draw).sqrt()
        self.freqs = torch.stack([angle.cos(), angle.sin()], 1).double() * radius[:, None]
        self.phases = torch.rand(3, num, generator=draw).double() * 2 * math.pi
        self.side, self.num = side, num

    def __call__(self, numbers, transforms: Tensor) -> Tensor:
        axis = (torch.arange(self.side, dtype=torch.float64) + 0.5) / self.side - 0.5  # widths
        grid = torch.stack([*torch.meshgrid(axis, axis, indexing="xy"), torch.ones(SIDE, SIDE)], -1)
        pictures = []
        for number, transform in zip(numbers, transforms.double(), strict=True):
            points = (grid @ transform.mT)[..., :2] * self.side  # of the source, pixels
            waves = 2 * math.pi * points @ self.freqs.mT + number
            pictures.append(torch.stack([(waves + p).sin().mean(-1) for p in self.phases]))
        return torch.stack(pictures)


def test_what_follows_exactly_is_limited_by_the_filters_alone() -> None:
    found = equivariance(Waves(0.25), 4)
    assert set(found) == set(NAMES)
    assert found["eq_t"] > 120  # no filter: float32 transforms
    assert found["eq_t_frac"] > 55 and found["eq_r"] > 55


def test_finer_waves_are_harder_for_the_filters() -> None:
    found = equivariance(Waves(0.4), 3)
    assert found["eq_t"] > 120 and 35 < found["eq_t_frac"] < 55 and 45 < found["eq_r"] < 65


class With:
    """Waves that do something wrong to a picture that is moved."""

    def __init__(self, wrong) -> None:
        self.waves, self.wrong = Waves(0.25), wrong

    def __call__(self, numbers, transforms: Tensor) -> Tensor:
        is_moved = not torch.equal(transforms[0], torch.eye(3))
        made = self.waves(numbers, transforms)
        return self.wrong(made) if is_moved else made


@pytest.mark.parametrize("name", NAMES)
def test_a_constant_error_has_the_ratio_of_its_size(name: str) -> None:
    found = equivariance(With(lambda x: x + 0.1), 4)
    assert found[name] == pytest.approx(10 * math.log10(4 / 0.01), abs=0.02)


def test_what_sticks_to_the_pixels_does_not_follow() -> None:
    class Stuck(Waves):
        def __call__(self, numbers, transforms: Tensor) -> Tensor:
            return super().__call__(numbers, torch.eye(3).expand(len(numbers), -1, -1))

    waves = Waves(0.25)
    still = waves([0], torch.eye(3)[None])
    variance = still.var().item()
    for value in equivariance(Stuck(0.25), 6).values():  # about twice the variance
        assert value == pytest.approx(10 * math.log10(4 / (2 * variance)), abs=2)


@pytest.mark.parametrize("wrong", [lambda x: x.flip(2), lambda x: x.flip(3), lambda x: x.mT])
def test_the_directions_matter(wrong) -> None:
    assert max(equivariance(With(wrong), 4).values()) < 25


def wave(freq: tuple[float, float], size: float = 1.0) -> Tensor:
    axis = torch.arange(SIDE, dtype=torch.float64) - (SIDE - 1) / 2
    x, y = torch.meshgrid(axis, axis, indexing="xy")
    return size * (2 * math.pi * (freq[0] * x + freq[1] * y)).cos()[None]


@pytest.mark.parametrize("flat", ["still", "spun"])
def test_what_turns_out_of_the_band_is_no_error(flat: str) -> None:
    """At 45 degrees (0.46, 0.46) would be (0.65, 0) cycles a pixel, which no pixels hold."""
    corner, smooth = wave((0.46, 0.46)), torch.zeros(1, SIDE, SIDE, dtype=torch.float64)
    pair = (corner, smooth) if flat == "spun" else (smooth, corner)
    squares, count = turn_error(*pair, torch.tensor(math.pi / 4).double())
    assert decibels(squares, count) > 35 and count > 100
    kept = wave((0.3, 0.0)), smooth  # stays in the band and is missed
    assert decibels(*turn_error(*kept, torch.tensor(math.pi / 4).double())) < 12


def test_only_pixels_that_both_pictures_show_are_compared() -> None:
    x = wave((0.05, 0.02))
    for shift in [(5, 0), (0, -5), (5, -3)]:
        moved = x.roll(shift[::-1], (1, 2))  # wrong beyond the edge
        squares, count = shift_error(x, moved, torch.tensor(shift).double() / SIDE)
        assert squares == 0 and count == (SIDE - abs(shift[0])) * (SIDE - abs(shift[1]))


def test_movements_are_those_of_the_paper_and_depend_on_the_number_alone() -> None:
    shifts, angles = movements(range(400), seed=0)
    assert shifts.abs().max() <= 1 / 8 and shifts.abs().max() > 0.12
    assert angles.min() < 0.1 and angles.max() > 2 * math.pi - 0.1 and angles.max() < 2 * math.pi
    assert torch.equal(movements([7, 399], 0)[0], shifts[[7, 399]])
    assert not torch.equal(movements([7], 1)[0], shifts[[7]])


def test_the_batch_does_not_matter_and_progress_is_told() -> None:
    told = []
    one = equivariance(Waves(0.3), 3, batch=2, on_batch=told.append)
    assert told == [2, 1] and one == pytest.approx(equivariance(Waves(0.3), 3, batch=3))


def test_pictures_that_are_not_finite_give_nan() -> None:
    found = equivariance(With(lambda x: x * math.nan), 2)
    assert all(math.isnan(value) for value in found.values())


def test_stylegan3_follows_translation_but_its_transform_backwards_is_wrong() -> None:
    G = tiny_generator(img_resolution=32, margin_size=10)
    sampler = Sampler(G)
    right = equivariance(sampler.posed, 3)
    wrong = equivariance(lambda n, t: sampler.posed(n, torch.linalg.inv(t)), 3)
    assert right["eq_t"] > wrong["eq_t"] + 10 and right["eq_t_frac"] > wrong["eq_t_frac"] + 10


def test_transforms_are_inverse_shifts() -> None:
    [transform] = inverse_shift(torch.tensor([[0.1, -0.2]]))
    assert transform.tolist()[0] == pytest.approx([1, 0, -0.1])
    assert transform.tolist()[1] == pytest.approx([0, 1, 0.2])
