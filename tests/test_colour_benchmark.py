"""`benchmarks.colour`: what it paints and what it measures, by Pillow, numpy and scikit-image."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from skimage.color import deltaE_ciede2000, rgb2lab

from benchmarks import colour as benchmark
from data.faces import describe, draw
from data.image_io import from_uint8

FACE = replace(describe(3, 2), light="day", hair_tips=0.0)


def picture(face: benchmark.FaceDescription) -> torch.Tensor:
    return from_uint8(np.asarray(draw(face, 96))[None])


def test_a_disc_lies_inside_its_part() -> None:
    mask = benchmark.masks(FACE, 96)["hair"]
    place = benchmark.disc(mask, 5)
    rows, columns = np.nonzero(place)
    assert 10 < place.sum() <= np.pi * 5.5**2 and mask[place].min() > 0.9
    assert np.ptp(rows) <= 10 and np.ptp(columns) <= 10


def test_strokes_have_the_mean_colour_and_no_other() -> None:
    x, place = picture(FACE), benchmark.disc(benchmark.masks(FACE, 96)["hair"], 5)
    rgba = benchmark.strokes(x, place)
    expected = (np.asarray(draw(FACE, 96))[place] / 255).mean(0)
    assert np.array_equal(rgba[3], place)
    np.testing.assert_allclose(rgba[:3, place].T, np.tile(expected, (place.sum(), 1)), atol=1e-5)


def test_panels_are_as_far_apart_as_their_mean_colours() -> None:
    faces = [replace(FACE, turn=turn) for turn in (-8.0, 0.0, 8.0)]
    panels = [picture(face) * share for face, share in zip(faces, (1, 0.8, 0.6), strict=True)]
    means = []
    for face, panel in zip(faces, panels, strict=True):
        share = benchmark.masks(face, 96)["skin"]
        mean = (panel[0].numpy() * share).sum((1, 2)) / share.sum()
        means.append(rgb2lab((mean + 1) / 2))
    expected = [deltaE_ciede2000(a, b) for a, b in itertools.combinations(means, 2)]
    found = benchmark.apart(faces, panels, "skin")
    assert found == pytest.approx(np.mean(expected), rel=1e-3) and found > 1


def test_trials_compare_with_what_is_free() -> None:
    """A bench whose candidates are the truth under a control, and turned colours without."""
    x = picture(FACE)
    free = torch.cat([x.roll(1, 1), x.roll(2, 1)])
    asked: list[set[str]] = []

    def solve(x: torch.Tensor, wishes: dict, samples: int = 2) -> torch.Tensor:
        asked.append(set(wishes))
        return x.expand(samples, -1, -1, -1)

    bench = SimpleNamespace(solve=solve, keep=lambda *pictures: None)
    hint = benchmark.by_hint(bench, FACE, x, free)
    assert hint["painted_de2000"] == 0 and hint["spread_of_the_rest"] == 0
    assert hint["painted_de2000_free"] > 1
    dot, cue = (trial(bench, FACE, x, free) for trial in (benchmark.by_dot, benchmark.by_cue))
    assert dot["best_of_1"] == cue["best_of_1"] == 0 and dot["improved"] == 1
    lab = [rgb2lab(np.moveaxis((p.numpy() + 1) / 2, 0, 2)) for p in (x[0], *free)]
    errors = [deltaE_ciede2000(each, lab[0]).mean() for each in lab[1:]]
    assert dot["best_of_1_free"] == pytest.approx(errors[0], rel=1e-3)
    assert cue["best_of_all_free"] == pytest.approx(min(errors), rel=1e-3)
    assert asked == [{"hint"}, {"hint"}, {"cue"}]
    assert benchmark.summary([dot, dot]).startswith("best_of_1 mean 0 median 0")
