"""Pickles that make a file when they are loaded plainly, in every way we know of."""

import io
import os
import pickle
import struct
import sys

import numpy as np
import pytest
import torch
from nvidia_case import EasyDict, Network, generator_network, stand_ins

CODE = "__import__('os').mknod({0!r})"

# what is called -> with which arguments, "{0}" being the path of the file to make
CALLS = {
    "os mknod": ["{0}"],
    "posix mknod": ["{0}"],
    "os system": ["touch {0}"],
    "posix system": ["touch {0}"],
    "os mkdir": ["{0}"],
    "os makedirs": ["{0}"],
    "os mkfifo": ["{0}"],
    "os popen": ["touch {0}"],
    "os symlink": ["/etc", "{0}"],
    "shutil copyfile": ["/etc/passwd", "{0}"],
    "shutil copy": ["/etc/passwd", "{0}"],
    "subprocess getoutput": ["touch {0}"],
    "subprocess call": [["touch", "{0}"]],
    "subprocess check_call": [["touch", "{0}"]],
    "subprocess check_output": [["touch", "{0}"]],
    "subprocess run": [["touch", "{0}"]],
    "subprocess Popen": [["touch", "{0}"]],
    "builtins exec": [CODE],
    "builtins eval": [CODE],
    "builtins open": ["{0}", "w"],
    "io open": ["{0}", "w"],
    "_io open": ["{0}", "w"],
    "_io FileIO": ["{0}", "w"],
    "codecs open": ["{0}", "w"],
    "gzip open": ["{0}", "w"],
    "bz2 open": ["{0}", "w"],
    "lzma open": ["{0}", "w"],
    "tarfile open": ["{0}", "w"],
    "zipfile ZipFile": ["{0}", "w"],
    "sqlite3 connect": ["{0}"],
    "logging FileHandler": ["{0}"],
    "timeit timeit": [CODE],
    "cProfile run": [CODE, "/dev/null"],
    "profile run": [CODE, "/dev/null"],
    "numpy savetxt": ["{0}", [1]],
    "torch save": [1, "{0}"],
    "torch.utils.collect_env run": ["touch {0}"],
    "numpy.testing._private.utils runstring": [CODE, {}],
}
MOST_USED = ("os mknod", "os system", "builtins exec", "subprocess check_call", "shutil copyfile")
DOTTED = ("shutil os.mknod", "tempfile _os.mknod", "subprocess os.mknod", "torch os.mknod")
# number in copyreg's registry -> name registered there, operation that asks for it
EXTENSIONS = {
    7: ("os mknod", b"\x82\x07"),
    700: ("posix mknod", b"\x83\xbc\x02"),
    70000: ("os mkdir", b"\x84" + struct.pack("<i", 70000)),
}


def data(value, protocol=2):
    """Return the operations that push plain data."""
    return pickle.dumps(value, protocol)[2 if protocol > 1 else 0 : -1]


def text(string):
    return b"X" + struct.pack("<I", len(string)) + string.encode()


def named(name):
    return b"c" + name.replace(" ", "\n").encode() + b"\n"


def reduced(name, arguments, protocol=2):
    """Return the operations that call `name` as a protocol does, without its header."""
    by_stack = b"".join(map(text, name.split(" "))) + b"\x93"
    pushed = b"".join(data(argument, min(protocol, 2)) for argument in arguments)
    return (by_stack if protocol > 3 else named(name)) + b"(" + pushed + b"tR"


def whole(operations, protocol):
    return (b"\x80" + bytes([protocol]) if protocol > 1 else b"") + operations + b"."


def by_inst(name, arguments):
    return b"(" + b"".join(map(data, arguments)) + b"i" + named(name)[1:] + b"."


def by_obj(name, arguments):
    return b"(" + named(name) + b"".join(map(data, arguments)) + b"o."


def filled(argument, path):
    if isinstance(argument, list):
        return [filled(item, path) for item in argument]
    return argument.format(path) if isinstance(argument, str) else argument


class Call:
    """Pickles as a call of `name`."""

    def __init__(self, name, *arguments):
        self.name, self.arguments = name, arguments

    def __reduce__(self):
        module, name = self.name.split(" ")
        __import__(module)
        return getattr(sys.modules[module], name), self.arguments


def bomb(path):
    return Call("os mknod", path)


def bytes_call(content):
    return Call("torch.storage _load_from_bytes", content)


def torch_saved(payload):
    file = io.BytesIO()
    torch.save(payload, file, _use_new_zipfile_serialization=False)
    return file.getvalue()


def in_a_layout(attribute=None, **models):
    """Pickle a good file with something more in it, which comes first."""
    G = generator_network("generator_t_32")
    G.state = {"more": attribute, **G.state}
    with stand_ins():
        return pickle.dumps({**models, "G_ema": G}, 4)


