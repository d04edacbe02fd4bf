import io
import json
import os
import pickle
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from dataset_case import COUNT, SIZE, noise_pictures, unpack, write_set
from PIL import Image

from data import dataset as dataset_module
from data.dataset import DatasetError, ImageDataset, PictureError


@pytest.fixture(scope="module")
def arrays():
    return noise_pictures()


@pytest.fixture
def path(tmp_path):
    return write_set(tmp_path / "set.zip")


def test_pictures_come_back_as_stored(path, arrays):
    dataset = ImageDataset(path)
    assert (len(dataset), dataset.resolution, dataset.name) == (COUNT, SIZE, "set")
    assert dataset.labels == list(range(COUNT))
    for _ in range(2):  # from the file, then from the cache
        for index in range(COUNT):
            image = dataset[index]
            assert image.dtype == np.uint8 and image.shape == (3, SIZE, SIZE)
            assert (image == arrays[index].transpose(2, 0, 1)).all()
    assert (dataset[-1] == dataset[COUNT - 1]).all()
    with pytest.raises(IndexError):
        dataset[COUNT]


def test_writing_into_a_picture_does_not_change_the_set(path, arrays):
    dataset = ImageDataset(path)
    for _ in range(3):
        dataset[0][:] = 0
    assert (dataset[0] == arrays[0].transpose(2, 0, 1)).all()


def test_large_sets_are_not_cached(path, monkeypatch):
    monkeypatch.setattr(dataset_module, "MAX_CACHE_BYTES", 3 * SIZE * SIZE * COUNT - 1)
    dataset = ImageDataset(path)
    first = dataset[3]
    path.rename(path.with_name("gone.zip"))
    assert (dataset[3] == first).all()  # the open handle still reads
    dataset = pickle.loads(pickle.dumps(dataset))
    with pytest.raises(DatasetError, match="no such file"):
        dataset[3]


def test_folder_and_zip_are_the_same_set(tmp_path, path):
    zipped, loose = ImageDataset(path), ImageDataset(unpack(path, tmp_path / "loose"))
    assert zipped.names == loose.names and zipped.labels == loose.labels
    assert zipped.digest() == loose.digest()
    assert all((zipped[k] == loose[k]).all() for k in range(COUNT))


def test_part_has_its_own_pictures_and_labels(path, arrays):
    whole = ImageDataset(path)
    part = whole.part([7, 2])
    assert (len(part), part.labels, part.resolution) == (2, [7, 2], SIZE)
    for _ in range(2):
        assert (part[0] == arrays[7].transpose(2, 0, 1)).all()
        assert (part[1] == arrays[2].transpose(2, 0, 1)).all()
    with pytest.raises(IndexError):
        part[2]
    assert len(whole) == COUNT and (whole[0] == arrays[0].transpose(2, 0, 1)).all()


def test_pictures_of_any_shape_are_cut_square_and_resized(tmp_path):
    """Thirds of red, green and blue: the middle of a wide picture is all green."""
    stripes = np.zeros((12, 36, 3), np.uint8)
    for k in range(3):
        stripes[:, 12 * k : 12 * (k + 1), k] = 200
    Image.fromarray(stripes).save(tmp_path / "wide.png")
    Image.fromarray(stripes.transpose(1, 0, 2)).save(tmp_path / "tall.png")
    Image.new("L", (20, 20), 90).save(tmp_path / "grey.png")
    with pytest.raises(PictureError, match="it is 12x36"):
        [ImageDataset(tmp_path)[k] for k in range(3)]
    dataset = ImageDataset(tmp_path, side=8)
    assert dataset.resolution == 8
    for name, colour in [("tall.png", (0, 200, 0)), ("wide.png", (0, 200, 0)), ("grey.png", 90)]:
        picture = dataset[dataset.names.index(name)]
        assert picture.shape == (3, 8, 8)
        assert (picture.transpose(1, 2, 0) == np.array(colour)).all()
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(PictureError, match=r"bad\.png"):
        ImageDataset(tmp_path, side=8)[0]


def test_digest_tells_any_change(tmp_path, path, arrays):
    digest = ImageDataset(path).digest()
    assert ImageDataset(path).digest() == digest
    folder = unpack(path, tmp_path / "loose")
    victim = folder / ImageDataset(path).names[4]
    original = victim.read_bytes()
    victim.write_bytes(original + b"\0")
    assert ImageDataset(folder).digest() != digest
    victim.write_bytes(original)
    assert ImageDataset(folder).digest() == digest
    (folder / "dataset.json").unlink()
    unlabelled = ImageDataset(folder).digest()
    victim.rename(victim.with_name("img00000004b.png"))  # keeps its place in the order
    assert len({digest, unlabelled, ImageDataset(folder).digest()}) == 3


