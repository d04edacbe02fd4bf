"""What is asked for: all that decides the bytes of a result beside the picture and the models."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from inversion.measurement import Box


@dataclass(frozen=True)
class Options:
    """The options of one call, as `result.json` keeps them."""

    generator: Path
    encoder: Path | None = None  # None: candidates start from the prior
    samples: int = 8
    seed: int = 0
    device: str = "auto"
    method: str = "posterior"  # or "pulse"
    input: str = "grey"  # "auto", or one of `inversion.inputs.AS`
    size: int | None = None  # reduce the picture to this side first
    crop: Box | None = None
    pose: str = "none"  # "auto": solved for first
    save_every: int | None = None  # steps of the search between two pictures of its film
    hint: Path | None = None  # strokes: what is painted has that colour
    cue: Path | None = None  # the colours, blurred
    palette: Path | None = None  # a picture of the same colours
    like: str | None = None  # a candidate whose colours to take, 'PATH/result.json:3'
    hair: str | None = None  # a colour as '#a03050'
    eyes: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return them as plain data; paths are absolute."""
        return {k: str(v.resolve()) if isinstance(v, Path) else v for k, v in asdict(self).items()}
