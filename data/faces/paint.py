"""The colours in which one face is drawn, in colour or in the media of manga."""

from __future__ import annotations

from dataclasses import dataclass, fields

from data.faces.colour import RGB, Tones, material, mix, rgb, skin
from data.faces.description import FaceDescription
from data.faces.palette import EYES, HAIR, LIGHTS, Factors, Light

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
        "tips": _blend(hair_tones, faded, face.hair_tips) if face.hair_tips else hair_tones,
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
    }
    lit = {name: _lit(tone, light, face.light_hardness, name) for name, tone in tones.items()}
    return Paint(background=_backdrop(face, light), **lit)


def line_paint(face: FaceDescription) -> Paint:
    """Give white for all surfaces and black for all lines; pupils are black."""
    blank = Tones(_WHITE, _WHITE, _WHITE, _WHITE, _WHITE, _BLACK)
    eye = Tones(_WHITE, _WHITE, _WHITE, _WHITE, _BLACK, _BLACK)
    return Paint(**{field.name: eye if field.name == "eye" else blank for field in fields(Paint)})


# Greys of the sheets that a manga artist lays, with what lies in their shade; then solid ink.
_SHEETS = {255: 205, 205: 155, 160: 110, 115: 70, 0: 0}


def tone_paint(face: FaceDescription) -> Paint:
    """Give few flat greys, those of screentone sheets, and black lines."""
    coloured = colour_paint(face)
    sheets = {field.name: _sheets(getattr(coloured, field.name)) for field in fields(Paint)}
    air = Tones(*[(grey, grey, grey) for grey in (255, 255, 235, 205, 180, 205)])
    return Paint(**(sheets | {"background": air}))


def _sheets(tones: Tones) -> Tones:
    base = _sheet(tones.base)
    light = 255 if base in (0, 255) else base + 45
    greys = 255, light, base, _SHEETS[base], min(_sheet(tones.deep), _SHEETS[base]), 0
    return Tones(*[(grey, grey, grey) for grey in greys])


def _sheet(colour: RGB) -> int:
    luma = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
    bounds = (215, 165, 120, 62)
    return list(_SHEETS)[sum(luma < bound for bound in bounds)]


def _even(colour: RGB) -> Tones:
    return Tones(colour, colour, colour, colour, colour, colour)


def _blend(first: Tones, second: Tones, share: float) -> Tones:
    names = [field.name for field in fields(Tones)]
    return Tones(*[mix(getattr(first, name), getattr(second, name), share) for name in names])


def _iris(lightness: float, chroma: float, hue: float) -> Tones:
    return Tones(
        gleam=_WHITE,
        light=rgb(min(lightness + 0.22, 0.95), chroma * 0.95, hue + 10),
        base=rgb(lightness, chroma, hue),
        shade=rgb(lightness * 0.50, chroma * 0.9, hue - 6),
        deep=rgb(lightness * 0.26, chroma * 0.5, hue),
        line=rgb(lightness * 0.40, chroma * 0.8, hue),
    )


def _backdrop(face: FaceDescription, light: Light) -> Tones:
    """Give the background's own colours, drawn towards those of the scene that the light makes."""
    lightness, chroma, hue, turn = _SCENERY.get(face.background, _any_hue)(face)
    bright, near, far = (
        mix(rgb(min(lightness + lift, 0.985), chroma, hue + turn * k), scene, light.share)
        for k, (lift, scene) in enumerate(zip((0.10, 0.0, -0.10), light.scene, strict=True))
    )
    deep = mix(rgb(lightness - 0.22, chroma, hue + 2 * turn), light.scene[2], light.share)
    return Tones(mix(_WHITE, light.scene[0], light.share), bright, near, far, deep, far)


def _any_hue(face: FaceDescription) -> tuple[float, float, float, float]:
    turn = (face.background_seed % 97 / 48 - 1) * 30
    return face.background_lightness, face.background_chroma, face.background_hue, turn


def _sky(face: FaceDescription) -> tuple[float, float, float, float]:
    chroma = 0.045 + 0.5 * face.background_chroma
    return face.background_lightness - 0.04, chroma, 216 + face.background_hue / 10, 12


def _leaves(face: FaceDescription) -> tuple[float, float, float, float]:
    """From autumn to summer; and cherry trees."""
    hue = 70 + face.background_hue / 4 if face.background_seed % 6 else 350
    return face.background_lightness - 0.02, 0.04 + 0.5 * face.background_chroma, hue, 14


_SCENERY = {"sky": _sky, "trees": _leaves}


def _lit(tones: Tones, light: Light, hardness: float, name: str) -> Tones:
    """Light a material: the lit tones take the light's colour, the shaded ones what is around."""
    key, ambient = light.key, light.ambient
    if name in _LIVING:
        key, ambient = light.skin_key, light.skin_ambient
    softness = 0.5 - 0.6 * hardness
    towards = tones.base if softness > 0 else tones.deep
    shade = _times(mix(tones.shade, towards, abs(softness)), ambient)
    deep = _times(tones.deep, ambient)
    gleam, bright, base, line = (
        _times(tone, key) for tone in (tones.gleam, tones.light, tones.base, tones.line)
    )
    return Tones(gleam, bright, base, shade, deep, line)


_LIVING = {"skin", "blush", "lips", "mouth", "eye", "eye_white"}


def _times(colour: RGB, factors: Factors) -> RGB:
    return (
        min(round(colour[0] * factors[0]), 255),
        min(round(colour[1] * factors[1]), 255),
        min(round(colour[2] * factors[2]), 255),
    )
