"""A pickle machine that builds plain values, calls nothing, and is bounded in time and memory.

Pickle is a program for a stack machine, and a stranger wrote the program. This machine knows the
opcodes that the picklers of protocols 2 to 5 emit for numbers, text, bytes, containers and objects.
A class or function is only ever a name; what a call of that name gives is looked up in a vocabulary
that the reader of one file format supplies. No name is imported.

What bounds it:

- opcodes: each opcode costs one unit of a budget, which the pickles inside a pickle share;
- memory: bytes are views of the file, so that reducing one memoised blob many times copies nothing;
  text is charged to the budget, and so is whatever else a vocabulary allocates;
- hashing: only short texts and 64-bit integers may be keys, since the hash of nested tuples can
  take exponential time or overflow the C stack; a set becomes a list;
- memo: an index no pickler could have reached by then is refused.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from vqlso.generators.import_gan.bounds import Budget, piece
from vqlso.generators.import_gan.refusal import RefusedError, shown

LONGEST_TEXT = 2**26
EMPTY_TEXT = sys.getsizeof("")
LONGEST_NAME = 128
LONGEST_KEY = 1024
LONGEST_INTEGER = 16
PROTOCOLS = range(2, 6)

Reduction = Callable[[tuple[object, ...]], object]


@dataclass(frozen=True, slots=True)
class Name:
    """A class or function that a pickle names; never imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


# What calling a name gives; None where the name may only be mentioned.
Vocabulary = Mapping[Name, Reduction | None]


@runtime_checkable
class Buildable(Protocol):
    """A recorded object that takes a state (opcode BUILD)."""

    def build(self, state: object) -> None:
        """Take the state, or refuse it."""


def load(
    source: memoryview,
    position: int,
    budget: Budget,
    vocabulary: Vocabulary,
    persistent: Callable[[object], object] | None = None,
) -> tuple[object, int]:
    """The value of the pickle that starts at a position, and the position after it.

    Args:
        source: the file.
        position: where the pickle starts.
        budget: shared by all pickles of a file.
        vocabulary: the names that the pickle may use, and what calling them gives.
        persistent: turns a persistent id into its object; None where there are none.

    Raises:
        RefusedError: an opcode, a name, a length or a cost outside what is known.
    """
    machine = Machine(source, position, budget, vocabulary, persistent)
    return machine.run(), machine.position


