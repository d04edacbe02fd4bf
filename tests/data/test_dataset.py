import hashlib
import io
import json
import os
import pickle
import threading
import zipfile
from itertools import islice

import numpy as np
import pytest
import torch
from PIL import Image

from data import dataset as dataset_module
from data.archive import encode_png, write_archive
from data.dataset import DatasetError, ImageDataset, batches, sample_order

COUNT, SIZE = 23, 16


@pytest.fixture(scope="module")
def arrays():
    return np.random.default_rng(0).integers(0, 256, (COUNT, SIZE, SIZE, 3)).astype(np.uint8)


@pytest.fixture
def path(tmp_path, arrays):
    pictures = [encode_png(Image.fromarray(array)) for array in arrays]
    write_archive(tmp_path / "set.zip", pictures, labels=list(range(COUNT)))
    return tmp_path / "set.zip"


def unpack(path, folder):
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    return folder


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
        with pytest.raises(DatasetError, match=names[index]) as error:
            dataset[index]
        assert error.value.code == code
    (folder / names[5]).unlink()
    with pytest.raises(DatasetError) as error:
        dataset[5]
    assert error.value.code == "E-DATA-MISSING"


@pytest.mark.parametrize(
    "table",
    ["[]", "{}", "nonsense", '{"labels": 3}', '{"labels": [["00000/img00000000.png", 1]]}'],
)
def test_unusable_labels(tmp_path, path, table):
    folder = unpack(path, tmp_path / "loose")
    (folder / "dataset.json").write_text(table)
    with pytest.raises(DatasetError) as error:
        ImageDataset(folder)
    assert error.value.code == "E-DATA-LABEL"


def test_each_epoch_holds_every_picture_once():
    orders = []
    for epoch in range(4):
        stretch = range(epoch * COUNT, (epoch + 1) * COUNT)
        orders.append([sample_order(COUNT, 5, position)[0] for position in stretch])
        assert sorted(orders[-1]) == list(range(COUNT))
    assert len({tuple(order) for order in orders}) == 4


def test_order_depends_on_seed_and_position_alone():
    positions = [0, 7, 10**9, COUNT, 7]
    first = [sample_order(COUNT, 5, p) for p in positions]
    dataset_module._epoch.cache_clear()
    assert [sample_order(COUNT, 5, p) for p in reversed(positions)] == first[::-1]
    assert [sample_order(COUNT, 6, p) for p in range(20)] != [
        sample_order(COUNT, 5, p) for p in range(20)
    ]


def test_half_are_mirrored_and_it_changes_between_epochs():
    flips = np.array([sample_order(100, 0, p) for p in range(10_000)])
    assert abs(flips[:, 1].mean() - 0.5) < 4 * 0.5 / 100
    per_picture = [flips[flips[:, 0] == k, 1].mean() for k in range(100)]
    assert 0.25 < min(per_picture) and max(per_picture) < 0.75


def test_batches_are_the_pictures_of_the_order(path, arrays):
    dataset = ImageDataset(path)
    stream = batches(dataset, 5, seed=3, mirror=True)
    for step, batch in enumerate(islice(stream, 12)):
        assert batch.shape == (5, 3, SIZE, SIZE) and batch.dtype == torch.float32
        assert batch.is_contiguous()
        for place in range(5):
            index, is_mirrored = sample_order(COUNT, 3, 5 * step + place)
            expected = arrays[index].astype(np.float64) / 127.5 - 1
            expected = (expected[:, ::-1] if is_mirrored else expected).transpose(2, 0, 1)
            np.testing.assert_allclose(batch[place].numpy(), expected, atol=1e-6)
    stream.close()


def test_without_mirror_nothing_is_mirrored(path, arrays):
    stream = batches(ImageDataset(path), COUNT, seed=3)
    seen = {hashlib.sha256(image.numpy().tobytes()).digest() for image in next(stream)}
    stream.close()
    stored = torch.from_numpy(arrays.transpose(0, 3, 1, 2).copy()).float() / 127.5 - 1
    assert seen == {hashlib.sha256(image.numpy().tobytes()).digest() for image in stored}


def test_a_resumed_stream_continues_the_old_one(path):
    whole = batches(ImageDataset(path), 4, seed=1, mirror=True)
    resumed = batches(ImageDataset(path), 4, seed=1, start=9, mirror=True)
    for old, new in zip(islice(whole, 9, 20), islice(resumed, 11), strict=True):
        assert torch.equal(old, new)
    whole.close()
    resumed.close()


def test_closing_the_stream_ends_its_thread(path):
    before = threading.active_count()
    stream = batches(ImageDataset(path), 4, seed=1)
    next(stream)
    assert threading.active_count() == before + 1
    stream.close()
    assert threading.active_count() == before


def test_a_bad_picture_reaches_the_trainer_as_an_error(tmp_path, path):
    folder = unpack(path, tmp_path / "loose")
    names = ImageDataset(folder).names
    (folder / names[7]).write_bytes(b"junk")
    with pytest.raises(DatasetError, match=names[7]):
        for _ in islice(batches(ImageDataset(folder), 4, seed=0), 10):
            pass


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
