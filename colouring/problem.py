"""From a picture's file to the problem that is solved for its candidates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from colouring.models import Models
from colouring.options import Options
from colouring.reading import read_input
from colouring.steering import steer
from data.image_io import load_measurement
from inversion.measurement import cropped
from inversion.pipeline import Inverter
from inversion.pulse import PulseInverter


@dataclass(frozen=True)
class Problem:
    """What is solved for, and what is to be told of it."""

    inverter: Inverter
    notes: list[str]
    facts: dict[str, Any]


def prepare(image: Path, options: Options, models: Models) -> Problem:
    """Read a picture and pose its problem.

    Raises:
        ImageError, MeasurementError, CheckpointError: an input cannot be used.
    """
    loaded = load_measurement(image, channels=3 if options.input == "colour" else 1)
    notes = list(loaded.notes)
    y = loaded.y
    if options.crop:
        y = cropped(y, options.crop)
        notes.append("cropped to {2}x{3} pixels from {0},{1}".format(*options.crop))
    reading = read_input(options, y, models)
    given = reading.given
    steering = steer(options, given, reading.canvas, (loaded.y.shape[2], loaded.y.shape[3]))
    notes += reading.notes + steering.notes
    if models.encoder is None and options.method == "posterior":
        notes.append("no --encoder for this generator: candidates start from the prior")
    start = models.start(reading.look)
    parts = (models.G, models.prior, given, start, models.config, options.seed)
    kind = PulseInverter if options.method == "pulse" else Inverter
    further = tuple(steering.evidence)
    curvature = models.curvature if options.input == "grey" and not further else None
    inverter = kind(*parts, further, transform=reading.transform, curvature=curvature)
    facts = {
        "seed": options.seed,
        "method": options.method,
        "notes": notes,
        "sha256": {"image": loaded.sha256, **models.sha256, **steering.sha256},
        "options": {"image": str(image.resolve()), **options.to_json()},
        "solver": inverter.options,
        **reading.facts,
    }
    return Problem(inverter, notes, facts)
