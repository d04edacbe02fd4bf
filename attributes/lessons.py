"""What can be learned from drawn faces: each reader with its network, examples and examination."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from attributes import network, pictures
from attributes.pictures import Task
from attributes.region_examples import region_exam, region_examples
from attributes.region_training import RegionsReporter, RegionsTrainer
from attributes.regions import RegionsConfig, RegionsNetwork
from attributes.reporting import ReaderReporter
from attributes.training import ReaderTrainer, Trainer
from engine.fitting import Reporter


@dataclass(frozen=True)
class Lesson:
    """How one kind of reader is trained."""

    network: Callable[[], nn.Module]
    trainer: type[Trainer]
    reporter: Callable[..., Reporter]
    examples: Callable[[Task], Any]  # what is learned from
    exam: Callable[[Task], Any]  # what is never learned from


def lesson_of(reader: str) -> Lesson:
    """Return how 'attributes' or 'regions' are learned.

    Raises:
        KeyError: there is no such reader.
    """
    return {
        "attributes": Lesson(
            lambda: network.Network(network.ReaderConfig()),
            ReaderTrainer,
            ReaderReporter,
            pictures.training_examples,
            pictures.exam,
        ),
        "regions": Lesson(
            lambda: RegionsNetwork(RegionsConfig()),
            RegionsTrainer,
            RegionsReporter,
            region_examples,
            region_exam,
        ),
    }[reader]
