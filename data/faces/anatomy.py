"""Where the parts of a head lie before it is turned, in picture units, by age, gender and build."""

from __future__ import annotations

from dataclasses import dataclass

from data.faces.description import FaceDescription
from data.faces.pose import Dome


@dataclass(frozen=True)
class Anatomy:
    """Sizes and places on an upright head that looks straight ahead; x = 0 is its middle."""

    crown_y: float  # top of the hair
    hair_half: float  # half the width of the hair above the ears
    cheek_half: float  # half the width of the face at the cheekbones
    jaw_half: float  # half its width at the corners of the jaw
    chin_half: float  # half the width of the tip of the chin
    chin_y: float
    ear_y: float
    eye_x: float  # distance of an eye's middle from the middle of the face
    eye_y: float
    eye_half_width: float
    eye_half_height: float
    brow_y: float
    nose_y: float
    mouth_y: float
    neck_half: float
    shoulder_half: float
    shoulder_y: float  # where the shoulders meet the neck

    @property
    def face_dome(self) -> Dome:
        """The front of the face, on which its features lie."""
        return Dome(self.cheek_half * 1.02, 0.42, 0.52, 0.20)

    @property
    def hair_dome(self) -> Dome:
        """The hair around the skull, which stands out further than the face."""
        return Dome(self.hair_half * 1.01, 0.46, 0.50, 0.25)


# chin_y, cheek, jaw, eye_y, eye width, eye height, mouth_y, neck, shoulders
_AGES = {
    "child": (0.832, 0.274, 0.184, 0.606, 0.090, 0.094, 0.764, 0.064, 0.36),
    "teen": (0.845, 0.268, 0.176, 0.592, 0.0855, 0.0855, 0.770, 0.076, 0.42),
    "adult": (0.860, 0.260, 0.176, 0.580, 0.080, 0.074, 0.778, 0.080, 0.44),
    "elder": (0.858, 0.266, 0.192, 0.580, 0.076, 0.064, 0.780, 0.080, 0.43),
}


def anatomy(face: FaceDescription) -> Anatomy:
    """Give the places of all parts of a described head."""
    chin_y, cheek, jaw, eye_y, wide, tall, mouth_y, neck, shoulders = _AGES[face.age]
    is_man = face.gender == "man" and face.age != "child"
    cheek += 0.010 * face.head_width - (0.004 if is_man else 0.0)
    return Anatomy(
        crown_y=0.088,
        hair_half=cheek + 0.074 + 0.018 * face.hair_volume,
        cheek_half=cheek,
        jaw_half=jaw + 0.014 * face.jaw_width + (0.014 if is_man else 0.0),
        chin_half=0.060 - 0.028 * face.chin_point + (0.012 if is_man else 0.0),
        chin_y=chin_y + (0.015 if is_man else 0.0),
        ear_y=eye_y + 0.024,
        eye_x=0.138 * (0.4 + 0.6 * cheek / 0.268) + 0.0045 * face.eye_spacing,
        eye_y=eye_y,
        eye_half_width=wide * (1 + 0.045 * face.eye_size) * (0.96 if is_man else 1.0),
        eye_half_height=tall * (1 + 0.07 * face.eye_size) * (0.80 if is_man else 1.0),
        brow_y=eye_y - 1.05 * tall - 0.045 + (0.024 if is_man else 0.0),
        nose_y=eye_y + 0.118 + (0.006 if is_man else 0.0),
        mouth_y=mouth_y + (0.008 if is_man else 0.0),
        neck_half=neck + (0.026 if is_man else 0.0),
        shoulder_half=shoulders + (0.05 if is_man else 0.0),
        shoulder_y=0.925 if face.age == "child" else 0.915,
    )
