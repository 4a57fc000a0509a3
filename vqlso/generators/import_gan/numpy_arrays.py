"""NumPy's arrays, scalars and scalar types as its pickles describe them."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np
from numpy.typing import NDArray

from vqlso.generators.import_gan.refusal import RefusedError, counts, expect
from vqlso.generators.import_gan.restricted_pickle import Name, Reduction

# Named without byte order, which the state gives; booleans, integers and floats only.
SCALARS = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"}


class ScalarType:
    """A scalar type in the machine's byte order, or in none."""

    __slots__ = ("dtype",)

    def __init__(self, arguments: tuple[object, ...]) -> None:
        code = arguments[0] if arguments else None
        if not isinstance(code, str) or code not in SCALARS:
            raise RefusedError("an array of other scalars than booleans, integers and floats")
        self.dtype = np.dtype(f"<{code}")

    def build(self, state: object) -> None:
        """Check the byte order; the rest describes records, of which there are none."""
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
        if order not in ("<", "|"):
            raise RefusedError("an array of a big-endian machine, or without a byte order")


class PickledArray:
    """An array, made empty and then given its content."""

    __slots__ = ("_value",)

    def __init__(self) -> None:
        self._value: NDArray[np.generic] | None = None

    def build(self, state: object) -> None:
        """Take (version, shape, scalar type, whether in Fortran's order, bytes)."""
        if not isinstance(state, tuple) or len(state) != 5:
            raise RefusedError("the state of an array is none")
        shape = counts(state[1], "the shape of an array")
        dtype = expect(state[2], ScalarType, "the scalar type of an array").dtype
        content = expect(state[4], memoryview, "the content of an array")
        if prod(shape) == 0 or prod(shape) * dtype.itemsize != len(content):
            raise RefusedError(f"an array of shape {shape} is empty or has {len(content):,} bytes")
        order = "F" if state[3] is True else "C"
        self._value = np.frombuffer(content, dtype).reshape(shape, order=order)  # type: ignore[call-overload]

    def array(self) -> NDArray[np.generic]:
        """A view of the file's bytes.

        Raises:
            RefusedError: the content was never given.
        """
        if self._value is None:
            raise RefusedError("an array without content")
        return self._value


def array_vocabulary() -> Iterator[tuple[Name, Reduction | None]]:
    """NumPy's names, in the modules of NumPy 1 and of NumPy 2."""
    yield Name("numpy", "dtype"), ScalarType
    yield Name("numpy", "ndarray"), None
    for core in ("numpy.core", "numpy._core"):
        yield Name(f"{core}.multiarray", "_reconstruct"), _empty_array
        yield Name(f"{core}.multiarray", "scalar"), _scalar
        yield Name(f"{core}.numeric", "_frombuffer"), _array_of_buffer


def _empty_array(arguments: tuple[object, ...]) -> PickledArray:
    if not arguments or arguments[0] != Name("numpy", "ndarray"):
        raise RefusedError("an array of a class of its own")
    return PickledArray()


def _array_of_buffer(arguments: tuple[object, ...]) -> PickledArray:
    """An array as protocol 5 writes it: (bytes, scalar type, shape, order)."""
    if len(arguments) != 4:
        raise RefusedError("an array of a buffer without its type, shape or order")
    content, dtype, shape, order = arguments
    array = PickledArray()
    array.build((1, shape, dtype, order == "F", content))
    return array


def _scalar(arguments: tuple[object, ...]) -> object:
    if len(arguments) != 2:
        raise RefusedError("a NumPy scalar without its type or its bytes")
    dtype = expect(arguments[0], ScalarType, "the type of a scalar").dtype
    content = expect(arguments[1], memoryview, "the bytes of a scalar")
    if len(content) != dtype.itemsize:
        raise RefusedError(f"a scalar of {len(content):,} bytes")
    return np.frombuffer(content, dtype)[0].item()
