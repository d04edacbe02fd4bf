"""Try methods on faces whose truth is known; nothing is left out, and what fails counts as such."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from data.image_io import from_uint8, to_uint8
from evaluation.cases import Case
from evaluation.methods import Answer, Method
from evaluation.resources import resources
from evaluation.scores import Judges, Scores, score, summary

logger = logging.getLogger(__name__)


class AnswerError(ValueError):
    """What a method gives is no answer."""


@dataclass(frozen=True)
class Result:
    """What a method made of one face, and how good that is."""

    name: str  # of the face
    y: np.ndarray  # what was seen, [h, w, 1], 8 bits
    x: np.ndarray  # the truth, [P, P, 3], 8 bits
    pictures: np.ndarray  # [K, P, P, 3], 8 bits; of a failure, one of middle grey
    scores: Scores
    error: str = ""  # why it failed


def attempt(method: Method, case: Case, judges: Judges) -> Result:
    """Try a method on one face. Where it fails, a picture of middle grey is judged instead."""
    error, facts = "", {}
    with resources() as used:
        try:
            answer = method.solve(method.see(case.x, case.y))
            pictures, facts = _checked(answer, case.x), answer.facts
        except Exception as exc:  # whatever it is, the others are still to be tried
            error = f"{type(exc).__name__}: {exc}"
            logger.warning("%s failed on %s: %s", method.name, case.name, error)
            pictures = to_uint8(torch.zeros_like(case.x))
    scores = score(case.x, case.y, from_uint8(pictures), case.measure, judges)
    scores |= facts | used | {"failed": [float(bool(error))]}
    return Result(case.name, to_uint8(case.y)[0], to_uint8(case.x)[0], pictures, scores, error)


def _checked(answer: Answer, x: Tensor) -> np.ndarray:
    shape = tuple(answer.pictures.shape)
    if len(shape) != 4 or not shape[0] or shape[1:] != x.shape[1:]:
        raise AnswerError(f"its pictures are {shape}, not [K, {', '.join(map(str, x.shape[1:]))}]")
    if not answer.pictures.isfinite().all():
        raise AnswerError("its pictures are not finite")
    return to_uint8(answer.pictures)


def trial(
    method: Method,
    cases: Iterable[Case],
    judges: Judges,
    on_case: Callable[[], object] = lambda: None,
) -> Iterator[Result]:
    """Yield a method's results, one for each face."""
    for case in cases:
        yield attempt(method, case, judges)
        on_case()


def row_of(method: Method, results: list[Result]) -> dict[str, object]:
    """Return a method's row: its name, what it sees, and the columns over all faces."""
    num = max(len(result.scores["psnr"]) for result in results)
    facts = {"method": method.name, "sees": method.seen, **method.settings}
    columns = summary([result.scores for result in results])
    return {**facts, "faces": len(results), "candidates": num, **columns}
