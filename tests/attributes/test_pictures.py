"""Which pictures a reader is trained and examined on."""

import numpy as np
import pytest
from PIL import Image

from attributes import pictures
from attributes.pictures import HELD_OUT_SETS, Task, exam, training_examples
from attributes.schema import CHOICES, NUMBERS, truth_of
from data.faces import describe, draw

NUM = 48


@pytest.fixture(scope="module", autouse=True)
def drawn_small():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures, "DRAWN_SIDE", 64)
        yield


@pytest.fixture(scope="module")
def examples():
    return training_examples(Task(0, 100, NUM))


def test_shapes(examples):
    assert examples.pictures.shape == (2 * NUM, 128, 128, 3)
    assert examples.pictures.dtype == np.uint8
    assert examples.truth.choices.shape == (2 * NUM, len(CHOICES))
    assert examples.truth.numbers.shape == (2 * NUM, len(NUMBERS))


def test_pictures_depend_on_seed_and_index_alone(examples):
    again = training_examples(Task(0, 107, 2))
    np.testing.assert_array_equal(again.pictures, examples.pictures[14:18])
    np.testing.assert_array_equal(again.truth.numbers, examples.truth.numbers[14:18])
    other = training_examples(Task(1, 107, 2))
    assert (other.pictures != again.pictures).mean() > 0.5


def test_every_other_is_grey_and_of_those_no_quality_is_asked(examples):
    is_grey = (np.ptp(examples.pictures, axis=3) == 0).all(axis=(1, 2))
    assert not is_grey[::2].any() and is_grey[1::2].all()
    qualities = examples.truth.numbers[:, list(NUMBERS).index("softness") :]
    assert np.isnan(qualities[1::2]).all() and not np.isnan(qualities[::2]).any()
    choices = examples.truth.choices
    np.testing.assert_array_equal(choices[::2], choices[1::2])
    for k in range(NUM):
        assert (choices[2 * k] == truth_of(describe(pictures.TRAINING_SETS, 100 + k)).choices).all()


def test_qualities_can_be_seen(examples):
    """Neighbouring pixels differ least in the soft pictures, and most in the grainy ones."""
    levels = examples.pictures.astype(float)
    roughness = np.abs(np.diff(levels[:, 40:90], n=2, axis=2)).mean(axis=(1, 2, 3))
    names = list(NUMBERS)
    softness, grain = (examples.truth.numbers[:, names.index(n)] for n in ("softness", "grain"))
    soft, grainy = (softness > 0.7) & (grain == 0), grain > 4
    plain = (softness == 0) & (grain == 0)
    assert min(soft.sum(), grainy.sum(), plain.sum()) >= 2
    assert roughness[soft].mean() < 0.7 * roughness[plain].mean()
    assert roughness[grainy].mean() > 1.2 * roughness[plain].mean()


def test_the_exam_is_of_untouched_pictures_and_small_grey_ones():
    paper = exam(Task(0, 5, 2))
    face = describe(HELD_OUT_SETS, 6)
    drawn = draw(face, 64)
    large = drawn.resize((128, 128), Image.Resampling.BICUBIC)
    small = drawn.convert("L").resize((32, 32), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(paper.pictures[1], np.asarray(large))
    np.testing.assert_array_equal(paper.greys[1, :, :, 0], np.asarray(small))
    np.testing.assert_array_equal(paper.truth.choices[1], truth_of(face).choices)


def test_no_set_that_people_draw_is_used():
    first = {describe(seed, 0).hair_seed for seed in range(50)}
    assert describe(HELD_OUT_SETS, 0).hair_seed not in first
    assert describe(pictures.TRAINING_SETS, 0).hair_seed not in first
