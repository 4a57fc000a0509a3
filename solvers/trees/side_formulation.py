"""Terms and constraints as columns and rows of the leaf formulation."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from solvers.trees.programme import ProgrammeBuilder
from solvers.trees.reduced import ReducedEnsemble
from solvers.trees.side_model import DataDistance, NearestDistance, PairTable


def add_sides(
    reduced: ReducedEnsemble, builder: ProgrammeBuilder, first_label: NDArray[np.int64]
) -> dict[int, int]:
    """Add all of `reduced.side`; cell -> the column of its number."""
    side = reduced.side
    labels = [np.arange(a, b) for a, b in pairwise(first_label)]
    numbers = {
        cell: _number(
            builder, labels[cell], number.lower, number.upper, number.slope, number.is_whole
        )
        for cell, number in side.numbers.items()
    }
    for row in side.rows:
        columns = [labels[cell] for cell in row.weights] + [[numbers[cell]] for cell in row.slopes]
        coefficients = np.concatenate([*row.weights.values(), list(row.slopes.values())])
        builder.row(_joined(columns), coefficients, row.lower, row.upper)
    for pair in side.pairs:
        _pair(builder, pair, labels[pair.first], labels[pair.second])
    for limit in side.limits:
        some = _one_point(builder, len(limit.distance.fixed))
        _near(builder, limit.distance, labels, some, [], limit.radius)
    for part in side.nearest:
        _nearest(builder, part, labels)
    return numbers


def _number(
    builder: ProgrammeBuilder,
    labels: NDArray[np.int64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    slope: float,
    is_whole: bool,
) -> int:
    """A column for the cell's number, within the interval of its label."""
    column = builder.columns(
        np.array([slope]), lower=float(lower.min()), upper=float(upper.max()), integer=is_whole
    )
    columns = np.concatenate([column, labels])
    builder.row(columns, np.concatenate([[1.0], -lower]), 0.0, np.inf)
    builder.row(columns, np.concatenate([[1.0], -upper]), -np.inf, 0.0)
    return int(column[0])


def _pair(
    builder: ProgrammeBuilder,
    pair: PairTable,
    first: NDArray[np.int64],
    second: NDArray[np.int64],
) -> None:
    """The local polytope of a pair: its marginals are those of its two cells.

    Labels whose rows (or columns) of the table are equal share a marginal.
    """
    table, row_class = np.unique(pair.values, axis=0, return_inverse=True)
    table, column_class = np.unique(table, axis=1, return_inverse=True)
    joint = builder.columns(table.ravel()).reshape(table.shape)
    for marginals, labels, classes in (
        (joint, first, row_class),
        (joint.T, second, column_class),
    ):
        for group, columns in enumerate(marginals):
            members = labels[classes.ravel() == group]
            builder.row(
                np.concatenate([columns, members]),
                np.concatenate([np.ones(len(columns)), -np.ones(len(members))]),
                0.0,
                0.0,
            )


def _one_point(builder: ProgrammeBuilder, n: int) -> NDArray[np.int64]:
    """Binary columns, one a point, of which exactly one is 1."""
    some = builder.columns(np.zeros(n), integer=True)
    builder.row(some, np.ones(n), 1.0, 1.0)
    return some


def _near(
    builder: ProgrammeBuilder,
    distance: DataDistance,
    labels: list[NDArray[np.int64]],
    some: NDArray[np.int64],
    bound: list[int],
    radius: float,
) -> None:
    """The distance to the chosen point is at most `radius`, or the column in `bound`."""
    parts = [distance.of(cell) for cell in range(len(labels))]
    for point, (fixed, column) in enumerate(zip(distance.fixed, some, strict=True)):
        farthest = fixed + sum(float(part[point].max()) for part in parts)
        builder.row(
            _joined([*labels, [column], bound]),
            np.concatenate([*(part[point] for part in parts), [farthest], [-1.0] * len(bound)]),
            -np.inf,
            radius + farthest - fixed,
        )


def _nearest(
    builder: ProgrammeBuilder, part: NearestDistance, labels: list[NDArray[np.int64]]
) -> None:
    """A column for the distance to the nearest point.

    Seeking distance, it is below every distance; seeking nearness, above one of them.
    """
    column = builder.columns(np.array([part.weight]), upper=np.inf)
    if part.weight <= 0:
        some = _one_point(builder, len(part.distance.fixed))
        _near(builder, part.distance, labels, some, [int(column[0])], 0.0)
        return
    cells = [part.distance.of(cell) for cell in range(len(labels))]
    columns = _joined([*labels, column])
    for point, fixed in enumerate(part.distance.fixed):
        counted = np.concatenate([*(cell[point] for cell in cells), [-1.0]])
        builder.row(columns, counted, -fixed, np.inf)


def _joined(columns: list[NDArray[np.int64] | list[int]]) -> NDArray[np.int64]:
    return np.concatenate([np.asarray(part, dtype=np.int64) for part in columns])
