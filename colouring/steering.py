"""The user's wishes for the colours, as evidence beside the input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from attributes.regions import RegionsReader, load_regions
from colouring.earlier import candidate_of
from colouring.layers import opaque, placed
from colouring.options import Options
from data.image_io import load_image
from data.layer import load_layer
from inversion.controls.chroma import GRID, Wanted, chroma_evidence
from inversion.controls.cue import cue
from inversion.controls.hint import hint
from inversion.controls.luma import chroma_kept, fitted, luma_on_grid
from inversion.controls.palette import palette_evidence
from inversion.controls.parts import part_colours, parts, unmixing
from inversion.evidence import Evidence
from inversion.inputs import Canvas, Input
from inversion.operators import LUMA

CONTROLS = ("hint", "cue", "palette", "like", "hair", "eyes")
LUMA_APART = 0.1  # of black to white, from which a wanted colour is said to be of another lightness
CHROMA_LEFT = 0.8  # share below which it is said that the input allows no more


class SteeringError(ValueError):
    """Controls that do not go with the rest of the call."""

    code = "E-USAGE-CONTROL"


@dataclass
class Steering:
    """What the controls amount to."""

    evidence: list[Evidence] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    sha256: dict[str, str] = field(default_factory=dict)  # of the files, by control


def steer(options: Options, given: Input, canvas: Canvas, size: tuple[int, int]) -> Steering:
    """Turn the controls of a call into evidence.

    Args:
        options: of the call.
        given: the input that they go beside.
        canvas: the pictures that both are about.
        size: (h, w) of the input's file, in pixels.

    Raises:
        SteeringError: the input has colours of its own, or the method takes none.
        HintError, ImageError, EarlierError, CheckpointError: a control cannot be used.
    """
    asked = [name for name in CONTROLS if getattr(options, name) is not None]
    if asked and (options.input == "colour" or options.method == "pulse"):
        other = "--input colour" if options.input == "colour" else "--method pulse"
        raise SteeringError(f"--{asked[0]} does not go with {other}. Leave one out.")
    return _Desk(options, given, canvas, size).steering(asked) if asked else Steering()


class _Desk:
    """One call's controls on their way to evidence."""

    def __init__(
        self, options: Options, given: Input, canvas: Canvas, size: tuple[int, int]
    ) -> None:
        self.options, self.given, self.canvas, self.size = options, given, canvas, size
        self.made = Steering()
        knows_luma = options.input != "lineart"
        self.luma = luma_on_grid(given.look.cpu()) if knows_luma else None

    def steering(self, asked: list[str]) -> Steering:
        for name, make in (("hint", hint), ("cue", cue)):
            if name in asked:
                self._add(name, make(self._layer(name)))
        if self.options.palette is not None:
            self._add_palette(self.options.palette)
        if {"like", "hair", "eyes"} & set(asked):
            self._add_parts()
        return self.made

    def _layer(self, name: str) -> Tensor:
        layer = load_layer(getattr(self.options, name))
        self.made.sha256[name] = layer.sha256
        rgba, notes = placed(torch.from_numpy(layer.rgba), self.given, self.size, self.options.crop)
        self.made.notes += [f"--{name}: {note}" for note in notes]
        return rgba

    def _add(self, name: str, wanted: Wanted) -> None:
        """Add colours wanted at places, brought to the luma that the input has there."""
        if self.luma is not None:
            before, wanted = wanted, fitted(wanted, self.luma)
            kept = chroma_kept(before.rgb, wanted.rgb)
            if kept < CHROMA_LEFT:
                self.made.notes.append(
                    f"--{name}: where it counts the input is too light or too dark for its colours:"
                    f" {kept:.0%} of their strength is left"
                )
        R, P = self.canvas.img_resolution, self.given.side
        self.made.evidence.append(chroma_evidence(name, wanted, R, P))

    def _add_palette(self, path: Path) -> None:
        layer = load_layer(path)
        self.made.sha256["palette"] = layer.sha256
        reference = opaque(torch.from_numpy(layer.rgba))
        grid = F.interpolate(reference[None], (GRID, GRID), mode="area")
        R, P = self.canvas.img_resolution, self.given.side
        self.made.evidence.append(palette_evidence(2 * grid - 1, R, P))

    def _add_parts(self) -> None:
        reader = load_regions()
        weights = _weights(reader, self.given.look)
        wishes = dict(self._wishes(reader))
        for name in wishes.keys() - weights.keys():
            self.made.notes.append(f"warning: the input shows no {name}: left out")
        for name in wishes.keys() & weights.keys():
            self._compare_luma(name, wishes[name], weights[name])
        wanted = parts(weights, wishes)
        if wanted is not None:
            self._add("parts", wanted)

    def _wishes(self, reader: RegionsReader) -> Iterator[tuple[str, Tensor]]:
        """Yield the parts and the colours that they should have, the decisive ones last."""
        if self.options.like is not None:
            path = candidate_of(self.options.like)
            image = load_image(path)
            self.made.sha256["like"] = image.sha256
            rgb = torch.from_numpy(image.pixels).permute(2, 0, 1).expand(3, -1, -1) / 255
            grey = torch.einsum("c,chw->hw", rgb.new_tensor(LUMA), rgb)
            weights = _weights(reader, 2 * grey[None, None] - 1)
            grid = F.interpolate(rgb[None], (GRID, GRID), mode="bicubic", antialias=True)[0]
            colours = part_colours(weights, grid)
            yield from ((name, c) for name, c in colours.items() if name != "background")
        for name in ("hair", "eyes"):
            if (text := getattr(self.options, name)) is not None:
                yield name, torch.tensor(list(bytes.fromhex(text[1:])), dtype=torch.float64) / 255

    def _compare_luma(self, name: str, rgb: Tensor, weights: Tensor) -> None:
        text = getattr(self.options, name, None)
        if text is None or self.luma is None:
            return
        wanted = float(rgb @ rgb.new_tensor(LUMA))
        found = float((weights * self.luma).sum().clamp(0, 1))
        if abs(wanted - found) > LUMA_APART:
            self.made.notes.append(
                f"--{name} {text} has a luma of {255 * wanted:.0f}, the input's {name}"
                f" {255 * found:.0f}: its hue is taken, the lightness is the input's"
            )


def _weights(reader: RegionsReader, grey: Tensor) -> Mapping[str, Tensor]:
    """Return what gives the colour of each part of a small grey square `[1, 1, s, s]`."""
    shares = reader.read(grey.cpu())[0]
    return unmixing(dict(zip(reader.names, shares, strict=True)))
