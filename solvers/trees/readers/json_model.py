"""Access to the entries of a model in JSON, whose every fault is named."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vqlso.errors import SolverError

Json = Any


def entry(block: Json, key: str) -> Json:
    """What `block` holds under `key`; SolverError if it is no object or has no such key."""
    if not isinstance(block, dict) or key not in block:
        raise SolverError(f"The JSON is no complete XGBoost model: `{key}` is missing.")
    return block[key]


def whole(block: Json, key: str, default: str | None = None) -> int:
    """The whole number, often written as text, under `key`."""
    absent = default is not None and isinstance(block, dict) and key not in block
    value = default if absent else entry(block, key)
    try:
        return int(value)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise SolverError(f"`{key}` of the model is '{value}', no whole number.") from error


def integers(values: Json, key: str) -> NDArray[np.int64]:
    """(n,) the whole numbers of a list."""
    return np.asarray(_numbers(values, key, np.int64))


def floats(values: Json, key: str) -> NDArray[np.float32]:
    """(n,) the numbers of a list, in float32."""
    return np.asarray(_numbers(values, key, np.float32))


def _numbers(values: Json, key: str, dtype: type) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.array(values, dtype=dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise SolverError(f"`{key}` of the model cannot be read: {error}.") from error
    if array.ndim != 1:
        raise SolverError(f"`{key}` of the model is no list of numbers.")
    return array
