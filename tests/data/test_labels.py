"""Labels: what dataset.json may say, and the table of numbers that a conditional training reads."""

import json

import numpy as np
import pytest
import torch
from dataset_case import COUNT, unpack, write_set
from PIL import Image

from data import labels
from data.dataset import DatasetError, ImageDataset


@pytest.fixture
def folder(tmp_path):
    return unpack(write_set(tmp_path / "set.zip"), tmp_path / "loose")


def labelled(folder, values):
    """Give the set these labels, in the order of its names, and open it."""
    names = ImageDataset(folder).names
    table = {"labels": [[name, value] for name, value in zip(names, values, strict=True)]}
    (folder / "dataset.json").write_text(json.dumps(table))
    return ImageDataset(folder)


@pytest.mark.parametrize(
    "table",
    ["[]", "{}", "nonsense", '{"labels": 3}', '{"labels": [["00000/img00000000.png", 1]]}'],
)
def test_unusable_files(folder, table):
    (folder / "dataset.json").write_text(table)
    with pytest.raises(DatasetError) as error:
        ImageDataset(folder)
    assert error.value.code == "E-DATA-LABEL"


def test_classes_are_one_hot(folder):
    classes = [(5 * k) % 7 for k in range(COUNT)]
    classes[0] = 9  # 7 and 8 have no picture
    table = labelled(folder, classes).label_table()
    assert table.shape == (COUNT, 10) and table.dtype == torch.float32
    assert [row.index(1) for row in table.tolist()] == classes
    assert table.sum().item() == COUNT and table.min() == 0


def test_lists_of_numbers_are_taken_as_they_are(folder):
    rows = [[k, -k / 7, 1e30] for k in range(COUNT)]
    table = labelled(folder, rows).label_table()
    np.testing.assert_array_equal(table.numpy(), np.array(rows, np.float32))


def test_pictures_without_labels(folder):
    (folder / "dataset.json").unlink()
    with pytest.raises(DatasetError, match="has no labels") as error:
        ImageDataset(folder).label_table()
    assert error.value.code == "E-DATA-LABEL" and str(folder) in str(error.value)


@pytest.mark.parametrize(
    ("sound", "offender"),
    [(3, value) for value in (-1, 2.0, True, "2", None, [2], [], {}, 10**9, 10**400)]
    + [([1.5, 2], value) for value in (2, [1], [1, 2, 3], [1, "2"], [1, True], [1, None], [1, [2]])]
    + [([1.5, 2], [1, value]) for value in (float("nan"), float("inf"), -1e39, 10**400)],
    ids=lambda value: json.dumps(value)[:20],
)
@pytest.mark.parametrize("where", [0, 6])
def test_the_first_offender_is_named(folder, sound, offender, where):
    values = [sound] * COUNT
    values[where] = values[20] = offender
    dataset = labelled(folder, values)
    # where the very first label is a sound one of another kind, the second is what differs
    is_sound = labels._shape(offender) is not None and offender not in (10**9, 10**400)
    named = dataset.names[where + (is_sound and where == 0)]
    with pytest.raises(DatasetError, match=named) as error:
        dataset.label_table()
    assert error.value.code == "E-DATA-LABEL" and str(folder) in str(error.value)


def test_label_table_of_a_picture_is_that_of_its_index(tmp_path):
    for index, name in enumerate(("c", "a", "b")):  # read in the order of the names
        Image.new("L", (8, 8), index).save(tmp_path / f"{name}.png")
    pairs = [["c.png", 2], ["b.png", 1], ["a.png", 0]]
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": pairs}))
    assert ImageDataset(tmp_path).label_table().tolist() == np.eye(3).tolist()
