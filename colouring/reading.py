"""What the user's picture is taken for: its kind, and where told to, its tones and its pose."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from colouring.models import Models
from colouring.options import Options
from inversion.inputs import AS, Canvas, Input, as_toned
from inversion.pose import Guess, Pose, PoseSearch, upright
from inversion.tone_search import ToneSearch


@dataclass(frozen=True)
class Reading:
    """The input as it will be solved for."""

    given: Input
    canvas: Canvas
    look: Tensor  # [1, 1, s, s], what the encoder sees: the face upright
    transform: Tensor | None = None  # [1, 3, 3], how the face lies; None: upright
    notes: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)  # what was estimated


def read_input(options: Options, y: Tensor, models: Models) -> Reading:
    """Take a picture `[1, C, h, w]` for what the options say.

    Raises:
        MeasurementError: it cannot be that.
    """
    R = models.G.config.img_resolution
    canvas, y = Canvas(R, models.config.finished_side(R), models.config), y.to(models.device)
    facts: dict[str, Any] = {}
    if options.input == "auto":
        given, notes, facts["tones"] = _toned(options, y, models, canvas)
    else:
        given, notes = AS[options.input](y, options.size, canvas)
    if options.pose == "none":
        return Reading(given, canvas, given.look, None, notes, facts)
    parts = (models.G, models.prior, given, models.start(given.look), models.config, options.seed)
    pose = PoseSearch(*parts, guess=_guess(models)).pose()
    transform = pose.transform().to(models.device)
    look = upright(given.look, given.look.new_tensor([[pose.degrees, pose.right, pose.down]]))
    facts["pose"] = {k: round(v, 4) for k, v in vars(pose).items()}
    return Reading(given, canvas, look, transform, [*notes, _said(pose)], facts)


def _toned(
    options: Options, y: Tensor, models: Models, canvas: Canvas
) -> tuple[Input, list[str], dict[str, float]]:
    given, _ = AS["grey"](y, options.size, canvas)
    parts = (models.G, models.prior, given, models.start(given.look), models.config, options.seed)
    tones = ToneSearch(*parts, guess=_guess(models)).tones()
    given, notes = as_toned(y, options.size, canvas, tones)
    return given, notes, {k: round(v, 4) for k, v in vars(tones).items()}


def _guess(models: Models) -> Guess | None:
    return None if models.encoder is None else models.encoder.mean


def _said(pose: Pose) -> str:
    across = f"{abs(pose.right):.1%} to the {'right' if pose.right > 0 else 'left'}"
    along = f"{abs(pose.down):.1%} {'down' if pose.down > 0 else 'up'}"
    return f"the face was found turned by {pose.degrees:.1f} degrees, shifted {across}, {along}"
