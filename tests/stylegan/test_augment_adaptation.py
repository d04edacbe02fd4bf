"""The augmentation probability: its speed, its direction, its state."""

import math

import pytest
import torch
from augment_case import noise

from stylegan.adaptation import AdaptationConfig, AdaptiveAugmentation
from stylegan.config import ConfigError


def adaptive(seed=0, **options):
    return AdaptiveAugmentation(AdaptationConfig(**options), seed)


def signs(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(32, generator=generator).add(0.9).sign().mean() for _ in range(count)]


def test_p_goes_from_0_to_1_in_500_thousand_pictures():
    augmentation = adaptive()
    for step in range(1, 500_000 // 50 + 1):
        augmentation.observe(1.0, 50)
        moved = max(step // 4 * 4 - 4, 0)  # the last four are still waiting
        assert augmentation.p == pytest.approx(moved * 50 / 500_000, abs=1e-9)
    for _ in range(4):
        augmentation.observe(1.0, 50)
    assert augmentation.p == pytest.approx(1)


def test_p_stays_in_0_to_1():
    for sign, end in ((-1.0, 0), (1.0, 1)):
        augmentation = adaptive(initial_p=0.5, kimg=1)
        for _ in range(40):
            augmentation.observe(sign, 100)
        assert augmentation.p == end


def test_p_against_the_rule_written_out():
    augmentation, p, seen = adaptive(interval=3, kimg=10, target=0.55), 0.0, []
    before = None  # mean of the interval that p has not followed yet
    for sign in signs(100):
        augmentation.observe(sign, 32)
        seen.append(sign.item())
        if len(seen) == 3:
            p += 0 if before is None else math.copysign(3 * 32 / 10_000, before - 0.55)
            p, before, seen = min(max(p, 0), 1), sum(seen) / 3, []
        assert augmentation.p == pytest.approx(p, abs=1e-12)
    assert 0 < p < 1


def test_the_mean_counts_every_picture_alike():
    """Three steps of -1 with few pictures do not outweigh one of 1 with many."""
    augmentation = adaptive(initial_p=0.5)
    for sign, count in ((-1.0, 1), (-1.0, 1), (-1.0, 1), (1.0, 97)):
        augmentation.observe(sign, count)
    for _ in range(4):
        augmentation.observe(-1.0, 1)
    assert augmentation.p == 0.5 + 100 / 500_000


def test_p_settles_where_the_target_is_met():
    augmentation = adaptive(kimg=20)
    for _ in range(2000):
        augmentation.observe(1 - augmentation.p, 32)
    assert augmentation.p == pytest.approx(0.4, abs=2 * 4 * 32 / 20_000)


def test_p_stays_at_the_target_and_without_speed():
    for augmentation in (adaptive(target=0.5, initial_p=0.3), adaptive(kimg=math.inf)):
        p = augmentation.p
        for _ in range(8):
            augmentation.observe(0.5, 32)
        assert augmentation.p == p


@pytest.mark.parametrize("pause", range(10))
def test_a_resumed_state_goes_on_alike(pause):
    whole = adaptive(kimg=1)
    resumed = adaptive(kimg=1, initial_p=0.9)
    for step, sign in enumerate(signs(12)):
        if step == pause:
            resumed.load_state_dict(whole.state_dict())
        for augmentation in (whole, resumed) if step >= pause else (whole,):
            augmentation.observe(sign, 32)
    assert resumed.state_dict() == whole.state_dict()
    assert all(type(value) in (int, float) for value in whole.state_dict().values())


def test_a_state_that_lacks_a_name_is_refused():
    with pytest.raises(KeyError, match="sign_sum"):
        adaptive().load_state_dict({"p": 0.5, "num_images": 0, "num_steps": 0})


def test_at_p_0_pictures_stay():
    images = noise()
    assert adaptive()(images, "real", range(len(images))) is images


def test_a_picture_changes_by_its_index_its_stream_and_the_seed():
    images, augmentation = noise(6), adaptive(initial_p=0.8)
    indices = list(range(100, 106))
    whole = augmentation(images, "real", indices)
    parts = [augmentation(images[k], "real", indices[k]) for k in (slice(2), slice(2, None))]
    assert torch.equal(torch.cat(parts), whole)
    others = [augmentation(images, "fake", indices)]
    others += [augmentation(images, "real", range(101, 107))]
    others.append(adaptive(seed=1, initial_p=0.8)(images, "real", indices))
    assert not any(torch.equal(other, whole) for other in others)


@pytest.mark.parametrize(
    ("name", "values"),
    {
        "initial_p": (1.1, -0.1, math.nan),
        "target": (2, math.nan),
        "kimg": (0, -1, math.nan),
        "interval": (0,),
    }.items(),
)
def test_impossible_options_are_refused(name, values):
    for value in values:
        with pytest.raises(ConfigError, match=name):
            AdaptationConfig(**{name: value})
