"""Which pictures are learned from; how far a colouriser is from the truth."""

import logging

import numpy as np
import pytest
import torch
from colorizer_case import faces, network, small
from PIL import Image
from skimage import color

from baselines.colorizer import Colorizer, grey
from baselines.examination import colour, marks_of
from baselines.pictures import exam_of, is_grey, sort_out
from data.archive import DatasetError, PictureError
from data.dataset import ImageDataset
from data.image_io import to_uint8


@pytest.fixture
def folder(tmp_path):
    """Twelve drawn faces as people keep pictures: of all shapes and kinds, some of them grey."""
    pictures = [Image.fromarray(picture) for picture in to_uint8(faces(12, 48))]
    for k, picture in enumerate(pictures[:10]):
        picture.resize((40 + 3 * k, 60)).save(tmp_path / f"{k}.png")
    pictures[10].convert("RGBA").save(tmp_path / "alpha.png")
    pictures[11].convert("P").save(tmp_path / "palette.gif")
    pictures[0].convert("L").save(tmp_path / "grey.png")
    pictures[1].convert("L").convert("RGB").save(tmp_path / "grey3.png")
    noisy = np.asarray(pictures[2].convert("L"))[..., None] + np.array([0, 3, 5])
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(tmp_path / "tinted.png")
    pictures[3].convert("L").save(tmp_path / "scan.jpg", quality=60)
    return tmp_path


def test_grey_pictures_are_counted_and_left_out(folder, caplog):
    caplog.set_level(logging.INFO)
    dataset = ImageDataset(folder, side=32)
    tiers = sort_out(dataset, small("lab"), 0)
    assert len(tiers.seen) == 10 and len(tiers.unseen) == 2 and not tiers.outside
    names = {dataset.names[k] for k in (*tiers.seen, *tiers.unseen)}
    assert names == {*(f"{k}.png" for k in range(10)), "alpha.png", "palette.gif"}
    [line] = caplog.messages
    assert "16 pictures: 10 to learn from, 2 kept apart, 4 grey" in line
    assert sort_out(dataset, small("lab"), 0) == tiers != sort_out(dataset, small("lab"), 1)


def test_what_is_grey():
    picture = np.full((3, 10, 10), 100, np.uint8)
    assert is_grey(picture)
    picture[0, 0, 0] = 255
    assert is_grey(picture)
    picture[0, :2] = 110
    assert not is_grey(picture)


def test_dense_drawings_are_the_tier_outside(folder):
    dataset = ImageDataset(folder, side=32)
    tiers = sort_out(dataset, small("cue"), 0)
    assert tiers.outside and len(tiers.seen) + len(tiers.unseen) + len(tiers.outside) == 12
    from baselines.edges import ink_share, sketch

    def ink(indices):
        return ink_share(sketch(grey(exam_of(dataset, indices, 99))))

    assert ink(tiers.outside).min() > ink(tiers.seen + tiers.unseen).max()


def test_sets_without_colour_are_refused(folder):
    for path in folder.glob("[0-9].png"):
        Image.open(path).convert("L").save(path)
    with pytest.raises(DatasetError, match="2 of 16 pictures are in colour"):
        sort_out(ImageDataset(folder, side=32), small("lab"), 0)


def test_a_broken_picture_is_named(folder):
    (folder / "5.png").write_bytes((folder / "5.png").read_bytes()[:200])
    with pytest.raises(PictureError, match=r"5\.png"):
        sort_out(ImageDataset(folder, side=32), small("lab"), 0)


def test_exam_is_spread_over_the_set(folder):
    dataset = ImageDataset(folder, side=32)
    assert torch.equal(exam_of(dataset, [1, 3, 5, 7], 2), exam_of(dataset, [1, 5], 9))
    assert exam_of(dataset, [], 5).shape == (0, 3, 32, 32)


def test_marks():
    """Errors in grey levels of 8-bit files, chroma beside scikit-image's."""
    x = faces()
    made = (x * 0.5).clamp(-1, 1)
    a, b = (to_uint8(t).astype(float) for t in (made, x))
    marks = marks_of(made, x)
    assert marks.l1 == pytest.approx(np.abs(a - b).mean())
    assert marks.l2 == pytest.approx(((a - b) ** 2).mean())
    chromas = [
        np.hypot(*color.rgb2lab(t / 255)[..., 1:].transpose(3, 0, 1, 2)).mean() for t in (a, b)
    ]
    assert marks.chroma == pytest.approx(chromas[0] / chromas[1], rel=1e-3)
    assert marks_of(x, x) == (0, 0, 1)
    assert marks_of(grey(x).expand(-1, 3, -1, -1), x).chroma < 0.01


def test_black_against_white_is_as_bad_as_it_gets():
    black, white = torch.full((1, 3, 8, 8), -1.0), torch.full((1, 3, 8, 8), 1.0)
    assert marks_of(black, white)[:2] == (255, 255**2)


def test_colouring_a_set_is_colouring_each():
    colorizer = Colorizer(network("cascade"))
    x = faces(3)
    seen, made = colour(colorizer, x)
    assert seen.shape == (3, 1, 32, 32) and made.shape == (3, 3, 32, 32)
    alone, one = colour(colorizer, x[1:2])
    torch.testing.assert_close(alone, seen[1:2], atol=1e-5, rtol=0)
    torch.testing.assert_close(one, made[1:2], atol=1e-5, rtol=0)
