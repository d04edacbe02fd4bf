"""What a search costs: how many pictures it had the generator make."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from stylegan import Generator


@dataclass
class Evaluations:
    """A running count of the pictures synthesised at full size, with or without gradient."""

    pictures: int = 0


@contextmanager
def counted(G: Generator) -> Iterator[Evaluations]:
    """Count the pictures that `G.synthesis` makes inside the block, whoever asks for them."""
    count = Evaluations()

    def add(_: object, inputs: tuple) -> None:
        count.pictures += len(inputs[0])

    hook = G.synthesis.register_forward_pre_hook(add)
    try:
        yield count
    finally:
        hook.remove()
