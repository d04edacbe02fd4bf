"""Work done ahead by other processes: the order, how far ahead, and who ends whom."""

import itertools
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from data.processes import computed

ROOT = Path(__file__).parents[2]


def where(task):
    return task, os.getpid()


def reciprocal(task):
    return 1 / task


@pytest.mark.parametrize("workers", [0, 2])
def test_results_come_in_order(workers):
    with closing(computed(where, range(20), workers)) as results:
        found = list(results)
    assert [task for task, _ in found] == list(range(20))
    processes = {process for _, process in found}
    assert (processes == {os.getpid()}) == (workers == 0) and len(processes) <= max(workers, 1)


@pytest.mark.parametrize(("workers", "most"), [(0, 3), (2, 3 + 2 * 2)])
def test_tasks_may_be_endless(workers, most):
    tasks = itertools.count()
    with closing(computed(where, tasks, workers)) as results:
        assert [next(results)[0] for _ in range(3)] == [0, 1, 2]
    assert next(tasks) <= most, "more was asked for than is soon needed"


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_is_the_callers(workers):
    with closing(computed(reciprocal, [1, 0], workers)) as results:
        assert next(results) == 1
        with pytest.raises(ZeroDivisionError):
            next(results)


PARENT = """
from data.processes import computed
from tests.data.test_processes import where
import itertools
if __name__ == "__main__":
    for _, process in computed(where, itertools.count(), 1):
        print(process, flush=True)
"""


def test_processes_end_with_a_parent_that_is_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, text=True, env=environment
    ) as parent:
        worker = int(parent.stdout.readline())
        os.kill(parent.pid, signal.SIGKILL)
        parent.stdout.read()  # the pipe ends when the last that holds it does: the worker
    deadline = time.monotonic() + 10
    while Path(f"/proc/{worker}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{worker}").exists()
