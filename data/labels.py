"""Labels of the pictures of a data set: one JSON value each, or one row of numbers each."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from data.archive import DatasetError
from data.source import Source

MAX_NUMBERS = 2**28  # in a table, a gigabyte
_LARGEST = float(np.finfo(np.float32).max)


def read_labels(source: Source) -> list[object] | None:
    """Return the label of each picture as `dataset.json` has it, None where it has none.

    Raises:
        DatasetError: E-DATA-LABEL if the file is no table, or leaves a picture out.
    """
    table = source.read_table()
    if table is None:
        return None
    try:
        pairs = json.loads(table)["labels"]
        named = None if pairs is None else {name: label for name, label in pairs}
    except (ValueError, TypeError, KeyError, RecursionError) as exc:
        what, remedy = 'dataset.json is not {"labels": [[name, label], ...]}', "Make it again"
        raise DatasetError("E-DATA-LABEL", str(source.path), what, remedy) from exc
    if named is None:
        return None
    missing = next((name for name in source.names if name not in named), None)
    if missing is not None:
        what = f"dataset.json has no label for {missing!a}"
        raise DatasetError("E-DATA-LABEL", str(source.path), what, "Label all pictures or none")
    return [named[name] for name in source.names]


def label_table(
    labels: Sequence[object] | None, names: Sequence[str], subject: str
) -> NDArray[np.float32]:
    """Return labels as rows `[num, c_dim]`: classes 0, 1, ... one-hot, lists of numbers as such.

    There are as many classes as the largest of them says. `names` and `subject`, of the pictures
    and of the set, are for the error.

    Raises:
        DatasetError: E-DATA-LABEL if there are no labels, or one is neither a class nor a list of
            finite numbers, or not what the first is.
    """
    if labels is None:
        remedy = "Add them, or train without --cond"
        raise DatasetError("E-DATA-LABEL", subject, "dataset.json has no labels", remedy)
    shape = _shape(labels[0])
    for name, label in zip(names, labels, strict=True):
        if _shape(label) is None or _shape(label) != shape:
            what = f"the label of {name!a} is {json.dumps(label)[:40]}"
            remedy = "Give each a class 0, 1, ..., or each a list of equally many finite numbers"
            raise DatasetError("E-DATA-LABEL", subject, what, remedy)
    return _one_hot(labels, names, subject) if shape == () else np.array(labels, np.float32)


def _shape(label: object) -> tuple[int, ...] | None:
    """Return () for a class, (n,) for a list of n finite numbers, None for anything else."""
    if type(label) is int and label >= 0:
        return ()
    if isinstance(label, list) and label and all(_is_finite(value) for value in label):
        return (len(label),)
    return None


def _is_finite(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -_LARGEST <= value <= _LARGEST


def _one_hot(classes: Sequence, names: Sequence[str], subject: str) -> NDArray[np.float32]:
    largest = max(classes)
    if (largest + 1) * len(classes) > MAX_NUMBERS:
        what = f"the label of {names[classes.index(largest)]!a} is class {largest}"
        remedy = "Number the classes 0, 1, ... without gaps"
        raise DatasetError("E-DATA-LABEL", subject, what, remedy)
    table = np.zeros((len(classes), largest + 1), np.float32)
    table[np.arange(len(classes)), classes] = 1
    return table
