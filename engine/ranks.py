"""The processes of one training: which of them this is, and what they do together.

`torchrun` starts them and starts them anew after a failure; a script started by hand is alone.
"""

import contextlib
import logging
import os
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

_log = logging.getLogger(__name__)
JOINING = timedelta(minutes=10)  # that one process waits for the others to come
PATIENCE = timedelta(hours=1)  # and to take a step
ATTEMPT = "TORCHELASTIC_RESTART_COUNT"


class RankError(RuntimeError):
    """Processes that cannot work together, or no longer do."""

    def __init__(self, message: str, code: str = "E-CONFIG-RANKS") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Ranks:
    """One of `size` processes that take every step together. Alone, all of this costs nothing.

    Raises:
        RankError: E-TRAIN-LOST, from all methods that wait for the others, when one has ended.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes files."""
        return self.rank == 0

    def sum_(self, tensor: Tensor) -> Tensor:
        """Replace `tensor`, which all have in one shape, by its sum over the processes."""
        if self.size > 1:
            self._together(dist.all_reduce, tensor)
        return tensor

    def largest(self, value: int) -> int:
        """Return the largest of the processes' values."""
        if self.size == 1:
            return value
        found = torch.tensor(value)
        self._together(dist.all_reduce, found, dist.ReduceOp.MAX)
        return int(found)

    def of_first(self, value: Any) -> Any:
        """Return the first process's value, plain data; the others' is ignored."""
        box = [value]
        if self.size > 1:
            self._together(dist.broadcast_object_list, box, 0)
        return box[0]

    def once(self, action: Callable[[], Any]) -> Any:
        """Let the first process act, and return what it found, plain data."""
        return self.of_first(action() if self.is_first else None)

    def all(self, value: Any) -> list[Any]:
        """Return every process's value, plain data, in the order of their ranks."""
        if self.size == 1:
            return [value]
        found = [None] * self.size
        self._together(dist.all_gather_object, found, value)
        return found

    def _together(self, collective: Callable[..., Any], *args: Any) -> None:
        try:
            collective(*args)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            reason = re.sub(r"^\[.*?\] |\. .*", "", str(error).splitlines()[0])  # gloo adds advice
            message = f"rank {self.rank}: another process is gone ({reason}). Read what it said."
            raise RankError(message, "E-TRAIN-LOST") from error


ALONE = Ranks()


@contextlib.contextmanager
def joined(
    device: str = "cpu", timeout: timedelta = JOINING, patience: timedelta = PATIENCE
) -> Iterator[Ranks]:
    """Join the processes that torchrun started with this one, for the length of the block.

    Args:
        device: 'cpu' or 'cuda', where the tensors are that are summed.
        timeout: how long one waits for the others to come.
        patience: how long one waits for the others at every later meeting.

    Raises:
        RankError: the others cannot be reached.
    """
    if "RANK" not in os.environ:
        yield ALONE
        return
    ranks = Ranks(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
    if os.environ.get("OMP_NUM_THREADS") == "1":  # torchrun's doing: it does not know the cores
        cores = len(os.sched_getaffinity(0)) // int(os.environ.get("LOCAL_WORLD_SIZE", ranks.size))
        torch.set_num_threads(max(cores, 1))
    if device == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
    backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
    try:
        store = _meeting_point(ranks, timeout)
        dist.init_process_group(
            backend, store=store, rank=ranks.rank, world_size=ranks.size, timeout=patience
        )
    except (RuntimeError, ValueError, socket.gaierror) as error:
        what = f"rank {ranks.rank}: cannot join the other processes ({error})"
        hint = "On one machine, start with torchrun --standalone; else see docs/cluster.md."
        raise RankError(f"{what}. {hint}") from error
    try:
        # nodes count attempts each for itself; whoever asks later gets the one answer
        os.environ[ATTEMPT] = str(ranks.largest(int(os.environ.get(ATTEMPT, "0"))))
        yield ranks
    finally:
        dist.destroy_process_group()


def _meeting_point(ranks: Ranks, timeout: timedelta) -> dist.Store:
    """Return the store through which the processes find each other.

    torchrun keeps one store over its restarts. In it lie the addresses of processes that are dead,
    to which the new ones would connect (pytorch issue 135712), hence a name of its own for every
    attempt. Nodes count attempts each for itself: several of them need a store per attempt.
    """
    is_kept = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    if is_kept and int(os.environ.get("GROUP_WORLD_SIZE", 1)) > 1 and ranks.is_first:
        _log.warning(
            "a restart on several nodes may fail: set TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 "
            "where torchrun is started (docs/cluster.md)"
        )
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    socket.getaddrinfo(host, port)  # the store tries an unknown name for minutes, deaf to signals
    is_server = ranks.is_first and not is_kept
    store = dist.TCPStore(host, port, ranks.size, is_server, timeout)
    attempt = os.environ.get(ATTEMPT, "0") if is_kept else "only"
    return dist.PrefixStore(f"attempt {attempt}", store)
