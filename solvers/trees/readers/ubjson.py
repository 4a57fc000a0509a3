"""Universal Binary JSON (ubjson.org, draft 12), as far as XGBoost writes it.

XGBoost's own reader ends the whole process at some damaged files; this one raises an error.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

# Markers of numbers, which are big-endian, and their NumPy types.
_NUMBERS = {"i": ">i1", "U": ">u1", "I": ">i2", "l": ">i4", "L": ">i8", "d": ">f4", "D": ">f8"}
_FORMATS = {"i": ">b", "U": ">B", "I": ">h", "l": ">i", "L": ">q", "d": ">f", "D": ">d"}
_CONSTANTS = {"T": True, "F": False, "Z": None}
_DEEPEST = 50


def parsed(content: bytes) -> Any:
    """The value that `content` encodes: dicts, lists, arrays of numbers, strings and numbers.

    Raises:
        ValueError: `content` is no such encoding, or ends early.
    """
    return _Reader(content).value(0)


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def value(self, depth: int, marker: str | None = None) -> Any:
        if depth > _DEEPEST:
            raise ValueError(f"values are nested more than {_DEEPEST} deep")
        marker = marker or self._marker()
        if marker in _CONSTANTS:
            return _CONSTANTS[marker]
        if marker in _NUMBERS:
            return self._number(marker)
        if marker == "S":
            return self._text()
        if marker == "[":
            return self._array(depth)
        if marker == "{":
            return self._object(depth)
        raise ValueError(f"byte {self._at - 1} is no marker of a value: {marker!r}")

    def _array(self, depth: int) -> Any:
        kind = self._marker() if self._skip("$") else None
        if not self._skip("#"):
            if kind is not None:
                raise ValueError(f"an array at byte {self._at} has a type and no length")
            return self._until("]", lambda: self.value(depth + 1))
        size = self._size()
        if kind in _NUMBERS:
            width = np.dtype(_NUMBERS[kind]).itemsize
            return np.frombuffer(self._bytes(size * width), dtype=_NUMBERS[kind]).tolist()
        if size > len(self._content):
            raise ValueError(f"an array at byte {self._at} is longer than the file")
        return [self.value(depth + 1, kind) for _ in range(size)]

    def _object(self, depth: int) -> dict[str, Any]:
        if self._skip("#"):
            return dict(self._member(depth) for _ in range(self._size()))
        return dict(self._until("}", lambda: self._member(depth)))

    def _member(self, depth: int) -> tuple[str, Any]:
        return self._text(), self.value(depth + 1)

    def _until(self, end: str, read: Any) -> list[Any]:
        items = []
        while not self._skip(end):
            items.append(read())
        return items

    def _text(self) -> str:
        return self._bytes(self._size()).decode()

    def _size(self) -> int:
        size = self._number(self._marker())
        if not isinstance(size, int) or size < 0:
            raise ValueError(f"the length before byte {self._at} is {size}")
        return size

    def _number(self, marker: str) -> int | float:
        if marker not in _FORMATS:
            raise ValueError(f"byte {self._at - 1} is no marker of a number: {marker!r}")
        number: int | float = struct.unpack(
            _FORMATS[marker], self._bytes(struct.calcsize(_FORMATS[marker]))
        )[0]
        return number

    def _marker(self) -> str:
        return chr(self._bytes(1)[0])

    def _skip(self, marker: str) -> bool:
        found = self._content[self._at : self._at + 1] == marker.encode()
        self._at += found
        return found

    def _bytes(self, size: int) -> bytes:
        if self._at + size > len(self._content):
            raise ValueError(f"it ends within the value at byte {self._at}")
        self._at += size
        return self._content[self._at - size : self._at]
