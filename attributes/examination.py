"""How well a reader reads held-out pictures, attribute by attribute."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from attributes.pictures import GREY_SIDE, Exam
from attributes.reader import Attributes, Reader
from attributes.schema import CHOICES, NUMBERS, QUALITIES, UNREADABLE, Truth
from data.image_io import from_uint8


class Mark(NamedTuple):
    """How well one attribute is read: a choice's accuracy, or a number's root mean square error."""

    colour: float  # from the picture in colour
    grey: float  # from the small grey one
    blind: float  # by always giving the most frequent name, or the mean


def examine(reader: Reader, papers: Iterable[Exam]) -> dict[str, Mark]:
    """Return the mark for every attribute of the face, over all pictures of the papers."""
    truth, colour, grey = [], [], []
    for paper in papers:
        truth.append(paper.truth)
        colour.append(_answers(reader.read(from_uint8(paper.pictures))))
        grey.append(_answers(reader.read(from_uint8(paper.greys))))
    return _marks(_joined(truth), _joined(colour), _joined(grey))


def mean_accuracy(marks: dict[str, Mark]) -> Mark:
    """Return the mean over the choices."""
    return Mark(*np.mean([marks[name] for name in CHOICES], axis=0).tolist())


def table(marks: dict[str, Mark]) -> str:
    """Return the marks as a table in Markdown."""
    head = f"| attribute | in colour | grey {GREY_SIDE}x{GREY_SIDE} | blind |\n|---|--:|--:|--:|\n"
    lines = [f"| {name} | {' | '.join(_shown(name, mark))} |" for name, mark in marks.items()]
    note = "\n\nOf names the share that is right, of numbers the root mean square error."
    return head + "\n".join(lines) + note


def _shown(name: str, mark: Mark) -> list[str]:
    return [f"{100 * value:.1f} %" if name in CHOICES else f"{value:.3g}" for value in mark]


def _answers(read: Attributes) -> Truth:
    choices = [chances.argmax(1) for chances in read.chances.values()]
    numbers = list(read.numbers.values())
    return Truth(torch.stack(choices, 1).numpy(), torch.stack(numbers, 1).numpy())


def _joined(parts: list[Truth]) -> Truth:
    choices, numbers = zip(*parts, strict=True)
    return Truth(np.concatenate(choices), np.concatenate(numbers))


def _marks(truth: Truth, colour: Truth, grey: Truth) -> dict[str, Mark]:
    marks = {
        name: _accuracies(*(each.choices[:, k] for each in (truth, colour, grey)))
        for k, name in enumerate(CHOICES)
    }
    return marks | {
        name: _errors(*(each.numbers[:, k] for each in (truth, colour, grey)))
        for k, name in enumerate(NUMBERS)
        if name not in QUALITIES
    }


Column = NDArray[np.generic]


def _accuracies(right: Column, *guesses: Column) -> Mark:
    readable = right != UNREADABLE
    _, counts = np.unique(right[readable], return_counts=True)
    colour, grey = (float((guess == right)[readable].mean()) for guess in guesses)
    return Mark(colour, grey, float(counts.max(initial=0) / max(readable.sum(), 1)))


def _errors(right: NDArray[np.float32], *guesses: NDArray[np.float32]) -> Mark:
    readable = np.isfinite(right)
    right = right[readable]
    each = [right - guess[readable] for guess in guesses] + [right - right.mean()]
    return Mark(*(float(np.sqrt(np.mean(error**2))) for error in each))
