"""Processes that draw or pack pictures, and how they meet a Ctrl-C."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


def computed(
    function: Callable[[Task], Result], tasks: Iterable[Task], workers: int
) -> Generator[Result]:
    """Yield `function(task)` of each task in order, computed ahead by `workers` processes.

    Tasks may be endless: each process has one or two in hand. With 0 workers the caller computes.
    Close the generator to end the processes; they end too when this one is killed.
    """
    if not workers:
        yield from map(function, tasks)
        return
    context = multiprocessing.get_context("spawn")  # fork is unsafe once a library runs threads
    pool = ProcessPoolExecutor(workers, context, initializer=_end_with_parent)
    ahead: deque[Future[Result]] = deque()
    tasks = iter(tasks)
    try:
        while True:
            for task in itertools.islice(tasks, 2 * workers - len(ahead)):
                with _interrupts_held():  # it may start a process
                    ahead.append(pool.submit(function, task))
            if not ahead:
                return
            yield ahead.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    threading.Thread(target=_wait_and_end, daemon=True).start()


def _wait_and_end() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Deliver Ctrl-C after the block; processes started in it never see one, the parent decides."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Ctrl-C never arrives here
        return
    caught: list[int] = []
    # The mask is for the new processes, which inherit it. It does not do for this one, since
    # the system may hand the signal to any other thread, such as those of a numerical library.
    handler = signal.signal(signal.SIGINT, lambda number, frame: caught.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, handler)
        if caught:
            signal.raise_signal(signal.SIGINT)
