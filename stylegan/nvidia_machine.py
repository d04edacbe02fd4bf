"""A pickle machine for data only: it builds containers, and what a pickle names is never looked up.

Python's own unpickler imports what the file names and calls it. Here a name is only a word, the
key of a builder of ours; any other name, and every operation that is not needed, is refused.
"""

import pickletools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

Builder = Callable[..., object]

KEY_TYPES = (str, int, float, bool, bytes, type(None))  # hashing these takes no recursion
MALFORMED = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RuntimeError)
VALUES = frozenset(
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT "
    "BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8".split()
)
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
EMPTY: dict[str, type] = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_SET": set}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
IGNORED = frozenset({"PROTO", "FRAME", "STOP"})


class PickleRefused(ValueError):
    """A pickle asks for what no StyleGAN3 model does, or is damaged; says what, in one clause."""


@dataclass
class Budget:
    """What a file may still cost, so that a small one cannot ask for endless time or memory."""

    operations: int
    copied_bytes: int

    def spend(self, operations: int = 0, copied_bytes: int = 0) -> None:
        """Take off a cost.

        Raises:
            PickleRefused: more than is left.
        """
        self.operations -= operations
        self.copied_bytes -= copied_bytes
        if min(self.operations, self.copied_bytes) < 0:
            raise PickleRefused("asks for far more work than a model needs")


@dataclass(frozen=True)
class Name:
    """A name in a pickle, "module name", that a builder stands for."""

    text: str


@dataclass
class Stateful:
    """A built object that may be given a state afterwards."""

    def set_state(self, state: object) -> None:
        """Take what a BUILD operation hands over."""


def require(condition: bool, reason: str) -> None:
    """Raise PickleRefused with `reason` unless `condition` holds."""
    if not condition:
        raise PickleRefused(reason)


def run_pickle(
    file: BinaryIO,
    builders: Mapping[str, Builder],
    budget: Budget,
    persistent: Builder | None = None,
) -> Any:
    """Return the data of the pickle that starts at the position of `file`, and stop behind it.

    Args:
        file: the bytes, in memory.
        builders: "module name" to a function of data that returns data: all that can be called.
        budget: what it may cost; shared by pickles inside pickles.
        persistent: builds what a persistent id stands for; without it those are refused.

    Raises:
        PickleRefused: anything else is asked for, or the pickle is damaged.
    """
    machine = _Machine(builders, budget, persistent)
    try:
        for opcode, argument, _ in pickletools.genops(file):
            budget.spend(operations=1)
            machine.step(opcode.name, argument)
        return machine.result()
    except MALFORMED as error:
        if isinstance(error, PickleRefused):
            raise
        raise PickleRefused(f"is no whole pickle ({str(error)[:80]})") from error


class _Machine:
    def __init__(
        self, builders: Mapping[str, Builder], budget: Budget, persistent: Builder | None
    ) -> None:
        self.builders, self.budget, self.persistent = builders, budget, persistent
        self.stack: list[Any] = []
        self.marked: list[list[Any]] = []  # the stacks below each mark
        self.memo: dict[int, Any] = {}

    def step(self, opcode: str, argument: Any) -> None:
        if opcode in VALUES:
            self.stack.append(argument)
        elif opcode in CONSTANTS:
            self.stack.append(CONSTANTS[opcode])
        elif opcode in EMPTY:
            self.stack.append(EMPTY[opcode]())
        elif opcode in TUPLES:
            items = [self.stack.pop() for _ in range(TUPLES[opcode])]
            self.stack.append(tuple(reversed(items)))
        elif opcode in _STEPS:
            _STEPS[opcode](self, argument)
        elif opcode not in IGNORED:
            raise PickleRefused(f"uses {opcode}, which no StyleGAN3 model does")

    def result(self) -> Any:
        require(len(self.stack) == 1 and not self.marked, "is no whole pickle")
        return self.stack.pop()

    def mark(self, _: Any) -> None:
        self.marked.append(self.stack)
        self.stack = []

    def pop_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.marked.pop()
        return items

    def drop_mark(self, _: Any) -> None:
        self.pop_mark()

    def pop(self, _: Any) -> None:
        self.stack.pop()

    def tuple(self, _: Any) -> None:
        items = self.pop_mark()
        self.stack.append((*items,))

    def put(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def memoize(self, _: Any) -> None:
        self.put(len(self.memo))

    def get(self, index: int) -> None:
        self.stack.append(self.memo[index])

    def append(self, _: Any) -> None:
        self._extend([self.stack.pop()])

    def appends(self, _: Any) -> None:
        self._extend(self.pop_mark())

    def _extend(self, items: list[Any]) -> None:
        require(type(self.stack[-1]) is list, "appends to what is no list")
        self.stack[-1].extend(items)

    def set_item(self, _: Any) -> None:
        value = self.stack.pop()
        self._update([self.stack.pop(), value])

    def set_items(self, _: Any) -> None:
        self._update(self.pop_mark())

    def _update(self, items: list[Any]) -> None:
        require(type(self.stack[-1]) is dict, "sets an item of what is no dictionary")
        require_keys(items[::2])
        self.stack[-1].update(zip(items[::2], items[1::2], strict=True))

    def add_items(self, _: Any) -> None:
        items = self.pop_mark()
        require(type(self.stack[-1]) is set, "adds to what is no set")
        require_keys(items)
        self.stack[-1].update(items)

    def name(self, text: str) -> None:
        if text not in self.builders:
            asked = ".".join(text.split(" ", 1))[:80]
            raise PickleRefused(f"asks for {asked}, which no StyleGAN3 model does")
        self.stack.append(Name(text))

    def name_on_stack(self, _: Any) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        require(type(name) is str and type(module) is str, "names something by no text")
        self.name(f"{module} {name}")

    def call(self, _: Any) -> None:
        arguments, name = self.stack.pop(), self.stack.pop()
        require(type(name) is Name and type(arguments) is tuple, "calls what is no name")
        self.stack.append(self.builders[name.text](*arguments))

    def build(self, _: Any) -> None:
        state = self.stack.pop()
        require(isinstance(self.stack[-1], Stateful), "gives a state to what has none")
        self.stack[-1].set_state(state)

    def persistent_id(self, _: Any) -> None:
        if self.persistent is None:
            raise PickleRefused("uses BINPERSID, which no StyleGAN3 model does")
        self.stack.append(self.persistent(self.stack.pop()))


def require_keys(keys: Iterable[object]) -> None:
    """Raise PickleRefused if one could not be the key of a dictionary in a model."""
    require(all(type(key) in KEY_TYPES for key in keys), "has a key that is no text or number")


_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "MARK": _Machine.mark,
    "POP": _Machine.pop,
    "POP_MARK": _Machine.drop_mark,
    "TUPLE": _Machine.tuple,
    "PUT": _Machine.put,
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "MEMOIZE": _Machine.memoize,
    "GET": _Machine.get,
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    "APPEND": _Machine.append,
    "APPENDS": _Machine.appends,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "ADDITEMS": _Machine.add_items,
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": _Machine.name_on_stack,
    "REDUCE": _Machine.call,
    "NEWOBJ": _Machine.call,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.persistent_id,
}
