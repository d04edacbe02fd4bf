"""Drawn anime faces: `describe(seed, index)` says what, `draw(description, size)` draws it."""

from data.faces.describe import describe
from data.faces.description import FaceDescription
from data.faces.draw import MEDIA, draw

__all__ = ["MEDIA", "FaceDescription", "describe", "draw"]