def test_set_survives_pickling(path, arrays):
    dataset = ImageDataset(path)
    dataset[0]
    again = pickle.loads(pickle.dumps(dataset))
    assert (again[1] == arrays[1].transpose(2, 0, 1)).all()
    assert len(pickle.dumps(dataset)) < 20_000


def test_other_formats_are_converted(tmp_path):
    Image.new("L", (9, 9), 77).save(tmp_path / "a.png")
    Image.new("RGBA", (9, 9), (0, 0, 0, 0)).save(tmp_path / "b.png")
    dataset = ImageDataset(tmp_path)
    assert (dataset[0] == 77).all() and dataset[0].shape == (3, 9, 9)
    assert (dataset[1] == 255).all()
    assert dataset.labels is None


def test_faults_are_named(tmp_path, path):
    folder = unpack(path, tmp_path / "loose")
    names = ImageDataset(folder).names
    Image.new("RGB", (SIZE, SIZE + 1)).save(folder / names[2])
    (folder / names[3]).write_bytes(b"GIF89a nonsense")
    dataset = ImageDataset(folder)
    for index, code in ((2, "E-DATA-SIZE"), (3, "E-DATA-TRUNC")):
        with pytest.raises(PictureError, match=names[index]) as error:
            dataset[index]
        assert error.value.code == code
    (folder / names[5]).unlink()
    with pytest.raises(DatasetError) as error:
        dataset[5]
    assert error.value.code == "E-DATA-MISSING"
    assert not isinstance(error.value, PictureError)  # the storage's fault, not the picture's


def test_a_set_that_skips_does_without_bad_pictures(tmp_path, path, arrays):
    folder = unpack(path, tmp_path / "loose")
    names = ImageDataset(folder).names
    for index in (0, 1, 7, COUNT - 1):
        (folder / names[index]).write_bytes(b"junk")
    with pytest.raises(PictureError, match=names[0]):
        ImageDataset(folder)
    dataset = ImageDataset(folder, skip_bad=True)
    assert dataset.resolution == SIZE
    with pytest.raises(PictureError, match=names[7]):
        dataset[7]
    found = [image.transpose(1, 2, 0) for image in dataset.pictures(range(5, 9))]
    assert np.array_equal(found, arrays[[5, 6, 8]])
    (folder / names[9]).unlink()
    with pytest.raises(DatasetError, match="no such file"):
        list(dataset.pictures([9]))


def test_a_set_of_bad_pictures_is_refused(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.png").write_bytes(b"junk")
    with pytest.raises(PictureError, match=r"c\.png"):
        ImageDataset(tmp_path, skip_bad=True)


def test_threads_may_read_one_set(path, arrays):
    def read(dataset, seed):
        order = np.random.default_rng(seed).permutation(COUNT)
        return [np.array_equal(dataset[k], arrays[k].transpose(2, 0, 1)) for k in order]

    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            assert all(map(all, pool.map(read, [ImageDataset(path)] * 4, range(4))))


def test_metadata_of_a_zip_without_tables(tmp_path):
    with zipfile.ZipFile(tmp_path / "plain.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        buffer = io.BytesIO()
        Image.new("RGB", (8, 8), (1, 2, 3)).save(buffer, "JPEG")
        archive.writestr("x/one.jpeg", buffer.getvalue())
        archive.writestr("__MACOSX/x/one.jpeg", b"shadow")
        archive.writestr("other.json", json.dumps({}))
    dataset = ImageDataset(tmp_path / "plain.zip")
    assert dataset.names == ["x/one.jpeg"] and dataset.labels is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_readers_do_not_disturb_each_other(path, arrays, monkeypatch):
    monkeypatch.setattr(dataset_module, "MAX_CACHE_BYTES", 0)
    dataset, expected = ImageDataset(path), arrays.transpose(0, 3, 1, 2)
    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                rounds = (
                    (dataset[k] == expected[k]).all() for _ in range(40) for k in range(COUNT)
                )
                status = 0 if all(rounds) else 1
            finally:
                os._exit(status)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
