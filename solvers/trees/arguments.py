"""Arguments of another type than what they are for, named before anything is computed with them.

Only types are looked at, and few of them, since a query may take no more than a millisecond.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Integral, Real
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from solvers.trees.ensemble import TreeEnsemble
from solvers.trees.limits import Limits
from vqlso.errors import SolverError

_NONE = type(None)


def _is(*types: type) -> Callable[[object], bool]:
    return lambda value: isinstance(value, types)


def _is_engine(value: object) -> bool:
    is_object = callable(getattr(value, "solve", None)) and not isinstance(value, type)
    return isinstance(value, str) or is_object


def _is_list_with(member: str) -> Callable[[object], bool]:
    """Lists of objects that all have this member; a class would have it too."""
    return lambda value: (
        isinstance(value, Sequence)
        and all(hasattr(part, member) and not isinstance(part, type) for part in value)
    )


_IS_NUMBER = _is(Real), "is a number"
_BY_FEATURE = _is(Mapping), "maps features to numbers, as in {3: 1.5}"
# Name -> whether a value is right, and what it is instead of what was given.
_EXPECTED: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "ensemble": (_is(TreeEnsemble), "is a TreeEnsemble, such as TreeEnsemble.from_model(model)"),
    "backend": (_is_engine, "is a name such as 'auto', or an engine object"),
    "k": (_is(Integral), "is a whole number of solutions"),
    "limits": (_is(Limits), "is an object such as Limits(seconds=10)"),
    "allowed": (_is(Mapping, _NONE), "maps free features to lists of values, as in {3: [0, 2]}"),
    "terms": (_is_list_with("value"), "is a list of terms, as in [LinearTerm({3: 1.5})]"),
    "constraints": (_is_list_with("violation"), "is a list of constraints, as in [Equal(0, 1)]"),
    "failures": (_is(str, PathLike, _NONE), "is the path of a folder"),
    "certificate": (_is(str, PathLike, _NONE), "is the path of a file"),
    "coefficients": _BY_FEATURE,
    "values": _BY_FEATURE,
    "feature": (_is(Integral), "is a whole number, counted from 0"),
    "lower": _IS_NUMBER,
    "upper": _IS_NUMBER,
    "weight": _IS_NUMBER,
    "radius": _IS_NUMBER,
}


def check_types(**given: object) -> None:
    """Refuse arguments of the wrong type, given under their own names.

    Raises:
        SolverError: the message names the argument and what it should be.
    """
    for name, value in given.items():
        is_right, expectation = _EXPECTED[name]
        if not is_right(value):
            raise _refusal(name, expectation, value)


def checked_allowed(
    allowed: Mapping[int, Iterable[float]] | None,
) -> dict[int, tuple[float, ...]]:
    """Feature -> its allowed values.

    Raises:
        SolverError: another type.
    """
    check_types(allowed=allowed)
    only: dict[int, tuple[float, ...]] = {}
    for feature, values in (allowed or {}).items():
        if not isinstance(feature, Integral) or isinstance(values, str | _NONE | Real):
            raise _refusal("allowed", _EXPECTED["allowed"][1], {feature: values})
        only[int(feature)] = tuple(values)
    return only


def as_array(name: str, value: ArrayLike) -> NDArray[Any]:
    """The array of whatever type.

    Raises:
        SolverError: lists of different lengths in a list.
    """
    try:
        return np.asarray(value)
    except (TypeError, ValueError) as error:
        raise _refusal(name, "is an array of numbers", value) from error


def as_numbers(name: str, value: ArrayLike) -> NDArray[np.float64]:
    """The float64 array.

    Raises:
        SolverError: something else than numbers, or lists of different lengths.
    """
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise _refusal(name, "holds numbers", value) from error


def _refusal(name: str, expectation: str, value: object) -> SolverError:
    plain = isinstance(value, str | Real | _NONE | list | tuple | dict)
    given = repr(value) if plain else f"a value of type {type(value).__name__}"
    if isinstance(value, type):
        given = f"the class {value.__name__}"
    return SolverError(f"`{name}` {expectation}; got {given[:80]}.")
