"""Damaged and hostile files of models, and how their refusal is checked."""

import errno
import os

import pytest

import runtime
from engine.states import StateError
from stylegan import load_generator
from stylegan.checkpoint import CheckpointError


def assert_refused(path, what, exit_code=65, load=load_generator):
    with pytest.raises((CheckpointError, StateError), match=what) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert runtime.exit_code(caught.value.code) == exit_code


def flip_bit(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << (place % 8)
    path.write_bytes(content)


class Bomb:
    """Unpickling it makes a file."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mknod, (os.fspath(self.marker),)


def write_half(path, *_):
    with open(path, "wb") as file:
        file.write(b"half a file")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def recorded_events(monkeypatch):
    """Record, in order, which files are synced to the disk and when one gets its name."""
    events, real_fsync = [], os.fsync

    def fsync(descriptor):
        events.append("sync " + os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))
        real_fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    for name in ("replace", "rename"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda a, b, real=real: (events.append("name"), real(a, b)))
    return events
