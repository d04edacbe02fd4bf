"""Threads that nobody has to wait for."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
PATIENCE = 2.0  # seconds that closing waits for what is under way


class DaemonThreads:
    """Threads that run calls, the first submitted first, until closed or the interpreter exits.

    A call may hang for ever. Neither waits longer than `PATIENCE` for it, while the threads of
    `concurrent.futures` would keep the interpreter alive.
    """

    def __init__(self, num: int, name: str) -> None:
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._is_closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}-{k}", daemon=True) for k in range(num)
        ]
        for thread in self._threads:
            thread.start()
        # one that came back from native code after the interpreter's end would abort the process
        atexit.register(self.close)

    def submit(self, call: Callable[[], T]) -> Future[T]:
        """Run `call()` in a thread and return its result to come."""
        future: Future[T] = Future()
        self._calls.put((future, call))
        return future

    def _work(self) -> None:
        for future, call in iter(self._calls.get, None):
            if self._is_closed:
                return
            try:
                future.set_result(call())
            except BaseException as exc:
                future.set_exception(exc)

    def close(self) -> None:
        """End the threads once they have done what they are at; what waits is not done."""
        atexit.unregister(self.close)
        self._is_closed = True
        for _ in self._threads:
            self._calls.put(None)
        for thread in self._threads:
            thread.join(PATIENCE / len(self._threads))
