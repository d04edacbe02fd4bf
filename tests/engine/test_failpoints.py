"""Faults on demand: which are due, where, and what each does."""

import errno
import signal

import pytest
import torch
from fault_case import in_child, set_fault

from engine import failpoints
from engine.failpoints import hit, parse, spoil


def test_nothing_happens_unless_asked_for(monkeypatch):
    monkeypatch.delenv("FAULT", raising=False)
    failpoints.requested.cache_clear()
    assert failpoints.requested() is None and hit("step", 5) is None
    set_fault(monkeypatch, "step=nan")
    assert hit("save") is None and hit("step") == "nan"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a", range(1, 9)), ("a@3", [3]), ("a@3..5", [3, 4, 5]), ("a@8..9", [8]), ("a@9", [])],
)
def test_visits_are_counted(monkeypatch, text, expected):
    set_fault(monkeypatch, f"{text}=flip")
    visits = [(hit("a"), hit("b")) for _ in range(8)]
    assert visits == [("flip" if k in expected else None, None) for k in range(1, 9)]


def test_the_caller_may_count(monkeypatch):
    set_fault(monkeypatch, "step@7=nan")
    assert [hit("step", count) for count in (5, 6, 7, 8, 7)] == [None, None, "nan", None, "nan"]


def test_a_fault_is_of_one_rank_and_of_the_first_attempt(monkeypatch):
    assert set_fault(monkeypatch, "a@2:1=kill") is None  # a script without torchrun is rank 0
    assert set_fault(monkeypatch, "a@2:1=kill", RANK="1").kind == "kill"
    assert set_fault(monkeypatch, "a=kill", RANK="5").kind == "kill"
    assert set_fault(monkeypatch, "a=kill", TORCHELASTIC_RESTART_COUNT="0").kind == "kill"
    assert set_fault(monkeypatch, "a=kill", TORCHELASTIC_RESTART_COUNT="1") is None


@pytest.mark.parametrize("text", ["a", "a=", "=kill", "a@=kill", "a@x=kill", "a:=kill", "a=b c"])
def test_a_fault_that_nobody_understands_is_an_error(text):
    with pytest.raises(ValueError, match="not of the form"):
        parse(text)


@pytest.mark.parametrize(
    ("kind", "error", "number"),
    [
        ("enospc", OSError, errno.ENOSPC),
        ("eio", OSError, errno.EIO),
        ("raise", RuntimeError, None),
        ("oom", MemoryError, None),
    ],
)
def test_errors(monkeypatch, kind, error, number):
    set_fault(monkeypatch, f"a={kind}")
    with pytest.raises(error, match="a") as caught:
        hit("a")
    assert getattr(caught.value, "errno", None) == number


@pytest.mark.parametrize(("kind", "number"), [("kill", signal.SIGKILL), ("term", signal.SIGTERM)])
def test_signals(monkeypatch, kind, number):
    def suffer():
        if kind == "term":  # a verb that ran in this process has changed what it does
            signal.signal(number, signal.SIG_DFL)
        hit("a")

    set_fault(monkeypatch, f"a={kind}")
    assert in_child(suffer) == -number


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("shape", [(3, 2, 2, 2), ()])
def test_spoiling_changes_one_value_in_place(monkeypatch, dtype, shape):
    for kind in ("nan", "flip"):
        set_fault(monkeypatch, f"a={kind}")
        x = torch.ones(shape, dtype=dtype)
        x = (x.to(memory_format=torch.channels_last) if shape else x).requires_grad_(True)
        before = x.detach().clone()
        spoil("b", x)
        assert torch.equal(x, before)
        spoil("a", x)
        changed = x.detach() != before
        assert changed.sum() == 1 and changed.flatten()[0]
        first = x.detach().flatten()[0].item()
        assert first != first if kind == "nan" else 0 < abs(first - 1) < 0.01
