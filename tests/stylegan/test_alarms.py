"""Each sign of a bad end is told once, when it appears, and a sound run is left in peace."""

import pytest

from stylegan.alarms import new_alarms

SOUND = {
    "real_sign": 0.6,
    "fake_sign": -0.5,
    "g_grad_norm": 2.0,
    "d_grad_norm": 3.0,
    "p": 0.2,
    "skipped_steps": 1,
}
WON = {"real_sign": 0.97, "fake_sign": -0.99}
BLIND = {"real_sign": 0.31, "fake_sign": 0.30}
CASES = {
    "D tells all": ([WON] * 12, 9),
    "no longer tells": ([BLIND] * 12, 9),
    "gradient of G is 100 times": ([{}] * 3 + [{"g_grad_norm": 200.0}], 8),
    "gradient of D is 21 times": ([{}] * 3 + [{"d_grad_norm": 63.0}], 8),
    "2 steps were left out": ([{}] * 3 + [{"skipped_steps": 3}] * 4, 8),
    "strong as it can be": ([{}] * 3 + [{"p": 1.0}] * 4, 8),
}


def told(changes):
    """Return the alarms of a run of five sound ticks and then others, with their ticks."""
    rows = [SOUND] * 5 + [SOUND | change for change in changes]
    return [(k, text) for k in range(len(rows)) for text in new_alarms(rows[: k + 1])][1:]


def test_a_sound_run_is_left_in_peace():
    assert told([{}] * 60) == []
    assert told([WON, WON, {}, WON, BLIND, {}] * 9) == [], "nothing lasts"
    assert told([{"g_grad_norm": 30.0, "d_grad_norm": 50.0}] * 60) == []


def test_no_rows():
    assert new_alarms([]) == []


@pytest.mark.parametrize("sign", CASES)
def test_a_bad_sign_is_told_once(sign):
    changes, tick = CASES[sign]
    [(found, text)] = told(changes)
    assert sign in text and found == tick


def test_what_comes_back_is_told_again():
    assert len(told([{"p": 1.0}, {}, {"p": 1.0}])) == 2
