"""Named colours of hair and eyes in OKLCh, and the ranges from which `describe` draws."""

from __future__ import annotations

from dataclasses import dataclass


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
HAIR = {
    "black": Pigment(0.11, 285, 0.018, 0.25, 0.34, 60),
    "brown": Pigment(0.17, 52, 0.070, 0.36, 0.60, 14),
    "blond": Pigment(0.13, 86, 0.110, 0.76, 0.88, 8),
    "ginger": Pigment(0.07, 50, 0.145, 0.56, 0.72, 8),
    "silver": Pigment(0.08, 270, 0.014, 0.70, 0.90, 60),
    "grey": Pigment(0.04, 270, 0.016, 0.40, 0.70, 60),
    "red": Pigment(0.07, 24, 0.170, 0.38, 0.64, 8),
    "pink": Pigment(0.08, 358, 0.125, 0.58, 0.84, 12),
    "purple": Pigment(0.08, 302, 0.135, 0.36, 0.82, 14),
    "blue": Pigment(0.09, 256, 0.130, 0.36, 0.82, 14),
    "teal": Pigment(0.06, 198, 0.100, 0.38, 0.84, 14),
    "green": Pigment(0.06, 148, 0.120, 0.38, 0.82, 16),
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
