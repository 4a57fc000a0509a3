"""Sums of floats as sums of whole numbers, for engines that count in nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil, floor, isfinite, log2

import numpy as np
from numpy.typing import NDArray

from solvers.trees.backends.contract import UnsupportedError
from solvers.trees.measures import ROUNDING
from solvers.trees.side_model import ROW_TOLERANCE, DataDistance, Row

# By how much rounding may change an objective, relative to its largest term.
PRECISION = 1e-9
# Sums stay far enough from 2^63 for the engines' own arithmetic.
_LARGEST = 2.0**60


@dataclass(frozen=True)
class Scale:
    """Units in which an objective is counted.

    Attributes:
        units: whole numbers to 1; a power of two, so that multiplying by it is exact.
    """

    units: float

    @classmethod
    def of(cls, n_terms: int) -> Scale:
        """Fine enough for a sum of `n_terms` rounded terms to be true to `PRECISION`."""
        return cls(2.0 ** ceil(log2(max(1, n_terms) / PRECISION)))

    def up(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """The values in units, rounded up: a maximum over them bounds the true one from above.

        Raises:
            UnsupportedError: too large a number.
        """
        scaled = np.ceil(values * self.units)
        _check_size([float(np.abs(scaled).max(initial=0.0))])
        return scaled.astype(np.int64)


@dataclass(frozen=True, eq=False)
class WholeRow:
    """lower <= sum of weights[cell][label] <= upper in whole numbers; None where it is open."""

    weights: Mapping[int, NDArray[np.int64]]
    lower: int | None
    upper: int | None


def whole_row(row: Row) -> WholeRow:
    """The row in whole numbers.

    Whatever satisfies it does so here; what satisfies it here misses it by `ROW_TOLERANCE` and
    what rounding adds, which is at most as much.

    Raises:
        UnsupportedError: numbers within intervals count in it, or too large a number.
    """
    if row.slopes:
        raise UnsupportedError(
            f"The constraint '{row.name}' counts numbers within intervals, which an engine of "
            "whole numbers cannot: use a backend for mixed-integer programmes, such as 'highs'."
        )
    whole = all((weights % 1 == 0).all() for weights in row.weights.values())
    units = 1.0 if whole else 2.0 ** ceil(log2(max(1, len(row.weights)) / ROW_TOLERANCE))
    scaled = {cell: np.round(weights * units) for cell, weights in row.weights.items()}
    ends = [abs(end) * units for end in (row.lower, row.upper) if isfinite(end)]
    _check_size([*(float(np.abs(part).max()) for part in scaled.values()), *ends])
    below, above = (ROW_TOLERANCE + ROUNDING * abs(end) for end in (row.lower, row.upper))
    return WholeRow(
        weights={cell: part.astype(np.int64) for cell, part in scaled.items()},
        lower=ceil((row.lower - below) * units) if isfinite(row.lower) else None,
        upper=floor((row.upper + above) * units) if isfinite(row.upper) else None,
    )


def distance_row(name: str, distance: DataDistance, point: int, radius: float) -> WholeRow:
    """The distance to one of the points is at most `radius`."""
    weights = {cell: distance.of(cell)[point] for cell in range(len(distance.values))}
    return whole_row(Row(name, weights, {}, -np.inf, radius - float(distance.fixed[point])))


def _check_size(largest: Iterable[float]) -> None:
    if sum(largest) > _LARGEST:
        raise UnsupportedError(
            "The numbers differ too much in size to be counted in whole numbers: use a backend "
            "that computes in floating point, such as 'highs'."
        )