def with_source(source):
    """Pickle a good file whose classes have a source text that NVIDIA's loader would run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Network, "source", source)
        return in_a_layout()


def with_payload(path):
    parameter = torch.nn.Parameter(torch.zeros(2))
    parameter.payload = bomb(path)
    return parameter


def mknod(path, protocol=2):
    return reduced("os mknod", [path], protocol)


def given_state(path):
    method = b"}" + text("__setstate__") + named("os mknod") + b"s"
    return named("argparse Namespace") + b")\x81" + method + b"b" + data(path) + b"b"


def made_with_keywords(path):
    partial = named("functools partial") + named("os mknod") + b"\x85}\x92"
    return whole(partial + b"(" + data(path) + b"tR", 4)


def imported_in_steps(path):
    found = named("builtins getattr") + reduced("builtins __import__", ["os"]) + text("mknod")
    return whole(found + b"\x86R(" + data(path) + b"tR", 2)


def module_in_memo(path):
    words = text("os") + b"\x940" + text("mknod") + b"\x940"
    return whole(words + b"h\x00h\x01\x93(" + data(path) + b"tR", 4)


SPECIAL = {
    "broken tail": lambda path: b"\x80\x02" + mknod(path) + b"\xff\xff\xff",
    "no STOP": lambda path: b"\x80\x02" + mknod(path),
    "popped": lambda path: whole(mknod(path) + b"0N", 2),
    "popped with a mark": lambda path: whole(b"(" + mknod(path) + b"1N", 2),
    "two protocols": lambda path: b"\x80\x02" + whole(mknod(path), 5),
    "framed": lambda path: whole(b"\x95" + struct.pack("<Q", len(mknod(path))) + mknod(path), 4),
    "call in memo": lambda path: whole(b"N0" + mknod(path) + b"q\x09h\x09\x86", 2),
    "module in memo": module_in_memo,
    "given a state": lambda path: whole(given_state(path), 2),
    "made with keywords": made_with_keywords,
    "Python 2's eval": lambda path: whole(reduced("__builtin__ eval", [CODE.format(path)]), 2),
    "imported in steps": imported_in_steps,
    "reduce": lambda path: pickle.dumps(Call("functools reduce", os.mknod, [path, 0o600])),
    "pickle in a pickle": lambda path: pickle.dumps(Call("pickle loads", pickle.dumps(bomb(path)))),
    "_pickle": lambda path: pickle.dumps(Call("_pickle loads", pickle.dumps(bomb(path)))),
    "bytes of a storage": lambda path: pickle.dumps(bytes_call(torch_saved(bomb(path)))),
    "bytes of no storage": lambda path: pickle.dumps(bytes_call(pickle.dumps(bomb(path)))),
    "bytes in bytes": lambda path: pickle.dumps(
        bytes_call(torch_saved(bytes_call(torch_saved(bomb(path)))))
    ),
    "bytes in a layout": lambda path: in_a_layout(bytes_call(torch_saved(bomb(path)))),
    "subclass of a tensor": lambda path: pickle.dumps(
        Call("torch._tensor _rebuild_from_type_v2", os.mknod, None, (path,), {})
    ),
    "parameter with a state": lambda path: in_a_layout(with_payload(path)),
    "array of objects": lambda path: pickle.dumps(np.array([bomb(path), 1], dtype=object)),
    "old array": lambda path: pickle.dumps(np.array([bomb(path), 1], dtype=object), 2),
    "array in a layout": lambda path: in_a_layout(np.array([bomb(path), 1], dtype=object)),
    "attribute": lambda path: in_a_layout(bomb(path)),
    "deep attribute": lambda path: in_a_layout([({"x": [bomb(path)]},)]),
    "item of a set": lambda path: in_a_layout({3, bomb(path)}),
    "key": lambda path: in_a_layout({bomb(path): 1}),
    "options": lambda path: in_a_layout(training_set_kwargs=EasyDict(path=bomb(path))),
    "instead of a network": lambda path: in_a_layout(D=bomb(path)),
}
SOURCES = {
    "source": "import os\nos.mknod({0!r})",
    "source that hides": "getattr(__import__('o' + 's'), 'mk' + 'nod')({0!r})",
}


def hostile_pickles():
    """Yield (kind, function of the path that the pickle makes) of every hostile pickle."""
    for name, wanted in CALLS.items():
        for protocol in range(6) if name in MOST_USED else (1, 4):
            yield (
                f"{name} in protocol {protocol}",
                lambda path, name=name, wanted=wanted, protocol=protocol: whole(
                    reduced(name, filled(wanted, path), protocol), protocol
                ),
            )
        for way in (by_inst, by_obj):
            yield (
                f"{name} {way.__name__}",
                lambda path, name=name, wanted=wanted, way=way: way(name, filled(wanted, path)),
            )
    for name in DOTTED:
        yield name, lambda path, name=name: whole(reduced(name, [path], 4), 4)
    for number, (_, code) in EXTENSIONS.items():
        yield f"extension {number}", lambda path, code=code: whole(code + data((path,)) + b"R", 2)
    yield from SPECIAL.items()
    for kind, source in SOURCES.items():
        yield kind, lambda path, source=source: with_source(source.format(path))
