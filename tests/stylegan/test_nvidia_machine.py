"""The pickle machine: plain data as Python reads it, and nothing but data, at a bounded cost."""

import io
import pickle
import pickletools
import random
import struct
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nvidia_case import layout

from stylegan import nvidia_machine
from stylegan.nvidia_machine import Budget, PickleRefused, run_pickle
from stylegan.nvidia_pickle import NvidiaPickleError, read_nvidia_pickle
from stylegan.nvidia_tensors import tensor_builders

HEADER = b"\x80\x02"
ENCODE = b"c_codecs\nencode\n"
STORAGE = b"ctorch.storage\n_load_from_bytes\n"
TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n"
SCALAR = b"cnumpy.core.multiarray\nscalar\n"
DTYPE = b"cnumpy\ndtype\n"

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
plain = st.recursive(
    scalars | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(scalars, inner)
        | st.tuples(inner, inner)
        | st.tuples(inner)
        | st.sets(scalars)
    ),
    max_leaves=20,
)


def loaded(content, operations=10**5):
    budget = Budget(operations, copied_bytes=2 * len(content))
    return run_pickle(io.BytesIO(content), tensor_builders(budget), budget)


def refused(content, reason):
    start = time.monotonic()
    with pytest.raises(PickleRefused, match=reason):
        loaded(content)
    assert time.monotonic() - start < 5


def word(text):
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def raw_bytes(content):
    return b"B" + struct.pack("<I", len(content)) + content


def stored(tensor):
    """Return the stream of a tensor's typed storage, as in a plain pickle of the tensor."""
    found = [a for _, a, _ in pickletools.genops(pickle.dumps(tensor, 4)) if type(a) is bytes]
    return max(found, key=len)


# --- plain data --------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(plain, st.integers(2, 5))
def test_plain_data_are_what_python_reads(value, protocol):
    content = pickle.dumps(value, protocol)
    assert repr(loaded(content)) == repr(pickle.loads(content))


def test_what_is_shared_stays_shared():
    shared = [1]
    for protocol in range(2, 6):
        first, second = loaded(pickle.dumps((shared, shared), protocol))
        assert first is second


@pytest.mark.parametrize("protocol", range(2, 6))
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.bool])
def test_tensors_are_bit_equal(dtype, protocol):
    numbers = torch.arange(60).to(dtype)
    for tensor in (numbers, numbers.view(3, 4, 5)[1:, :, ::2].permute(2, 0, 1), numbers[:0]):
        found = loaded(pickle.dumps(tensor, protocol))
        assert found.dtype == tensor.dtype and torch.equal(found, tensor)


@pytest.mark.parametrize("protocol", range(2, 6))
def test_numpy_scalars_are_plain_numbers(protocol):
    values = [np.int64(-3), np.float32(0.1), np.uint8(200), np.bool_(True), np.float64(1e300)]
    found = loaded(pickle.dumps(values, protocol))
    assert found == [value.item() for value in values]
    assert [type(value) for value in found] == [int, float, int, bool, float]


# --- nothing but data --------------------------------------------------------------------------


def test_the_names_that_mean_something_are_frozen():
    names = {name.replace("numpy._core", "numpy.core") for name in tensor_builders(Budget(0, 0))}
    assert names == {
        "_codecs encode",
        "__builtin__ bytes",
        "__builtin__ set",
        "builtins bytes",
        "builtins set",
        "collections OrderedDict",
        "numpy dtype",
        "numpy ndarray",
        "numpy.core.multiarray _reconstruct",
        "numpy.core.multiarray scalar",
        "numpy.core.numeric _frombuffer",
        "torch._utils _rebuild_parameter",
        "torch._utils _rebuild_tensor",
        "torch._utils _rebuild_tensor_v2",
        "torch.storage _load_from_bytes",
    }


def test_operations_that_reach_out_of_data_are_unknown():
    known = nvidia_machine._STEPS.keys() | nvidia_machine.VALUES | nvidia_machine.IGNORED
    known |= nvidia_machine.CONSTANTS.keys() | nvidia_machine.EMPTY.keys()
    unknown = {opcode.name for opcode in pickletools.opcodes} - known - {*nvidia_machine.TUPLES}
    assert {"INST", "OBJ", "EXT1", "EXT2", "EXT4", "PERSID", "NEWOBJ_EX"} <= unknown
    assert {"NEXT_BUFFER", "READONLY_BUFFER"} <= unknown


