"""Linear constraints over labels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.trees.tables.factors import Factors, value


class Rows(NamedTuple):
    """lower <= sum over cells of weights[cell, group] <= upper.

    Labels whose weights are equal in all rows share a group, so that weights are few.

    The bounds allow for rounding already.

    Attributes:
        weights: (t, groups, R) float64.
        lower, upper: (R,) float64.
    """

    weights: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]


@njit(cache=True)
def activity(factors: Factors, rows: Rows, labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """(R,) the sums at labels (t + 1,)."""
    total = np.zeros(len(rows.lower))
    if len(total):
        for cell in range(len(labels) - 1):
            total += rows.weights[cell, factors.group[cell, labels[cell]]]
    return total


@njit(cache=True)
def holds(rows: Rows, sums: NDArray[np.float64]) -> bool:
    """Whether all rows hold at these sums (R,)."""
    return could_hold(rows, sums, sums)


@njit(cache=True)
def could_hold(rows: Rows, least: NDArray[np.float64], most: NDArray[np.float64]) -> bool:
    """Whether no row is missed by all sums between `least` and `most` (R,)."""
    for r in range(len(rows.lower)):
        if least[r] > rows.upper[r] or most[r] < rows.lower[r]:
            return False
    return True


@njit(cache=True)
def reached_at(factors: Factors, rows: Rows, labels: NDArray[np.int64]) -> float:
    """The value at labels (t + 1,); -inf where a row is missed."""
    if not holds(rows, activity(factors, rows, labels)):
        return -np.inf
    return value(factors, labels)


@njit(cache=True)
def holds_with(
    factors: Factors, rows: Rows, sums: NDArray[np.float64], cell: int, old: int, new: int
) -> bool:
    """Whether all rows hold once a cell goes from one label to another."""
    if len(rows.lower) == 0 or factors.group[cell, old] == factors.group[cell, new]:
        return True
    before = rows.weights[cell, factors.group[cell, old]]
    after = rows.weights[cell, factors.group[cell, new]]
    return holds(rows, sums - before + after)
