"""What can be said of a drawn face: the fields of a description and the names they may hold.

Each table gives how often a name is drawn, relative to the others, where nothing else decides
(`describe` lets gender, age and hair change these shares).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

GENDERS = {"woman": 0.62, "man": 0.38}
AGES = {"child": 0.14, "teen": 0.46, "adult": 0.32, "elder": 0.08}
HAIR_STYLES = {
    "long": 0.14,
    "hime": 0.06,
    "wavy": 0.10,
    "bob": 0.13,
    "short": 0.13,
    "spiky": 0.08,
    "messy": 0.09,
    "twin_tails": 0.07,
    "side_tail": 0.05,
    "ponytail": 0.08,
    "braid": 0.04,
    "buns": 0.03,
}
FRINGES = {
    "blunt": 0.16,
    "layered": 0.24,
    "swept": 0.20,
    "parted": 0.13,
    "crossed": 0.17,
    "back": 0.10,
}
SIDE_LOCKS = {"none": 0.24, "short": 0.30, "cheek": 0.26, "long": 0.20}
EYE_SHAPES = {"round": 0.34, "almond": 0.28, "droopy": 0.18, "sharp": 0.20}
EXPRESSIONS = {
    "neutral": 0.22,
    "smile": 0.25,
    "grin": 0.13,
    "sad": 0.09,
    "angry": 0.09,
    "surprised": 0.09,
    "closed_eyes": 0.07,
    "wink": 0.06,
}
MARKS = {"none": 0.82, "freckles": 0.07, "mole": 0.07, "scar": 0.02, "plaster": 0.02}
GLASSES = {"none": 0.86, "round": 0.05, "square": 0.05, "half_rim": 0.04}
OUTFITS = {
    "sailor": 0.13,
    "blazer": 0.13,
    "shirt": 0.10,
    "hoodie": 0.12,
    "sweater": 0.10,
    "jacket": 0.09,
    "t_shirt": 0.08,
    "dress": 0.07,
    "kimono": 0.06,
    "armour": 0.05,
    "cloak": 0.07,
}
HEADWEAR = {
    "none": 0.70,
    "headband": 0.05,
    "cat_ears": 0.05,
    "rabbit_ears": 0.02,
    "horns": 0.02,
    "headphones": 0.04,
    "beret": 0.03,
    "cap": 0.04,
    "straw_hat": 0.03,
    "witch_hat": 0.02,
}
ORNAMENTS = {"none": 0.68, "hairpin": 0.12, "ribbon": 0.12, "flower": 0.08}
BACKGROUNDS = {
    "flat": 0.16,
    "gradient": 0.24,
    "halo": 0.10,
    "bokeh": 0.14,
    "sky": 0.12,
    "room": 0.12,
    "trees": 0.12,
}
LIGHTS = {"day": 0.52, "warm": 0.16, "sunset": 0.10, "cool": 0.12, "night": 0.06, "neon": 0.04}


@dataclass(frozen=True)
class FaceDescription:
    """Everything `draw` needs. Unless said otherwise numbers are shares in [0, 1]."""

    gender: str
    age: str
    head_width: float  # [-1, 1]: narrow to wide
    jaw_width: float  # [-1, 1]
    chin_point: float  # round to pointed
    skin_tone: float  # pale to dark
    skin_warmth: float  # [-1, 1]
    mark: str  # on the skin
    hair_style: str
    fringe: str
    side_locks: str
    hair_volume: float  # [-1, 1]
    hair_colour: str
    hair_lightness: float  # OKLCh lightness
    hair_hue_shift: float  # degrees
    hair_tips: float  # how far the tips fade into another hue; mostly 0
    hair_shine: float
    hair_part: float  # [-1, 1]: where the hair parts, left to right
    hair_ahoge: bool  # one lock standing up
    hair_seed: int
    eye_shape: str
    eye_size: float  # [-1, 1]
    eye_spacing: float  # [-1, 1]
    eye_colour: str
    eye_lightness: float  # OKLCh lightness
    eye_hue_shift: float  # degrees
    gaze: float  # [-1, 1]: to the left or right
    brow_tilt: float  # [-1, 1]: worried to stern
    brow_weight: float
    expression: str
    mouth_open: float  # closed to wide open, for the expressions that allow it
    blush: float
    outfit: str
    outfit_hue: float  # degrees
    outfit_chroma: float  # OKLCh chroma
    outfit_lightness: float  # OKLCh lightness
    second_hue: float  # degrees: lapels, linings, what is worn below
    second_chroma: float  # OKLCh chroma
    second_lightness: float  # OKLCh lightness
    accent_hue: float  # degrees: scarf, tie, ribbon, hairpin
    accent_lightness: float  # OKLCh lightness
    headwear: str
    ornament: str
    earrings: bool
    glasses: str
    background: str
    background_hue: float  # degrees
    background_lightness: float  # OKLCh lightness
    background_chroma: float  # OKLCh chroma
    background_seed: int
    light: str
    light_side: int  # -1: from the left, +1: from the right
    light_hardness: float  # soft to hard
    line_weight: float  # fine to bold
    turn: float  # degrees, [-20, 20]: head to the left or right
    tilt: float  # degrees
    scale: float  # about 1
    offset_x: float  # picture widths
    offset_y: float  # picture heights

    def as_dict(self) -> dict[str, str | int | float | bool]:
        """Give the fields as plain values for JSON."""
        return asdict(self)
