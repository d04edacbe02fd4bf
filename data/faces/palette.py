"""Named colours of hair and eyes in OKLCh, and the ranges from which `describe` draws."""

from __future__ import annotations

from dataclasses import dataclass

from data.faces.colour import RGB


@dataclass(frozen=True)
class Pigment:
    """One named colour."""

    weight: float  # how often it is drawn, relative to the others
    hue: float  # degrees
    chroma: float
    darkest: float  # range of lightness
    lightest: float
    hue_spread: float  # degrees either way


# The anime hues share one wide range of lightness, so that a grey value does not tell the hue.
# A third is neutral, a third natural, a third neither.
HAIR = {
    "black": Pigment(0.170, 285, 0.018, 0.25, 0.36, 60),
    "grey": Pigment(0.045, 270, 0.016, 0.40, 0.70, 60),
    "silver": Pigment(0.070, 270, 0.014, 0.66, 0.88, 60),
    "white": Pigment(0.035, 250, 0.006, 0.90, 0.96, 60),
    "brown": Pigment(0.170, 52, 0.070, 0.34, 0.64, 14),
    "blond": Pigment(0.105, 86, 0.105, 0.68, 0.89, 9),
    "ginger": Pigment(0.060, 50, 0.140, 0.52, 0.74, 8),
    "red": Pigment(0.055, 24, 0.165, 0.36, 0.66, 8),
    "pink": Pigment(0.065, 358, 0.120, 0.52, 0.88, 12),
    "purple": Pigment(0.055, 302, 0.130, 0.36, 0.87, 14),
    "blue": Pigment(0.075, 256, 0.125, 0.36, 0.87, 14),
    "teal": Pigment(0.040, 198, 0.095, 0.38, 0.88, 14),
    "green": Pigment(0.040, 148, 0.115, 0.38, 0.87, 16),
}

EYES = {
    "brown": Pigment(0.18, 52, 0.090, 0.42, 0.58, 8),
    "amber": Pigment(0.10, 78, 0.150, 0.60, 0.74, 8),
    "green": Pigment(0.13, 148, 0.150, 0.50, 0.70, 12),
    "teal": Pigment(0.09, 195, 0.110, 0.50, 0.70, 12),
    "blue": Pigment(0.18, 250, 0.150, 0.46, 0.68, 14),
    "purple": Pigment(0.11, 302, 0.160, 0.46, 0.66, 12),
    "pink": Pigment(0.07, 355, 0.160, 0.52, 0.68, 10),
    "red": Pigment(0.10, 24, 0.190, 0.44, 0.60, 6),
    "grey": Pigment(0.04, 260, 0.020, 0.48, 0.66, 40),
}

# Skin between pale and dark: (share of faces, tone from, tone to).
SKIN_GROUPS = ((0.66, 0.0, 0.34), (0.20, 0.34, 0.62), (0.14, 0.62, 1.0))


Factors = tuple[float, float, float]  # of red, green and blue


@dataclass(frozen=True)
class Light:
    """What a light does to colours."""

    key: Factors  # where it falls
    ambient: Factors  # in the shade
    skin_key: Factors  # the same for skin and eyes, which stay alive
    skin_ambient: Factors
    scene: tuple[RGB, RGB, RGB]  # the background where it is brightest, near and far
    share: float  # of the scene in the background's own colours
    rim: RGB | None = None  # along the lit side of the figure


_ALL = (1.0, 1.0, 1.0)
_WHITE = (255, 255, 255)
LIGHTS = {
    "day": Light(_ALL, _ALL, _ALL, _ALL, (_WHITE, _WHITE, _WHITE), 0.0),
    "warm": Light(
        (1.02, 0.985, 0.92), (1.0, 0.94, 0.93), (1.01, 0.99, 0.955), (1.0, 0.97, 0.96),
        ((255, 244, 214), (250, 226, 190), (226, 184, 158)), 0.30,
    ),
    "sunset": Light(
        (1.04, 0.91, 0.80), (0.88, 0.74, 0.90), (1.02, 0.95, 0.88), (0.95, 0.85, 0.95),
        ((255, 222, 150), (250, 160, 112), (140, 96, 150)), 0.60, (255, 226, 170),
    ),
    "cool": Light(
        (0.96, 0.98, 1.04), (0.87, 0.93, 1.05), (0.985, 0.99, 1.02), (0.94, 0.96, 1.03),
        ((240, 248, 255), (206, 222, 244), (160, 182, 220)), 0.30,
    ),
    "night": Light(
        (0.78, 0.79, 0.96), (0.58, 0.62, 0.92), (0.93, 0.895, 0.945), (0.76, 0.72, 0.93),
        ((150, 172, 226), (62, 78, 142), (26, 34, 82)), 0.65, (198, 218, 255),
    ),
    "neon": Light(
        (0.97, 0.82, 1.00), (0.70, 0.70, 1.06), (0.99, 0.90, 0.99), (0.86, 0.82, 1.03),
        ((255, 120, 208), (104, 54, 150), (30, 36, 96)), 0.60, (255, 140, 220),
    ),
}  # fmt: skip
