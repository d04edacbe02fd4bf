"""One face about to be drawn: its description, its measures, its colours, its layers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from data.faces.anatomy import Anatomy, anatomy
from data.faces.canvas import Canvas
from data.faces.description import FaceDescription
from data.faces.paint import Paint
from data.faces.pose import Dome, Pose, flat


@dataclass(frozen=True)
class Figure:
    """What every part of the drawing needs."""

    face: FaceDescription
    body: Anatomy
    paint: Paint

    @classmethod
    def of(cls, face: FaceDescription, paint: Paint) -> Figure:
        return cls(face, anatomy(face), paint)

    def pose(self, layer: str) -> Pose:
        """Say how a layer is seen: from far to near back, neck, body, ears, face, glasses, hair."""
        face = self.face
        follows, dome = self._layer(layer)
        turn = {"body": 0.35, "neck": 0.6}.get(layer, 1.0)
        return Pose(
            face.turn * turn, face.tilt * follows, face.scale, face.offset_x, face.offset_y, dome
        )

    def _layer(self, name: str) -> tuple[float, Dome]:
        """Give how far a layer follows the tilt of the head, and its relief."""
        domes: dict[str, tuple[float, Dome]] = {
            "back": (0.8, flat(-0.10)),
            "body": (0.3, flat(-0.03)),
            "neck": (0.5, flat(-0.03)),
            "ears": (1.0, flat(-0.02)),
            "face": (1.0, self.body.face_dome),
            "glasses": (1.0, replace(self.body.face_dome, depth=0.19, rim=0.035)),
            "hair": (1.0, self.body.hair_dome),
        }
        return domes[name]

    @contextmanager
    def on(self, canvas: Canvas, layer: str) -> Iterator[None]:
        """Draw on a layer within the block."""
        before, canvas.pose = canvas.pose, self.pose(layer)
        yield
        canvas.pose = before
