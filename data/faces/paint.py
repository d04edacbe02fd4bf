"""The colours in which one face is drawn, in colour or in the media of manga."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

from data.faces.colour import RGB, Tones, material, mix, rgb, skin
from data.faces.description import FaceDescription
from data.faces.palette import EYES, HAIR, LIGHTS, Light

_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)


@dataclass(frozen=True)
class Paint:
    """One material for each thing that is drawn."""

    hair: Tones
    tips: Tones  # of the hair: mostly the hair's own
    skin: Tones
    eye: Tones  # base and light of the iris, shade its upper part, deep the pupil, line its rim
    eye_white: Tones
    blush: Tones
    lips: Tones
    mouth: Tones  # base inside the mouth, light the tongue, gleam the teeth
    cloth: Tones
    second: Tones
    accent: Tones
    white: Tones
    metal: Tones
    background: Tones  # base near, shade far, light where it is brightest


def colour_paint(face: FaceDescription) -> Paint:
    """Give the colours of a face under its light."""
    light, hair, eye = LIGHTS[face.light], HAIR[face.hair_colour], EYES[face.eye_colour]
    hair_hue = hair.hue + face.hair_hue_shift
    tip_hue = hair_hue + (70 if face.hair_seed % 2 else -70)
    hair_tones = material(face.hair_lightness, hair.chroma, hair_hue)
    faded = material(min(face.hair_lightness + 0.08, 0.9), max(hair.chroma, 0.10), tip_hue)
    flesh = skin(face.skin_tone, face.skin_warmth)
    tones = {
        "hair": hair_tones,
        "tips": _blend(hair_tones, faded, face.hair_tips),
        "skin": flesh,
        "eye": _iris(face.eye_lightness, eye.chroma, eye.hue + face.eye_hue_shift),
        "eye_white": Tones(_WHITE, _WHITE, (248, 248, 251), (208, 210, 226), (60, 50, 76), _BLACK),
        "blush": _even(mix(flesh.shade, (240, 90, 100), 0.55)),
        "lips": _even(mix(flesh.shade, (214, 84, 92), 0.5)),
        "mouth": Tones(
            (255, 250, 246), (232, 118, 120), (148, 48, 58), (116, 34, 46), (84, 24, 34), flesh.line
        ),
        "cloth": material(face.outfit_lightness, face.outfit_chroma, face.outfit_hue),
        "second": material(face.second_lightness, face.second_chroma, face.second_hue),
        "accent": material(face.accent_lightness, 0.15, face.accent_hue),
        "white": material(0.965, 0.008, 260),
        "metal": material(0.80, 0.02, 255),
        "background": _backdrop(face),
    }
    return Paint(**{name: _lit(tone, light, face.light_hardness) for name, tone in tones.items()})


def line_paint(face: FaceDescription) -> Paint:
    """Give white for all surfaces and black for all lines; pupils are black."""
    blank = Tones(_WHITE, _WHITE, _WHITE, _WHITE, _WHITE, _BLACK)
    eye = Tones(_WHITE, _WHITE, _WHITE, _WHITE, _BLACK, _BLACK)
    return Paint(**{field.name: eye if field.name == "eye" else blank for field in fields(Paint)})


_SHEETS = (255, 205, 160, 115, 0)  # grey of the tones a manga artist lays: screens, then solid ink


def tone_paint(face: FaceDescription) -> Paint:
    """Give few flat greys, those of screentone sheets, and black lines."""
    coloured = colour_paint(face)

    def sheets(name: str) -> Tones:
        tones: Tones = getattr(coloured, name)
        base = _sheet(tones.base)
        below = _SHEETS[min(_SHEETS.index(base) + 1, len(_SHEETS) - 1)]
        is_solid = base == 0
        light = 255 if is_solid or base == 255 else _SHEETS[_SHEETS.index(base) - 1]
        greys = 255, light, base, base if is_solid else below, _sheet(tones.deep), 0
        return Tones(*[(grey, grey, grey) for grey in greys])

    return Paint(**{field.name: sheets(field.name) for field in fields(Paint)})


def _sheet(colour: RGB) -> int:
    luma = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
    bounds = (215, 165, 120, 62)
    return _SHEETS[sum(luma < bound for bound in bounds)]


def _even(colour: RGB) -> Tones:
    return Tones(colour, colour, colour, colour, colour, colour)


def _blend(first: Tones, second: Tones, share: float) -> Tones:
    return _mapped(first, lambda name, tone: mix(tone, getattr(second, name), share))


def _mapped(tones: Tones, change: Callable[[str, RGB], RGB]) -> Tones:
    return Tones(**{f.name: change(f.name, getattr(tones, f.name)) for f in fields(Tones)})


def _iris(lightness: float, chroma: float, hue: float) -> Tones:
    return Tones(
        gleam=_WHITE,
        light=rgb(min(lightness + 0.22, 0.95), chroma * 0.95, hue + 10),
        base=rgb(lightness, chroma, hue),
        shade=rgb(lightness * 0.50, chroma * 0.9, hue - 6),
        deep=rgb(lightness * 0.26, chroma * 0.5, hue),
        line=rgb(lightness * 0.40, chroma * 0.8, hue),
    )


def _backdrop(face: FaceDescription) -> Tones:
    shift = (face.background_seed % 97 / 48 - 1) * 50
    lightness, chroma, hue = face.background_lightness, face.background_chroma, face.background_hue
    near = rgb(lightness, chroma, hue)
    bright = rgb(min(lightness + 0.10, 0.985), chroma, hue + shift / 2)
    far = rgb(lightness - 0.10, chroma, hue + shift)
    return Tones(_WHITE, bright, near, far, rgb(lightness - 0.22, chroma, hue + shift), far)


def _lit(tones: Tones, light: Light, hardness: float) -> Tones:
    """Light a material: the lit tones take the light's colour, the shaded ones what is around."""

    def change(name: str, tone: RGB) -> RGB:
        if name in ("shade", "deep"):
            tone = mix(tone, tones.base, 0.35 * (1 - hardness)) if name == "shade" else tone
            return _times(tone, light.ambient)
        return _times(tone, light.key)

    return _mapped(tones, change)


def _times(colour: RGB, factors: tuple[float, float, float]) -> RGB:
    red, green, blue = (min(round(v * f), 255) for v, f in zip(colour, factors, strict=True))
    return red, green, blue
