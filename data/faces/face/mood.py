"""What an expression does to lids, irises, brows and mouth, so that they belong together."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from data.faces.description import FaceDescription


@dataclass(frozen=True)
class Mood:
    """Lids in half heights of an eye, brows in picture units."""

    mouth: str  # while closed
    open_mouth: str  # from `opens` of `mouth_open` on
    opens: float = 0.5
    brow_lift: float = 0.0
    brow_slant: float = 0.0  # inner ends down, added to what `brow_tilt` does
    upper: float = 1.0  # how far the upper lids are open
    lower: float = 0.0  # how far the lower lids are raised
    slant: float = 0.0  # of the upper lids: inner halves lowered; outer halves if negative
    iris: float = 1.0  # size


MOODS = {
    "neutral": Mood("line", "parted", opens=0.75),
    "smile": Mood("smile", "laugh", brow_lift=0.004, lower=0.10),
    "grin": Mood("grin", "beam", brow_lift=0.006, upper=0.96, lower=0.24),
    "sad": Mood("frown", "quiver", 0.6, 0.004, -0.012, upper=0.86, lower=0.06, slant=-0.16),
    "angry": Mood("tense", "shout", 0.45, -0.024, 0.012, upper=0.94, lower=0.10, slant=0.30),
    "surprised": Mood("gasp", "gasp", brow_lift=0.024, upper=1.06, lower=-0.04, iris=0.80),
    "closed_eyes": Mood("smile", "laugh", brow_lift=0.004),
    "wink": Mood("smile", "laugh", brow_lift=0.004, lower=0.14),
}


def mouth_of(face: FaceDescription) -> str:
    """Name the shape of the mouth."""
    mood = MOODS[face.expression]
    if face.expression == "closed_eyes" and not is_happy(face):
        return "parted" if face.mouth_open >= mood.opens else "line"
    return mood.open_mouth if face.mouth_open >= mood.opens else mood.mouth


def is_shut(face: FaceDescription, side: int) -> bool:
    """Say whether the eye on one side of the picture (-1 or 1) is closed."""
    winks = face.expression == "wink" and side == (1 if face.hair_seed % 2 else -1)
    return winks or face.expression == "closed_eyes"


def is_happy(face: FaceDescription) -> bool:
    """Say whether closed lids bend upwards, as in laughter, rather than rest."""
    return face.expression == "wink" or face.brow_tilt >= 0


def is_grown_man(face: FaceDescription) -> bool:
    """Say whether the features are a man's; a boy's are a child's."""
    return face.gender == "man" and face.age != "child"


def random_side(face: FaceDescription, stream: int) -> int:
    """Choose a side of the face, -1 or 1, for something that has only one."""
    return Random(face.hair_seed + stream).choice((-1, 1))
