"""The numbers of a training for TensorBoard, where it is installed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evaluation.curves import AXES, is_number

logger = logging.getLogger(__name__)


class Board:
    """Writes rows of numbers; a fault there ends the writing, not the training."""

    def __init__(self, events: Any) -> None:
        self._events = events  # a SummaryWriter, or None

    def write(self, row: Mapping[str, Any]) -> None:
        """Write the finite numbers of a row at its `step`."""
        for name, value in row.items():
            if name not in AXES and is_number(value):
                self._call("add_scalar", name, value, row["step"])
        self._call("flush")

    def _call(self, method: str, *args: Any) -> None:
        if self._events is None:
            return
        try:
            getattr(self._events, method)(*args)
        except Exception as exc:
            logger.info("nothing more is written for TensorBoard: %s", exc)
            self._events = None


def writer(run: Path, step: int = 0) -> Board:
    """Return what writes event files into a run folder, or does nothing without TensorBoard.

    Args:
        run: the folder.
        step: the last that counts of what an earlier part of the run has written there.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter

        return Board(SummaryWriter(str(run), purge_step=step + 1 if step else None))
    except ImportError:  # it is no requirement
        return Board(None)
    except Exception as exc:
        logger.info("nothing is written for TensorBoard: %s", exc)
        return Board(None)
