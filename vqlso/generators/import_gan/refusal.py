"""The error of every reader of this package, and narrow readings of values that strangers wrote."""

from __future__ import annotations

from typing import TypeVar

from vqlso.errors import CheckpointError

SHOWN = 60
SHOWN_NAMES = 5

Value = TypeVar("Value")


class RefusedError(CheckpointError):
    """A stranger's file that is not read further; the message is the reason, without the path."""


def shown(text: str) -> str:
    """A stranger's text as it may stand in a message: short, printable, in quotes."""
    return repr(text if len(text) <= SHOWN else text[:SHOWN] + "...")


def names_shown(names: list[str]) -> str:
    """The first few of a stranger's names."""
    rest = len(names) - SHOWN_NAMES
    listed = ", ".join(shown(name) for name in names[:SHOWN_NAMES]) or "none"
    return f"{listed} and {rest} more" if rest > 0 else listed


def expect(value: object, kind: type[Value], what: str) -> Value:
    """The value, known to be of this kind.

    Raises:
        RefusedError: it is not; True and False are no integers here.
    """
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise RefusedError(f"{what} is no {kind.__name__}")
    return value


def counts(value: object, what: str) -> tuple[int, ...]:
    """A tuple or list of at most 8 integers of at least 0: a shape or strides.

    Raises:
        RefusedError: it is anything else.
    """
    if not isinstance(value, tuple | list) or len(value) > 8:
        raise RefusedError(f"{what} is no tuple of at most 8 numbers")
    numbers = tuple(expect(number, int, f"a number in {what}") for number in value)
    if any(number < 0 or number >= 2**40 for number in numbers):
        raise RefusedError(f"{what} holds a number outside [0, 2^40)")
    return numbers
