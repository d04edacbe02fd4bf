"""Measure how many faces one core draws in a second, and what its time goes to.

python -m benchmarks.draw_faces --count 200
"""

from __future__ import annotations

import importlib
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import click

from data.faces import describe, draw

drawing = importlib.import_module("data.faces.draw")
SIZES = (64, 128, 256)


@click.command()
@click.option("--count", type=click.IntRange(1), default=200, show_default=True, help="Faces.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Which set.")
def main(count: int, seed: int) -> None:
    """Print images/s for each size, then milliseconds of each part at the largest."""
    draw(describe(seed, 0), SIZES[-1])  # fills the caches
    for size in SIZES:
        seconds = _seconds(count, seed, size)
        click.echo(f"{size:4}: {count / seconds:6.1f} images/s, {1000 * seconds / count:.2f} ms")
    for name, seconds in _by_part(count, seed, SIZES[-1]).most_common():
        click.echo(f"      {1000 * seconds / count:6.2f} ms {name}")


def _seconds(count: int, seed: int, size: int) -> float:
    started = time.process_time()
    for index in range(count):
        draw(describe(seed, index), size)
    return time.process_time() - started


def _by_part(count: int, seed: int, size: int) -> Counter[str]:
    """Time the functions that `data.faces.draw` calls; "rest" is what is between them."""
    spent: Counter[str] = Counter()
    before = dict(vars(drawing))
    names = [name for name in before if name.startswith(("draw_", "paint_", "lit"))]
    parts = {name: before[name] for name in names}
    vars(drawing).update({name: _timed(part, name, spent) for name, part in parts.items()})
    try:
        seconds = _seconds(count, seed, size)
    finally:
        vars(drawing).update(before)
    return spent + Counter(rest=seconds - spent.total())


def _timed(part: Callable[..., Any], name: str, spent: Counter[str]) -> Callable[..., Any]:
    def timed(*arguments: Any) -> Any:
        started = time.process_time()
        result = part(*arguments)
        spent[name] += time.process_time() - started
        return result

    return timed


if __name__ == "__main__":
    main()
