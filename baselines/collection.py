"""All colourisers of a folder, for whoever compares them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from baselines.ancestor import WEIGHTS, Ancestor, load_ancestor
from baselines.colorizer import Colorizer, load_colorizer
from stylegan import load_generator


def load_colorizers(
    folder: Path, side: int, generator: Path, num: int
) -> Iterator[Colorizer | Ancestor]:
    """Yield what `train_colorizer.py` wrote into a folder or below it, in order.

    Args:
        folder: it; where there is none, there are no colourisers.
        side: of their pictures.
        generator: the file of the ancestor's generator.
        num: candidates of the ancestor.

    Raises:
        CheckpointError: a file is damaged or holds something else.
    """
    for path in sorted(folder.rglob("*.safetensors")):
        if path.name == WEIGHTS:
            yield load_ancestor(path, load_generator(generator), generator, num, side)
        else:
            yield load_colorizer(path, side)
