"""Drawn anime faces: `describe(seed, index)` says what, `draw(description, size)` draws it."""

from data.faces.describe import describe
from data.faces.description import FaceDescription
from data.faces.draw import draw

__all__ = ["FaceDescription", "describe", "draw"]
