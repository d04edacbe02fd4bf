"""What shows of the clothes below the chin."""

from __future__ import annotations

from data.faces.canvas import Canvas
from data.faces.figure import Figure
from data.faces.wear import fantasy, school, street
from data.faces.wear.cloth import Points, piece
from data.faces.wear.torso import collar

# Right halves of what stands behind the neck, in units of `collar`, and their materials.
_LOW: Points = [(0.5, -0.66), (1.10, -0.64), (1.30, -0.2), (1.2, 0.3)]
_BAND: Points = [(0.5, -0.40), (1.06, -0.46), (1.18, -0.24), (1.1, 0.2)]
_BEHIND: dict[str, tuple[Points, str]] = {
    "sailor": (_LOW, "cloth"),
    "blazer": (_LOW, "white"),
    "shirt": (_LOW, "cloth"),
    "hoodie": ([(0.6, -0.96), (1.3, -0.92), (1.9, -0.6), (2.4, 0.1), (1.4, 0.5)], "cloth"),
    "jacket": ([(0.6, -0.84), (1.12, -0.88), (1.5, -0.5), (1.4, 0.3)], "cloth"),
    "sweater": (_BAND, "cloth"),
    "t_shirt": (_BAND, "second"),
    "kimono": ([(0.6, -0.70), (1.2, -0.70), (1.5, -0.4), (1.4, 0.3)], "second"),
    "armour": ([(0.6, -0.56), (1.16, -0.58), (1.3, -0.2), (1.2, 0.3)], "metal"),
    "cloak": ([(0.6, -0.90), (1.4, -1.05), (2.2, -1.2), (2.4, 0.0), (1.4, 0.5)], "second"),
}
_DRAW = {
    "sailor": school.draw_sailor,
    "blazer": school.draw_blazer,
    "shirt": school.draw_shirt,
    "hoodie": street.draw_hoodie,
    "sweater": street.draw_sweater,
    "jacket": street.draw_jacket,
    "t_shirt": street.draw_t_shirt,
    "dress": fantasy.draw_dress,
    "kimono": fantasy.draw_kimono,
    "armour": fantasy.draw_armour,
    "cloak": fantasy.draw_cloak,
}


def draw_clothes_behind(canvas: Canvas, figure: Figure) -> None:
    """Draw what stands behind the neck: hoods and the backs of collars."""
    if figure.face.outfit in _BEHIND:
        half, material = _BEHIND[figure.face.outfit]
        tones = getattr(figure.paint, material)
        piece(canvas, collar(figure).whole(half), tones, tones.deep)


def draw_clothes(canvas: Canvas, figure: Figure) -> None:
    """Draw shoulders and collar."""
    _DRAW[figure.face.outfit](canvas, figure)
