"""A number that is read later: what it says, and when it is waited for."""

import torch
from on_gpu import Event, OnGpu

from engine.later import Later


def test_of_a_number_or_a_tensor():
    assert float(Later(0.25)) == 0.25
    assert float(Later(torch.tensor(3.0, requires_grad=True))) == 3.0
    assert float(Later(torch.tensor(True))) == 1.0


def test_a_gpu_is_waited_for_when_the_number_is_read(monkeypatch):
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(Event, "waits", 0)
    number = Later(torch.tensor(5.0).as_subclass(OnGpu))
    assert Event.waits == 0
    assert float(number) == 5.0 and Event.waits == 1
