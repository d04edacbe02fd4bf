"""The known failures of the source systems, as drawn faces on which each of them can be measured.

Averaging to dull colour, the hair colours of look-alikes swapped, large faces, large black areas,
captions over the picture: what their authors report. Every measure takes `colour`, which gives
candidates `[K, 3, P, P]` for the grey version of a truth `[1, 3, P, P]`, both in [-1, 1], and the
number of a face; it returns means over the candidates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from baselines.colorizer import grey
from baselines.examination import filed, marks_of, mean_chroma
from data.faces import FaceDescription, describe, draw
from data.faces.colour import rgb
from data.faces.palette import HAIR
from data.image_io import LUMA, from_uint8, to_uint8
from evaluation.diversity import rgb_to_lab
from evaluation.similarity import l1

Colour = Callable[[Tensor], Tensor]
SEED = 7  # of the faces: no training draws them
LOOK_ALIKES = (("red", "blue"), ("green", "pink"), ("teal", "ginger"), ("purple", "green"))
ZOOM = 2.0
BLACK = 40  # luma of 255 below which a pixel is black
CAPTION = "It was you!"
_BLACK_CLOTHES: dict[str, Any] = dict(
    hair_colour="black", hair_lightness=0.25, hair_shine=0.0, hair_tips=0.0, background="flat",
    background_lightness=0.1, background_chroma=0.0, outfit_lightness=0.15, outfit_chroma=0.0,
    second_lightness=0.15, second_chroma=0.0, light="day",
)  # fmt: skip


def dull_colour(colour: Colour, index: int, side: int) -> dict[str, float]:
    """Return the mean CIELAB chroma of the candidates and of the truth, and the plain L1."""
    truth = picture(describe(SEED, index), side)
    found = colour(truth)
    error = marks_of(found, truth.expand_as(found)).l1
    return {"chroma": mean_chroma(found), "chroma_of_truth": mean_chroma(truth), "l1": error}


def hair_swaps(colour: Colour, index: int, side: int) -> dict[str, float]:
    """Return how often hair has rather the colour of a look-alike, and its error of hue.

    Look-alikes are one face with two hair colours of one luma. Guessing gives half.
    """
    face, twin = look_alikes(index)
    area = hair_area(face, side)
    own, other = (_ab(picture(each, side), area) for each in (face, twin))
    found = _ab(colour(picture(face, side)), area)
    is_swapped = (found - other).norm(dim=1) < (found - own).norm(dim=1)
    hues = torch.atan2(found[:, 1], found[:, 0]) - torch.atan2(own[:, 1], own[:, 0])
    degrees = (hues.rad2deg() + 180) % 360 - 180
    return {
        "hair_swaps": is_swapped.double().mean().item(),
        "hair_all_swapped": float(is_swapped.all()),
        "hair_hue_error": degrees.abs().mean().item(),
    }


def large_faces(colour: Colour, index: int, side: int) -> dict[str, float]:
    """Return the L1 of the middle of a face, enlarged."""
    whole = np.asarray(draw(describe(SEED, index), round(ZOOM * side)))
    start = (len(whole) - side) // 2
    truth = from_uint8(whole[None, start : start + side, start : start + side])
    found = colour(truth)
    return {"large_l1": marks_of(found, truth.expand_as(found)).l1}


def black_areas(colour: Colour, index: int, side: int) -> dict[str, float]:
    """Return the chroma and the L1 of what is black in a face of black hair, clothes and ground."""
    truth = picture(replace(describe(SEED, index), **_BLACK_CLOTHES), side)
    area = grey(truth)[0, 0] < BLACK / 127.5 - 1
    found = colour(truth)
    black, wanted = (x[:, :, area][..., None] for x in (filed(found), truth))
    return {"black_chroma": mean_chroma(black), "black_l1": l1(black, wanted).mean().item()}


def captions(colour: Colour, index: int, side: int) -> dict[str, float]:
    """Return by how many grey levels a caption changes the rest, and how coloured letters are."""
    plain = picture(describe(SEED, index), side)
    subtitled, letters = with_caption(plain)
    reach = side // 16
    touched = (subtitled != plain).any(1, keepdim=True).float()
    rest = F.max_pool2d(touched, 2 * reach + 1, 1, reach)[0, 0] == 0
    found = colour(subtitled)
    with_it, without = (filed(x)[:, :, rest] for x in (found, colour(plain)))
    leak = l1(with_it, without).mean().item()
    return {"caption_leak": leak, "caption_chroma": mean_chroma(found[:, :, letters][..., None])}


FAILURES: dict[str, Callable[[Colour, int, int], dict[str, float]]] = {
    "dull colour": dull_colour,
    "hair swaps": hair_swaps,
    "large faces": large_faces,
    "black areas": black_areas,
    "captions": captions,
}


def picture(face: FaceDescription, side: int) -> Tensor:
    """Draw a face as `[1, 3, side, side]` in [-1, 1]."""
    return from_uint8(np.asarray(draw(face, side))[None])


def look_alikes(index: int) -> tuple[FaceDescription, FaceDescription]:
    """Return a face with two colours of hair that are one and the same grey."""
    pair = LOOK_ALIKES[index // 2 % len(LOOK_ALIKES)]
    first, second = pair[index % 2], pair[1 - index % 2]
    face = replace(
        describe(SEED, index), hair_colour=first, hair_lightness=0.62, hair_hue_shift=0.0,
        hair_tips=0.0, headwear="none", light="day",
    )  # fmt: skip
    wanted, low, high = _luma(first, face.hair_lightness), 0.0, 1.0
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (middle, high) if _luma(second, middle) < wanted else (low, middle)
    return face, replace(face, hair_colour=second, hair_lightness=middle)


def _luma(name: str, lightness: float) -> float:
    return float(np.dot(LUMA, rgb(lightness, HAIR[name].chroma, HAIR[name].hue)))


def hair_area(face: FaceDescription, side: int) -> Tensor:
    """Return where the hair is, a mask `[side, side]`: what its lightness changes."""
    dark, pale = (picture(replace(face, hair_lightness=v), side) for v in (0.45, 0.75))
    return ((dark - pale).abs() > 24 / 127.5).all(1)[0]


def _ab(pictures: Tensor, area: Tensor) -> Tensor:
    """Return the mean a and b of pictures within an area, `[N, 2]`."""
    return rgb_to_lab((filed(pictures) + 1) / 2)[:, 1:, area].mean(2)


def with_caption(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return a picture with white letters, outlined in black, and where the letters are."""
    side = x.shape[-1]
    image = Image.fromarray(to_uint8(x)[0])
    text = ImageDraw.Draw(image), ImageDraw.Draw(mask := Image.new("L", image.size))
    font, place = ImageFont.load_default(size=side / 8), (side / 2, side * 0.86)
    outline = max(1, round(side / 64))
    text[0].text(place, CAPTION, "white", font, "mm", stroke_width=outline, stroke_fill="black")
    text[1].text(place, CAPTION, 255, font, "mm")
    return from_uint8(np.asarray(image)[None]), torch.from_numpy(np.asarray(mask) > 128)
