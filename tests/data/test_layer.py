import numpy as np
import pytest
from PIL import Image

from data.image_io import ImageError
from data.layer import load_layer


def test_colour_and_transparency_are_those_of_the_file(tmp_path):
    stored = np.random.default_rng(0).integers(0, 256, (9, 12, 4), np.uint8)
    Image.fromarray(stored).save(tmp_path / "layer.png")
    found = load_layer(tmp_path / "layer.png").rgba
    np.testing.assert_array_equal(np.round(255 * found), stored.transpose(2, 0, 1))


def test_a_picture_without_transparency_counts_everywhere(tmp_path):
    Image.new("L", (20, 10), 51).save(tmp_path / "grey.png")
    found = load_layer(tmp_path / "grey.png").rgba
    assert found.shape == (4, 10, 20)
    np.testing.assert_allclose(found[:, 0, 0], [0.2, 0.2, 0.2, 1])


def test_a_turned_photograph_is_upright(tmp_path):
    picture = Image.new("RGB", (20, 10))
    exif = picture.getexif()
    exif[0x112] = 6
    picture.save(tmp_path / "turned.jpg", exif=exif)
    assert load_layer(tmp_path / "turned.jpg").rgba.shape == (4, 20, 10)


def test_damaged_files_are_refused(tmp_path):
    (tmp_path / "layer.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    with pytest.raises(ImageError):
        load_layer(tmp_path / "layer.png")
