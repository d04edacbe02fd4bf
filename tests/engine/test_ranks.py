"""What the processes of a training do together."""

import os
import re
import socket
import subprocess
import sys
from datetime import timedelta

import pytest
import torch
from ranks_case import TESTS, finish, free_port, start

from engine.ranks import ALONE, RankError, Ranks, joined

TOGETHER = """
import sys, torch
from datetime import timedelta
from engine.ranks import joined
with joined(timeout=timedelta(seconds=60)) as ranks:
    mine = torch.arange(3.0) * (ranks.rank + 1)
    assert ranks.sum_(mine) is mine
    found = [mine.tolist(), ranks.largest(5 - ranks.rank), ranks.of_first({"r": ranks.rank})]
    found.append(ranks.once(lambda: f"by {ranks.rank}"))
    print([*found, ranks.all(str(ranks.rank)), ranks.is_first])
"""


def test_alone_everything_is_ones_own(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    with joined() as ranks:
        assert ranks == ALONE == Ranks(0, 1)
    mine = torch.arange(3.0)
    assert ranks.sum_(mine) is mine and mine.tolist() == [0, 1, 2]
    assert (ranks.largest(7), ranks.of_first("a"), ranks.all(2)) == (7, "a", [2])
    assert ranks.once(lambda: 3) == 3
    assert ranks.is_first and not torch.distributed.is_initialized()


def test_three_processes_together():
    found = [eval(output) for output in finish(start(TOGETHER, 3))]
    shared = [[0.0, 6.0, 12.0], 5, {"r": 0}, "by 0", ["0", "1", "2"]]
    assert found == [[*shared, rank == 0] for rank in range(3)]


def be(monkeypatch, rank, size, port):
    """Let this process be one that torchrun started."""
    names = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    for name, value in zip(names, (rank, size, "127.0.0.1", port), strict=True):
        monkeypatch.setenv(name, str(value))


def test_nobody_there(monkeypatch):
    be(monkeypatch, 1, 2, free_port())
    with pytest.raises(RankError, match=r"rank 1: cannot join .*torchrun --standalone") as caught:
        with joined(timeout=timedelta(seconds=1)):
            pass
    assert caught.value.code == "E-CONFIG-RANKS"


def test_an_unknown_host():
    processes = start(TOGETHER, 2, MASTER_ADDR="nowhere.invalid")
    for rank, process in enumerate(processes):
        _, errors = process.communicate(timeout=30)
        assert f"RankError: rank {rank}: cannot join the other processes ([Errno -" in errors


def test_a_port_in_use(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as other:
        be(monkeypatch, 0, 2, other.getsockname()[1])
        with pytest.raises(RankError, match=r"address already in use\)\. On one"), joined():
            pass


def test_a_network_that_lets_nobody_through(monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("Gloo connectFullMesh failed")

    be(monkeypatch, 0, 1, free_port())
    monkeypatch.setattr(torch.distributed, "init_process_group", fail)
    with pytest.raises(RankError, match=r"rank 0: cannot join .*FullMesh"), joined():
        pass


@pytest.mark.slow
def test_nodes_agree_on_whether_this_is_a_restart():
    code = """
import os
from engine.ranks import joined
os.environ["TORCHELASTIC_RESTART_COUNT"] = os.environ["RANK"]
with joined():
    print(os.environ["TORCHELASTIC_RESTART_COUNT"])
"""
    assert finish(start(code, 2)) == ["1\n", "1\n"]


@pytest.mark.slow
def test_torchrun_restarts_and_its_store_remembers_the_dead(tmp_path):
    """Rank 1 dies once; both must find each other again, at the first restart."""
    script = tmp_path / "script.py"
    script.write_text(
        TOGETHER.replace(
            "    found =",
            "    import os\n"
            "    if ranks.rank == 1 and os.environ['TORCHELASTIC_RESTART_COUNT'] == '0':\n"
            "        os.kill(os.getpid(), 9)\n"
            "    ranks.largest(0)\n"
            "    found =",
        )
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", "--max-restarts", "1", script]
    env = {**os.environ, "PYTHONPATH": str(TESTS.parent)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2


def test_the_others_are_gone():
    code = TOGETHER.replace(
        "    mine =",
        "    if ranks.rank == 1: import os; os._exit(0)\n"
        "    from engine.ranks import RankError\n"
        "    try: ranks.sum_(torch.ones(9))\n"
        "    except RankError as error: print(error.code, error); sys.exit()\n"
        "    mine =",
    )
    [output, _] = finish(start(code, 2))
    pattern = (
        r"E-TRAIN-LOST rank 0: another process is gone \([\w :.\[\]]+\)\. Read what it said\.\n"
    )
    assert re.fullmatch(pattern, output), output
