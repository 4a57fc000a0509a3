"""What is added to an ensemble: terms of the objective and constraints, over the free cells.

A choice is counted within its cell, a cell within the free ones. After the reduction the same
classes speak of labels instead of choices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from solvers.trees.measures import ROUNDING, feature_distances

# What sums may be off by where a constraint is tested, by themselves and relative to its bounds.
ROW_TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class PairTable:
    """A contribution of two cells, first < second: (choices of first, choices of second)."""

    first: int
    second: int
    values: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Row:
    """lower <= sum of weights[cell][choice] + sum of slopes[cell] * number <= upper.

    Attributes:
        name: of the constraint it states, for messages.
        weights: cell -> (choices,) float64.
        slopes: cell -> per unit of the number that a cell of intervals takes.
        lower, upper: -inf and inf where open.
    """

    name: str
    weights: Mapping[int, NDArray[np.float64]]
    slopes: Mapping[int, float]
    lower: float
    upper: float

    def holds(self, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(n,) sums -> (n,) whether they lie within the bounds, but for rounding."""
        below, above = (row_slack(bound) for bound in (self.lower, self.upper))
        holds: NDArray[np.bool_] = (values >= self.lower - below) & (values <= self.upper + above)
        return holds


@dataclass(frozen=True, eq=False)
class DataDistance:
    """Distances of the choices to n points: codes count as 0 or 1, numbers by scale.

    Attributes:
        centres: (n, t) float64, the points' values in the free cells.
        values: of each cell's choices.
        scales: (t,), what a unit of a numeric cell counts; 0 where a cell holds codes.
        fixed: (n,) distance of each point in all other cells.
    """

    centres: NDArray[np.float64]
    values: tuple[NDArray[np.float64], ...]
    scales: NDArray[np.float64]
    fixed: NDArray[np.float64]

    def of(self, cell: int) -> NDArray[np.float64]:
        """(n, choices of the cell)."""
        return feature_distances(self.centres[:, cell, None], self.values[cell], self.scales[cell])

    def nearest(self, choices: NDArray[np.int64]) -> NDArray[np.float64]:
        """(m, t) choices -> (m,) distance to the nearest point."""
        parts = [self.of(cell) for cell in range(len(self.values))]
        nearest = np.full(len(choices), np.inf)
        for point, fixed in enumerate(self.fixed):
            distance = np.full(len(choices), fixed)
            for cell, part in enumerate(parts):
                distance += part[point][choices[:, cell]]
            np.minimum(nearest, distance, out=nearest)
        return nearest


@dataclass(frozen=True, eq=False)
class DistanceLimit:
    """The nearest of the points is at most `radius` away."""

    name: str
    distance: DataDistance
    radius: float

    def holds(self, choices: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(m, t) choices -> (m,) whether it holds, but for rounding."""
        holds: NDArray[np.bool_] = self.distance.nearest(choices) <= self.radius + ROW_TOLERANCE
        return holds


@dataclass(frozen=True, eq=False)
class NearestDistance:
    """weight times the distance to the nearest point is part of the objective."""

    distance: DataDistance
    weight: float


@dataclass(frozen=True, eq=False)
class NumberCell:
    """A cell whose number, not only its interval, matters.

    The number is counted in units of its own: the feature's value is origin + unit * number.

    Attributes:
        lower, upper: (choices,) the interval of each choice.
        slope: contribution to the objective per unit of the number.
        is_whole: whether only whole numbers count.
        origin, unit: such that the lowest number is 0, and the highest 1 unless it is whole.
    """

    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    slope: float
    is_whole: bool
    origin: float = 0.0
    unit: float = 1.0


@dataclass(frozen=True, eq=False)
class SideModel:
    """What couples the free cells, apart from the trees.

    Attributes:
        pairs: pairwise terms, at most one a pair of cells.
        rows: linear constraints.
        limits: constraints on the nearest of several points.
        nearest: distance terms.
        numbers: cells whose number matters.
    """

    pairs: tuple[PairTable, ...] = ()
    rows: tuple[Row, ...] = ()
    limits: tuple[DistanceLimit, ...] = ()
    nearest: tuple[NearestDistance, ...] = ()
    numbers: Mapping[int, NumberCell] = field(default_factory=dict)

    @property
    def is_constrained(self) -> bool:
        """Whether some combinations of choices are forbidden."""
        return bool(self.rows or self.limits)

    def signature(self, cell: int) -> list[NDArray[np.generic]]:
        """Arrays whose last axis is the cell's choices: equal columns play equal parts."""
        columns: list[NDArray[np.generic]] = []
        for pair in self.pairs:
            if pair.first == cell:
                columns.append(pair.values.T)
            elif pair.second == cell:
                columns.append(pair.values)
        columns += [row.weights[cell][None] for row in self.rows if cell in row.weights]
        columns += [part.distance.of(cell) for part in self.limits]
        columns += [part.distance.of(cell) for part in self.nearest]
        if cell in self.numbers:
            columns.append(np.arange(len(self.numbers[cell].lower))[None])
        return columns

    def scaled(self, factor: float) -> SideModel:
        """All contributions to the objective times `factor` > 0."""
        return replace(
            self,
            pairs=tuple(replace(pair, values=pair.values * factor) for pair in self.pairs),
            nearest=tuple(replace(part, weight=part.weight * factor) for part in self.nearest),
            numbers={
                cell: replace(number, slope=number.slope * factor)
                for cell, number in self.numbers.items()
            },
        )

    def kept(self, kept: Sequence[NDArray[np.int64]]) -> SideModel:
        """The model of a few choices: `kept[cell]` are those that remain, in order."""

        def weights(row: Row) -> dict[int, NDArray[np.float64]]:
            return {cell: weight[kept[cell]] for cell, weight in row.weights.items()}

        def distance(old: DataDistance) -> DataDistance:
            values = tuple(v[k] for v, k in zip(old.values, kept, strict=True))
            return replace(old, values=values)

        return replace(
            self,
            pairs=tuple(
                replace(p, values=p.values[np.ix_(kept[p.first], kept[p.second])])
                for p in self.pairs
            ),
            rows=tuple(replace(row, weights=weights(row)) for row in self.rows),
            limits=tuple(replace(part, distance=distance(part.distance)) for part in self.limits),
            nearest=tuple(replace(part, distance=distance(part.distance)) for part in self.nearest),
            numbers={
                cell: replace(n, lower=n.lower[kept[cell]], upper=n.upper[kept[cell]])
                for cell, n in self.numbers.items()
            },
        )


def row_slack(bound: float) -> float:
    """By how much a sum may pass one end of a row and count as within, for rounding."""
    return ROW_TOLERANCE + ROUNDING * abs(bound) if np.isfinite(bound) else 0.0
