"""Digests: equal for equal states however they are laid out, different for any change."""

import hashlib
import io
from collections import Counter, OrderedDict

import numpy as np
import pytest
import torch

from engine.digest import leaves, state_digest

X = torch.arange(6.0).reshape(2, 3)
STATE = {
    "G": OrderedDict(w=X, b=torch.ones(2, dtype=torch.bfloat16)),
    "opt": {0: {"step": torch.tensor(3.0)}, 1: {"step": torch.tensor(4.0)}},
    "plain": [1, 2.5, "x", None, True, b"y", (float("nan"), -0.0)],
    "empty": {},
}


def test_the_digest_is_what_it_is_defined_as():
    expected = hashlib.sha256(b"len(state) int 2\n")
    expected.update(b"state['n'] int 3\nstate['x'] torch.float32 (2, 3)\n")
    expected.update(np.arange(6, dtype=np.float32).tobytes())
    assert state_digest({"x": X, "n": 3}) == expected.hexdigest()


def test_the_same_over_save_and_load_layout_and_order():
    expected = state_digest(STATE)
    file = io.BytesIO()
    torch.save(STATE, file)
    file.seek(0)
    assert state_digest(torch.load(file, weights_only=True)) == expected
    assert state_digest(dict(reversed(STATE.items()))) == expected
    wide = torch.zeros(3, 4)
    wide[:, ::2] = X.T
    for same in (
        X.T.contiguous().T,
        wide[:, ::2].T,
        X.clone().requires_grad_(),
        X.double().float(),
    ):
        assert state_digest({**STATE, "G": {"b": STATE["G"]["b"], "w": same}}) == expected
    assert state_digest(wide[0, ::2]) == state_digest(wide[0, ::2].clone())


CHANGES = {
    "value": {"G": {**STATE["G"], "w": X.nextafter(X + (X == 5))}},
    "sign of zero": {"G": {**STATE["G"], "w": X * torch.tensor([[-1.0, 1, 1], [1, 1, 1]])}},
    "shape": {"G": {**STATE["G"], "w": X.reshape(3, 2)}},
    "type": {"G": {**STATE["G"], "b": torch.ones(2, dtype=torch.float16)}},
    "name": {"G": {"v": STATE["G"]["w"], "b": STATE["G"]["b"]}},
    "missing": {"G": {"w": X}},
    "key type": {"opt": {"0": STATE["opt"][0], 1: STATE["opt"][1]}},
    "swapped": {"opt": {0: STATE["opt"][1], 1: STATE["opt"][0]}},
    "int for float": {"plain": [1.0, *STATE["plain"][1:]]},
    "int for bool": {"plain": [*STATE["plain"][:4], 1, *STATE["plain"][5:]]},
    "order of a list": {"plain": [2.5, 1, *STATE["plain"][2:]]},
    "one more": {"empty": {"x": {}}},
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_seen(change):
    assert state_digest({**STATE, **CHANGES[change]}) != state_digest(STATE)


def test_empty_lists_count():
    assert state_digest([[]]) != state_digest([])


@pytest.mark.parametrize("value", [np.float64(1), torch.Size([2]), {1}, Counter(), object(), print])
def test_what_no_file_of_weights_could_hold(value):
    with pytest.raises(TypeError, match=r"state\['a'\]\[0\] is a .*, neither a tensor nor plain"):
        list(leaves({"a": [value]}))
