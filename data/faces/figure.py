"""One face about to be drawn: its description, its measures, its colours, its layers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

from data.faces.anatomy import Anatomy, anatomy
from data.faces.canvas import Canvas
from data.faces.description import FaceDescription
from data.faces.paint import Paint
from data.faces.pose import Pose, flat


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
        return self._poses[layer]

    @cached_property
    def _poses(self) -> dict[str, Pose]:
        face = self.face
        glass_dome = replace(self.body.face_dome, depth=0.19, rim=0.035)
        layers = {  # what each follows of the turn and of the tilt, and its relief
            "back": (1.0, 0.8, flat(-0.10)),
            "body": (0.35, 0.3, flat(-0.03)),
            "neck": (0.6, 0.5, flat(-0.03)),
            "ears": (1.0, 1.0, flat(-0.02)),
            "face": (1.0, 1.0, self.body.face_dome),
            "glasses": (1.0, 1.0, glass_dome),
            "hair": (1.0, 1.0, self.body.hair_dome),
        }
        place = face.scale, face.offset_x, face.offset_y
        return {
            name: Pose(face.turn * turn, face.tilt * tilt, *place, dome)
            for name, (turn, tilt, dome) in layers.items()
        }

    @contextmanager
    def on(self, canvas: Canvas, layer: str) -> Iterator[None]:
        """Draw on a layer within the block."""
        before, canvas.pose = canvas.pose, self.pose(layer)
        yield
        canvas.pose = before
