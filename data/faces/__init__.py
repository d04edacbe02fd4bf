"""Drawn anime faces: `describe(seed, index)` says what, `draw(description, size)` draws it."""

from data.faces.describe import FaceDescription, describe
from data.faces.draw import draw

__all__ = ["FaceDescription", "describe", "draw"]
