"""Read pictures: what they show, how sure that is, and whether two show the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from attributes.network import Network, ReaderConfig, resize
from attributes.schema import QUALITIES
from stylegan.checkpoint import config_from, read_weights, restore, save_weights

PRETRAINED = Path(__file__).parent.parent / "pretrained" / "attributes.safetensors"
KIND = "attributes"
_BATCH = 64  # pictures at a time


class PictureShapeError(ValueError):
    """Pictures of a shape that no reader takes."""

    code = "E-DATA-FEATURES"


@dataclass(frozen=True)
class Attributes:
    """What N pictures show, as far as can be seen."""

    chances: dict[str, Tensor]  # of each choice, [N, number of its names], each row sums to 1
    numbers: dict[str, Tensor]  # the guess, [N]
    deviations: dict[str, Tensor]  # its standard deviation, [N]
    names: dict[str, tuple[str, ...]]  # what the columns of `chances` stand for

    def answers(self, choice: str) -> list[str]:
        """Return the likeliest name of a choice for each picture."""
        return [self.names[choice][k] for k in self.chances[choice].argmax(1).tolist()]

    def shares(self, choice: str) -> dict[str, float]:
        """Return how many of the pictures show each name of a choice, as shares of 1."""
        answers = self.answers(choice)
        return {name: answers.count(name) / len(answers) for name in self.names[choice]}

    def __len__(self) -> int:
        return len(next(iter((self.chances | self.numbers).values())))


class Reader:
    """A trained network with what its outputs mean."""

    def __init__(self, network: Network) -> None:
        self.network, self.config = network.eval(), network.config

    def to(self, device: torch.device | str) -> Reader:
        """Move the network, and return this reader."""
        self.network.to(device)
        return self

    @torch.no_grad()
    def features(self, pictures: Tensor) -> Tensor:
        """Return the features of `fd_attr`, float32 `[N, num_features]`, about unit variance each.

        Args:
            pictures: `[N, 3, H, W]` or grey `[N, 1, H, W]` in [-1, 1], clipped to it, of any size
                (resized by the antialiased bicubic), on any device (the result is there too).

        Raises:
            PictureShapeError: another shape.
        """
        if pictures.ndim != 4 or pictures.shape[1] not in (1, 3):
            shape = tuple(pictures.shape)
            raise PictureShapeError(f"pictures: got shape {shape}. Give [N, 3, H, W].")
        device = next(self.network.parameters()).device
        parts = [
            self.network.features(self._prepared(part).to(device)).to(part.device)
            for part in pictures.split(_BATCH)
        ]
        return torch.cat(parts)

    def _prepared(self, pictures: Tensor) -> Tensor:
        seen = resize(pictures.float().clamp(-1, 1), self.config.side).clamp(-1, 1)
        return seen.expand(-1, 3, -1, -1)

    def read(self, pictures: Tensor) -> Attributes:
        """Return what pictures show; arguments and errors as for `features`."""
        return self.read_features(self.features(pictures))

    @torch.no_grad()
    def read_features(self, features: Tensor) -> Attributes:
        """Return what pictures show whose features have been computed."""
        device = next(self.network.parameters()).device
        logits, means, spreads = self.network.answers(features.to(device))
        config, home = self.config, features.device
        chances = [each.softmax(1).to(home) for each in logits]
        deviations = (spreads / 2).exp()
        scales = list(config.numbers.values())
        return Attributes(
            dict(zip(config.choices, chances, strict=True)),
            {
                name: (middle + unit * means[:, k]).to(home)
                for k, (name, (middle, unit)) in enumerate(config.numbers.items())
            },
            {
                name: (scales[k][1] * deviations[:, k]).to(home)
                for k, name in enumerate(config.numbers)
            },
            {name: tuple(names) for name, names in config.choices.items()},
        )


def save_reader(path: Path, network: Network, **facts: object) -> None:
    """Write a reader as release weights."""
    save_weights(path, KIND, network.config.to_dict(), network.state_dict(), **facts)


def load_reader(path: Path | str = PRETRAINED, device: torch.device | str = "cpu") -> Reader:
    """Load a reader, the default model's unless told otherwise; its network is frozen.

    Raises:
        CheckpointError: the file is missing, damaged or not a reader.
    """
    metadata, state = read_weights(Path(path), KIND)
    config = config_from(metadata, ReaderConfig, Path(path))
    return Reader(restore(Network, config, state, Path(path))).to(device)


def agreement(
    found: Attributes, shown: Attributes, names: Sequence[str] | None = None
) -> dict[str, Tensor]:
    """Return for each attribute how well what was found fits what had been shown, `[N]` in [0, 1].

    Of a choice: the chance that `shown` gives to what was found, relative to that of its likeliest
    name. Of a number: exp(-d^2 / 2), d being the difference in standard deviations of both guesses.
    Where the first picture leaves something open, as a grey one does with colours, everything
    within that fits: 1 means no contradiction.

    Args:
        found: in N pictures.
        shown: by N pictures, or by one.
        names: of choices and numbers to compare; without, all but the qualities of the picture.
    """
    of_faces = [name for name in (*found.chances, *found.numbers) if name not in QUALITIES]
    return {name: _agreement_in(name, found, shown) for name in names or of_faces}


def _agreement_in(name: str, found: Attributes, shown: Attributes) -> Tensor:
    if name in found.chances:
        expected = shown.chances[name]
        return (found.chances[name] * expected / expected.amax(1, keepdim=True)).sum(1)
    variance = found.deviations[name].square() + shown.deviations[name].square()
    return (-(found.numbers[name] - shown.numbers[name]).square() / (2 * variance)).exp()