class Machine:
    """Runs one pickle; its arguments are those of `load`."""

    def __init__(
        self,
        source: memoryview,
        position: int,
        budget: Budget,
        vocabulary: Vocabulary,
        persistent: Callable[[object], object] | None = None,
    ) -> None:
        self._source = source
        self.position = position
        self._budget = budget
        self._vocabulary = vocabulary
        self._persistent = persistent
        self._stack: list[object] = []
        self._marks: list[int] = []
        self._memo: dict[int, object] = {}
        self._steps = 0

    def run(self) -> object:
        """The value that the pickle describes; `position` is then the byte after it.

        Raises:
            RefusedError: an opcode, a name, a length or a cost outside what is known.
        """
        if bytes(self._source[self.position : self.position + 1]) != b"\x80":
            raise RefusedError(
                "where a pickle of protocol 2 to 5 should start there is something else"
            )
        try:
            while (code := self._take(1)[0]) != STOP:
                self._budget.spend_opcode()
                self._steps += 1
                operation = OPERATIONS.get(code)
                if operation is None:
                    raise RefusedError(
                        f"pickle opcode {bytes([code])!r} is not among those of such a file"
                    )
                operation(self)
            return self._pop()
        except IndexError:
            raise RefusedError("its pickle takes more from the stack than is there") from None
        except UnicodeDecodeError:
            raise RefusedError("its pickle holds text that is no UTF-8") from None

    # -- the source, the stack and the memo ------------------------------------------------

    def _take(self, size: int) -> memoryview:
        taken = piece(self._source, self.position, size)
        self.position += size
        return taken

    def _number(self, layout: struct.Struct) -> int:
        return int(layout.unpack(self._take(layout.size))[0])

    def _pop(self) -> object:
        if self._marks and self._marks[-1] >= len(self._stack):
            raise IndexError
        return self._stack.pop()

    def _pop_to_mark(self) -> list[object]:
        start = self._marks.pop()
        items = self._stack[start:]
        del self._stack[start:]
        return items

    def _remember(self, index: int) -> None:
        if index > self._steps:
            raise RefusedError(f"memo index {index:,} after {self._steps:,} opcodes")
        self._memo[index] = self._stack[-1]

    def _recall(self, index: int) -> None:
        if index not in self._memo:
            raise RefusedError(f"memo index {index:,} was never stored")
        self._stack.append(self._memo[index])

    # -- opcodes ---------------------------------------------------------------------------

    def protocol(self) -> None:
        version = self._take(1)[0]
        if version not in PROTOCOLS:
            raise RefusedError(f"pickle protocol {version}; known are 2 to 5")

    def text(self, size: int) -> None:
        if size > LONGEST_TEXT:
            raise RefusedError(f"a text of {size:,} bytes; at most {LONGEST_TEXT:,} are read")
        text = str(self._take(size), "utf-8", "surrogatepass")
        # What an empty text takes is bounded by the number of opcodes.
        self._budget.allocate(sys.getsizeof(text) - EMPTY_TEXT)
        self._stack.append(text)

    def raw(self, size: int) -> None:
        self._stack.append(self._take(size))

    def number(self, layout: struct.Struct) -> None:
        self._stack.append(layout.unpack(self._take(layout.size))[0])

    def long(self) -> None:
        size = self._take(1)[0]
        if size > LONGEST_INTEGER:
            raise RefusedError(f"an integer of {size} bytes; at most {LONGEST_INTEGER} are read")
        self._stack.append(int.from_bytes(self._take(size), "little", signed=True))

    def tuple_of(self, size: int) -> None:
        items = [self._pop() for _ in range(size)]
        self._stack.append(tuple(reversed(items)))

    def append(self, items: list[object]) -> None:
        target = self._stack[-1]
        if not isinstance(target, list):
            raise RefusedError("items are appended to what is no list")
        target.extend(items)

    def set_items(self, items: list[object]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict) or len(items) % 2:
            raise RefusedError("keys and values are set on what is no dictionary, or not in pairs")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[_key(key)] = value

    def set_item(self) -> None:
        value = self._pop()
        self.set_items([self._pop(), value])

    def name_by_lines(self) -> None:
        self._name(self._line(), self._line())

    def name_from_stack(self) -> None:
        name, module = self._pop(), self._pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise RefusedError("a class or function is named by what is no text")
        self._name(module, name)

    def _line(self) -> str:
        start = self.position
        line = bytes(self._source[start : start + LONGEST_NAME])
        end = line.find(b"\n")
        if end < 0:
            raise RefusedError("the name of a class or function has no end")
        self.position = start + end + 1
        return str(line[:end], "utf-8")

    def _name(self, module: str, name: str) -> None:
        named = Name(module, name)
        if named not in self._vocabulary:
            raise RefusedError(
                f"it asks for {shown(str(named))}, which no network needs; nothing was executed"
            )
        self._stack.append(named)

    def reduce(self) -> None:
        arguments, called = self._pop(), self._pop()
        if not isinstance(called, Name) or not isinstance(arguments, tuple):
            raise RefusedError("it calls what is no named function, or without arguments")
        reduction = self._vocabulary[called]
        if reduction is None:
            raise RefusedError(f"it calls {called}, which may only be mentioned")
        self._stack.append(reduction(arguments))

    def build(self) -> None:
        state, target = self._pop(), self._stack[-1]
        # An ordered dictionary may carry attributes, such as a state dict's _metadata.
        if isinstance(target, dict):
            return
        if not isinstance(target, Buildable):
            raise RefusedError("it sets attributes of what is no recorded object")
        target.build(state)

    def persistent_id(self) -> None:
        if self._persistent is None:
            raise RefusedError("it refers to an object outside the file")
        self._stack.append(self._persistent(self._pop()))

    def push(self, value: object) -> None:
        self._stack.append(value)

    def mark(self) -> None:
        self._marks.append(len(self._stack))