@pytest.mark.parametrize(
    ("operations", "reason"),
    [
        (b"cnumpy\ndtype.type\n", "asks for numpy.dtype.type,"),
        (b"cnumpy dtype\nx\n", "asks for numpy.dtype x,"),
        (b"N" + word("x") + b"\x93", "names something by no text"),
        (word("no name") + b")R", "calls what is no name"),
        (DTYPE + b"]R", "calls what is no name"),
        (DTYPE + b"}b", "gives a state to what has none"),
        (DTYPE + word("x") + b"NsN", "sets an item of what is no dictionary"),
        (b"}(K\x01u", "is no whole pickle"),
        (b"}N\x85Ns", "a key that is no text or number"),
        (b"\x8f(]\x90", "a key that is no text or number"),
        (b"c__builtin__\nset\n]]a\x85R", "a key that is no text or number"),
        (b"(K\x01l", "uses LIST"),
        (b"K\x01Q", "uses BINPERSID"),
        (b"Pname\n", "uses PERSID"),
        (b"h\x05", "is no whole pickle"),
        (b"0", "is no whole pickle"),
        (b"NN", "is no whole pickle"),
        (b"(N", "is no whole pickle"),
        (b"I" + b"9" * 5000 + b"\n", "is no whole pickle"),
        (ENCODE + word("import os") + word("rot13") + b"\x86R", "other than as latin1"),
        (b"cnumpy\nndarray\n)R", "a NumPy array in a way of its own"),
        (DTYPE + word("O8") + b"\x85R", "no plain numbers"),
        (DTYPE + word("f8") + b"\x85R(K\x03" + word(">") + b"tb", "big-endian"),
        (SCALAR + word("f8") + raw_bytes(b"12345678") + b"\x86R", "a NumPy value of no type"),
        (STORAGE + raw_bytes(b"N.") + b"\x85R", "numbers in an unknown form"),
        (STORAGE + word("N.") + b"\x85R", "numbers that are no bytes"),
        (TENSOR + b"(NK\x00))tR", "no whole tensor"),
    ],
)
def test_what_is_not_data_is_refused(operations, reason):
    refused(HEADER + operations + b".", reason)


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [
        (0, (7,), (1,)),
        (1, (6,), (1,)),
        (-1, (2,), (1,)),
        (0, (2,), (-1,)),
        (0, (1 << 39,), (0,)),
        (0, (7,), (0,)),
        (0, (2, 2), (5, 1)),
        (0, (2, 2), (1,)),
        (0, (True, 2), (1, 1)),
        (0, (1 << 70, 0), (1, 1)),
        (0, (1,) * 9, (1,) * 9),
        (6, (), ()),
    ],
)
def test_tensors_that_reach_beyond_their_numbers(offset, size, stride):
    held = STORAGE + raw_bytes(stored(torch.arange(6.0))) + b"\x85R"
    view = b"".join(pickle.dumps(value, 2)[2:-1] for value in (offset, size, stride))
    refused(HEADER + TENSOR + b"(" + held + view + b"tR.", "holds a tensor")


@pytest.mark.parametrize("damage", ["shorter", "longer", "count", "big-endian", "two", "view"])
def test_storages_that_are_not_whole(damage):
    raw = stored(torch.arange(6.0))
    if damage == "shorter":
        raw = raw[:-1]
    elif damage == "longer":
        raw += b"\0"
    elif damage == "count":
        raw = raw.replace(struct.pack("<q", 6), struct.pack("<q", 5))
    elif damage == "big-endian":
        raw = raw.replace(b"little_endianq\x02\x88", b"little_endianq\x02\x89")
    elif damage == "two":
        raw = raw.replace(b"q\x01a.", b"q\x01aNa.")
    else:
        raw = raw.replace(b"K\x06Nt", b"K\x06K\x01t")
    assert raw != stored(torch.arange(6.0))
    refused(pickle.dumps(raw)[:2] + STORAGE + raw_bytes(raw) + b"\x85R.", "holds|has no storage")


# --- at a bounded cost -------------------------------------------------------------------------


SMALL = {
    "encoding": ENCODE + b"q\x01" + word("x" * 1000) + word("latin1") + b"\x86q\x02R",
    "sets": b"c__builtin__\nset\nq\x01](" + b"K\x01" * 1000 + b"e\x85q\x02R",
    "storages": STORAGE + b"q\x01" + raw_bytes(stored(torch.zeros(1000))) + b"\x85q\x02R",
}


@pytest.mark.parametrize("work", SMALL)
def test_small_files_cannot_ask_for_endless_work(work):
    refused(HEADER + SMALL[work] + b"h\x01h\x02R" * 10_000 + b".", "far more work")


def test_operations_are_counted():
    refused(HEADER + b"}" * 200_000 + b".", "far more work")


def test_claims_of_size_take_no_memory():
    for claim in (
        b"\x8e" + struct.pack("<Q", 1 << 50),
        b"B\xff\xff\xff\xff",
        b"\x8b\xff\xff\xff\x7f",
    ):
        refused(HEADER + claim + b"x.", "is no whole pickle")


def test_deep_and_cyclic_data_do_no_harm():
    deep = b"]" * 40_000 + b"a" * 39_999
    assert type(loaded(HEADER + deep + b".")) is list
    assert type(loaded(HEADER + b")" + b"\x85" * 40_000 + b".")) is tuple
    refused(HEADER + b"})" + b"\x85" * 40_000 + b"Ns.", "a key that is no text")
    cycle = loaded(HEADER + b"]q\x00h\x00a.")
    assert cycle[0] is cycle


@pytest.mark.parametrize("count", [75, pytest.param(3000, marks=pytest.mark.slow)])
def test_damage_gives_our_error_or_a_network(tmp_path, count):
    content, rng = layout("t alone"), random.Random(1)
    path, refusals = tmp_path / "n.pkl", 0
    starts = [k for k in range(len(content)) if content[k : k + 40].isascii()]
    for _ in range(count):
        damaged = bytearray(content)
        for place in rng.sample(starts, 2):
            damaged[place] = rng.randrange(256)
        path.write_bytes(damaged)
        try:
            read_nvidia_pickle(path)
        except NvidiaPickleError:
            refusals += 1
    assert refusals > count / 3
