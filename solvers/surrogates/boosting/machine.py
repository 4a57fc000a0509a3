"""Processor instructions that Numba has no function for: prefetching, and atomic whole numbers.

Each is one instruction of LLVM (https://llvm.org/docs/LangRef.html), on one element of an array.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types
from numba.extending import intrinsic

# Typed as what generates code, not as what is called.
_instruction: Any = intrinsic

_ORDER = "seq_cst"
_BYTES = 8


def _element(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Address of the element that the arguments after the array name."""
    kind = signature.args[0]
    array = context.make_array(kind)(context, builder, arguments[0])
    indices = [
        context.cast(builder, argument, given, types.intp)
        for argument, given in zip(
            arguments[1 : kind.ndim + 1], signature.args[1 : kind.ndim + 1], strict=True
        )
    ]
    point: Any = cgutils.get_item_pointer
    return point(context, builder, kind, array, indices, wraparound=False)


@_instruction
def prefetch(typing: Any, array: Any, row: Any, column: Any) -> Any:  # noqa: ARG001
    """Have the cache line of array[row, column] fetched without waiting for it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = _element(context, builder, signature, arguments)
        pointer, whole = ir.PointerType(ir.IntType(8)), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer, whole, whole, whole])
        declare: Any = cgutils.get_or_insert_function
        function = declare(builder.module, kind, "llvm.prefetch.p0")
        # To read, to be kept in all caches, data rather than instructions.
        flags = [ir.Constant(whole, flag) for flag in (0, 3, 1)]
        builder.call(function, [builder.bitcast(address, pointer), *flags])
        return context.get_dummy_value()

    return types.void(array, row, column), generate


@_instruction
def load(typing: Any, array: Any, at: Any) -> Any:  # noqa: ARG001
    """array[at], as the other threads last left it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = _element(context, builder, signature, arguments)
        return builder.load_atomic(address, _ORDER, _BYTES)

    return types.int64(array, at), generate


@_instruction
def store(typing: Any, array: Any, at: Any, value: Any) -> Any:  # noqa: ARG001
    """Set array[at] after everything written before, as the other threads see it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = _element(context, builder, signature, arguments)
        number = context.cast(builder, arguments[2], signature.args[2], types.int64)
        builder.store_atomic(number, address, _ORDER, _BYTES)
        return context.get_dummy_value()

    return types.void(array, at, value), generate


@_instruction
def add(typing: Any, array: Any, at: Any, value: Any) -> Any:  # noqa: ARG001
    """Add to array[at] at once; returns what it was."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = _element(context, builder, signature, arguments)
        number = context.cast(builder, arguments[2], signature.args[2], types.int64)
        return builder.atomic_rmw("add", address, number, _ORDER)

    return types.int64(array, at, value), generate


@_instruction
def swap(typing: Any, array: Any, at: Any, expected: Any, value: Any) -> Any:  # noqa: ARG001
    """Replace array[at] by `value` if it is `expected`; returns whether it was."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = _element(context, builder, signature, arguments)
        numbers = [
            context.cast(builder, argument, given, types.int64)
            for argument, given in zip(arguments[2:], signature.args[2:], strict=True)
        ]
        result = builder.cmpxchg(address, *numbers, _ORDER, _ORDER)
        return builder.extract_value(result, 1)

    return types.boolean(array, at, expected, value), generate
