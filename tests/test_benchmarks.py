"""What `benchmarks.train` says of a step, with a clock that the test turns."""

import itertools
from collections import Counter

import pytest
from tiny_models import real_batch, tiny_trainer

from benchmarks.phases import PHASE_NAMES, PHASES, Split
from benchmarks.train import SETTINGS, seconds_of_phases


class HandClock:
    """Shows what it is set to; every look takes `tick`."""

    def __init__(self, tick=0.0):
        self.now, self.tick = 0.0, tick

    def __call__(self):
        self.now += self.tick
        return self.now


def test_a_phase_in_another_counts_for_itself_alone():
    clock = HandClock()
    split = Split(clock)
    with split.phase("D"):
        clock.now += 2
        with split.phase("G"):
            clock.now += 5
        clock.now += 1
    clock.now += 100  # between phases nothing counts
    split.timed(lambda: None, "G")()
    assert split.seconds == {"D": 3, "G": 5}


def test_all_phases_of_a_step_are_found_and_the_step_is_the_same():
    plain, timed = tiny_trainer(), tiny_trainer()
    split = Split(HandClock(tick=1.0))
    split.attach(timed)
    for k in range(2):
        assert plain.step(real_batch(k)).g_loss == timed.step(real_batch(k)).g_loss
    assert split.seconds.keys() == set(PHASE_NAMES) - {"rest"}
    assert set(PHASES.values()) <= set(PHASE_NAMES)


@pytest.mark.parametrize("interval", [4, 16])
def test_seconds_are_those_of_a_whole_interval(interval):
    """R1 takes 12 s whenever it is applied, D and G 3 s per step: 4 pictures."""
    clock = HandClock()
    trainer = tiny_trainer(r1_interval=interval)
    for name, seconds in (("_step_r1", 12.0), ("_step_discriminator", 1.0), ("_generate", 2.0)):
        original = getattr(trainer, name)

        def slow(*args, original=original, seconds=seconds):
            clock.now += seconds
            return original(*args)

        setattr(trainer, name, slow)
    stream = zip(itertools.repeat(real_batch()), itertools.repeat(None))
    found = Counter(seconds_of_phases(trainer, stream, 2, clock))
    assert found["R1"] == pytest.approx(12 / interval * 1000 / 4)
    assert (found["D"], found["G"]) == (250, 500)
    assert found.total() == pytest.approx((3 + 12 / interval) * 250)


def test_settings_are_those_of_the_presets():
    from stylegan.presets import PRESETS

    for name, preset in (("L", "t-64"), ("H", "t-128"), ("256-small", "t-256-small")):
        setting, options = SETTINGS[name], PRESETS[preset]
        assert setting.batch == options["batch"] and setting.channel_base == options["cbase"]
        assert setting.channel_max == options["cmax"]
        assert setting.options["num_layers"] == options["num_layers"]
        assert setting.options["margin_size"] == options["margin"]
        assert setting.options["first_stopband"] == options["first_stopband"]
