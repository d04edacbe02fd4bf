"""Signals that ask a training to stop: heard at once, obeyed when a step is whole."""

import os
import signal
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

ASKED_BY = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)
ECHO = 1.0  # seconds within which a launcher may pass on what its processes also got themselves


class TrainingStopped(RuntimeError):
    """A training was stopped on request and can be resumed."""

    code = "E-TRAIN-STOPPED"


class StopRequest:
    """Turns SIGTERM, Ctrl-C, SIGUSR1 and SIGHUP into `requested` for the length of a block.

    The training asks after each step, saves, and raises `stopped_by`. A second Ctrl-C acts at
    once, as KeyboardInterrupt; so does SIGTERM after Ctrl-C, which is how torchrun passes that on.
    A signal that was ignored stays so (nohup), and forked processes keep none of this. Outside
    the main thread, where Python delivers no signals, it does nothing.

    Attributes:
        requested: the first signal that came, None so far.
    """

    def __init__(self) -> None:
        self.requested: signal.Signals | None = None
        self.pid = os.getpid()
        self.heard_at = 0.0
        self.previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            for number in ASKED_BY:
                if signal.getsignal(number) != signal.SIG_IGN:
                    self.previous[number] = signal.signal(number, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler)

    def _hear(self, number: int, _: FrameType | None) -> None:
        heard = signal.Signals(number)
        if os.getpid() != self.pid:
            signal.signal(heard, signal.SIG_DFL)
            signal.raise_signal(heard)
        elif self.requested is None:
            self.requested, self.heard_at = heard, time.monotonic()
        elif self._is_impatient(heard):
            raise KeyboardInterrupt

    def _is_impatient(self, heard: signal.Signals) -> bool:
        if heard == signal.SIGTERM:
            return self.requested == signal.SIGINT
        is_echo = heard == self.requested and time.monotonic() - self.heard_at < ECHO
        return heard == signal.SIGINT and not (is_echo and "TORCHELASTIC_RUN_ID" in os.environ)


def stopped_by(number: int, run: Path, step: int) -> BaseException:
    """Return what ends a run that a signal has asked to stop, its state saved at `step`."""
    if number == signal.SIGINT:
        return KeyboardInterrupt()
    name = signal.Signals(number).name
    return TrainingStopped(
        f"{run}: stopped on request ({name}) at step {step}. Go on with --resume {run}"
    )