def _key(key: object) -> str | int:
    if isinstance(key, str) and len(key) <= LONGEST_KEY:
        return key
    if isinstance(key, int) and abs(key) < 2**63:
        return key
    raise RefusedError("a dictionary key is neither a short text nor a 64-bit integer")


STOP = ord(".")
BYTE, SHORT, INT = struct.Struct("<B"), struct.Struct("<H"), struct.Struct("<i")
UNSIGNED, LONG, DOUBLE = struct.Struct("<I"), struct.Struct("<Q"), struct.Struct(">d")

# The names in comments are those of the module `pickletools`.
OPERATIONS: dict[int, Callable[[Machine], object]] = {
    ord(code): operation
    for code, operation in {
        "\x80": Machine.protocol,
        "\x95": lambda m: m._take(LONG.size),  # FRAME only helps to read ahead
        "N": lambda m: m.push(None),
        "\x88": lambda m: m.push(True),
        "\x89": lambda m: m.push(False),
        "K": lambda m: m.number(BYTE),
        "M": lambda m: m.number(SHORT),
        "J": lambda m: m.number(INT),
        "\x8a": Machine.long,
        "G": lambda m: m.number(DOUBLE),
        "\x8c": lambda m: m.text(m._number(BYTE)),  # SHORT_BINUNICODE
        "X": lambda m: m.text(m._number(UNSIGNED)),
        "\x8d": lambda m: m.text(m._number(LONG)),
        "C": lambda m: m.raw(m._number(BYTE)),  # SHORT_BINBYTES
        "B": lambda m: m.raw(m._number(UNSIGNED)),
        "\x8e": lambda m: m.raw(m._number(LONG)),
        "\x96": lambda m: m.raw(m._number(LONG)),  # BYTEARRAY8
        "(": Machine.mark,
        "0": lambda m: m._pop(),
        "1": lambda m: m._pop_to_mark(),
        ")": lambda m: m.push(()),
        "\x85": lambda m: m.tuple_of(1),
        "\x86": lambda m: m.tuple_of(2),
        "\x87": lambda m: m.tuple_of(3),
        "t": lambda m: m.push(tuple(m._pop_to_mark())),
        "]": lambda m: m.push([]),
        "a": lambda m: m.append([m._pop()]),
        "e": lambda m: m.append(m._pop_to_mark()),
        "}": lambda m: m.push({}),
        "s": Machine.set_item,
        "u": lambda m: m.set_items(m._pop_to_mark()),
        "\x8f": lambda m: m.push([]),  # EMPTY_SET
        "\x90": lambda m: m.append(m._pop_to_mark()),  # ADDITEMS
        "\x91": lambda m: m.push(m._pop_to_mark()),  # FROZENSET
        "\x94": lambda m: m._remember(len(m._memo)),  # MEMOIZE
        "q": lambda m: m._remember(m._number(BYTE)),
        "r": lambda m: m._remember(m._number(UNSIGNED)),
        "h": lambda m: m._recall(m._number(BYTE)),
        "j": lambda m: m._recall(m._number(UNSIGNED)),
        "c": Machine.name_by_lines,
        "\x93": Machine.name_from_stack,
        "R": Machine.reduce,
        "\x81": Machine.reduce,  # NEWOBJ: here a class is called as a function is
        "b": Machine.build,
        "Q": Machine.persistent_id,
    }.items()
}
