"""Collects terms and constraints as they read over an instance's free cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike, NDArray

from solvers.trees.arguments import as_numbers, check_types
from solvers.trees.domains import Domain
from solvers.trees.features import Categorical, Feature
from solvers.trees.measures import Coefficients, feature_distances, scales
from solvers.trees.side_model import (
    DataDistance,
    DistanceLimit,
    NearestDistance,
    NumberCell,
    PairTable,
    Row,
    SideModel,
)
from solvers.trees.side_numbers import number_cell, standard_rows
from vqlso.errors import SolverError


@dataclass(frozen=True, eq=False)
class Expression:
    """constant + sum of weights[cell][choice] + sum of slopes[cell] * number, over free cells."""

    constant: float
    weights: dict[int, NDArray[np.float64]]
    slopes: dict[int, float]


@dataclass(frozen=True, eq=False)
class Sides:
    """What terms and constraints became.

    Attributes:
        constant: what the fixed features contribute.
        unary: per free cell (choices,), what each choice contributes by itself.
        model: what couples the cells.
        domains: of the free cells; an interval may take another of its numbers now.
    """

    constant: float
    unary: tuple[NDArray[np.float64], ...]
    model: SideModel
    domains: tuple[Domain, ...]


@dataclass(eq=False)
class SideModelBuilder:
    """What terms and constraints need to know of an instance, and what they made of it.

    Attributes:
        features: of the ensemble.
        free: (t,) features that are free; a free cell is its position here.
        reference: (n_features,) float64, what the others are.
        domains: of the free cells.
    """

    features: Sequence[Feature]
    free: NDArray[np.int64]
    reference: NDArray[np.float64]
    domains: tuple[Domain, ...]
    _constant: float = 0.0
    _pairs: dict[tuple[int, int], NDArray[np.float64]] = field(default_factory=dict)
    _rows: list[Row] = field(default_factory=list)
    _limits: list[DistanceLimit] = field(default_factory=list)
    _nearest: list[NearestDistance] = field(default_factory=list)
    _slopes: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._cell = {int(feature): cell for cell, feature in enumerate(self.free)}
        self._unary = [np.zeros(len(domain)) for domain in self.domains]

    def cell(self, feature: int) -> int | None:
        """The free cell of a feature; None if it is fixed.

        Raises:
            SolverError: there is no such feature.
        """
        check_types(feature=feature)
        if not 0 <= feature < len(self.features):
            raise SolverError(
                f"There is no feature {feature}; the ensemble has 0..{len(self.features) - 1}."
            )
        return self._cell.get(feature)

    def table(self, feature: int, coefficient: float | ArrayLike) -> NDArray[np.float64] | None:
        """(K,) what each code of a categorical feature counts; None for a number."""
        if np.ndim(coefficient) == 0:
            return None
        kind = self.features[feature]
        table = np.asarray(coefficient, dtype=np.float64)
        if not isinstance(kind, Categorical) or table.shape != (kind.categories,):
            raise SolverError(
                f"Feature {feature} is {kind}: its coefficient is one number a unit, or one a "
                f"code; got shape {table.shape}."
            )
        return table

    def expression(self, coefficients: Coefficients) -> Expression:
        """A linear function of all features, as it reads over the free cells.

        Raises:
            SolverError: a coefficient that does not fit its feature, or is not finite; a fixed
                feature that is missing.
        """
        result = Expression(0.0, {}, {})
        constant = 0.0
        for feature, coefficient in coefficients.items():
            if not np.isfinite(as_numbers("coefficients", coefficient)).all():
                raise SolverError(f"The coefficient of feature {feature} is not finite.")
            cell, table = self.cell(feature), self.table(feature, coefficient)
            if cell is None:
                constant += _at(self.reference[feature], coefficient, table, feature)
            elif table is not None:
                result.weights[cell] = table[self.domains[cell].values.astype(np.int64)]
            elif self.domains[cell].is_range:
                result.slopes[cell] = float(coefficient)  # type: ignore[arg-type]
            else:
                result.weights[cell] = self.domains[cell].values * float(coefficient)  # type: ignore[arg-type]
        return replace(result, constant=constant)

    def single_valued(self, feature: int, purpose: str) -> int | None:
        """As `cell`, of a feature whose values can be told apart one by one.

        Raises:
            SolverError: the feature is free and has a continuum of values.
        """
        cell = self.cell(feature)
        if cell is not None and self.domains[cell].is_range:
            raise SolverError(
                f"{purpose} compares single values, but feature {feature} ranges over "
                f"{self.features[feature]}: make it Integer with narrow bounds, or fix it."
            )
        return cell

    def check_value(self, feature: int, value: float, purpose: str) -> None:
        """Refuse what is no number, and what is no code of a categorical feature.

        Numbers may lie outside a feature's range, as those of data can.

        Raises:
            SolverError: as said, or there is no such feature.
        """
        self.cell(feature)
        kind = self.features[feature]
        if not isinstance(value, Real) or np.isnan(value):
            raise SolverError(
                f"{purpose} needs a number for each of its features; got {value!r} for feature "
                f"{feature}. Leave out what is missing."
            )
        if isinstance(kind, Categorical) and not (
            0 <= value < kind.categories and float(value).is_integer()
        ):
            raise SolverError(
                f"{purpose} has {value} for feature {feature}, whose codes are "
                f"0..{kind.categories - 1}."
            )

    def add_linear(self, expression: Expression) -> None:
        """Add to the objective."""
        self._constant += expression.constant
        for cell, weights in expression.weights.items():
            self._unary[cell] += weights
        for cell, slope in expression.slopes.items():
            self._slopes[cell] = self._slopes.get(cell, 0.0) + slope

    def add_table(self, first: int, second: int, table: NDArray[np.float64]) -> None:
        """Add (K of feature `first`, K of feature `second`) to the objective.

        Raises:
            SolverError: the shape is another, or a number is not finite.
        """
        shape = tuple(self._categories(feature) for feature in (first, second))
        if table.shape != shape or not np.isfinite(table).all():
            raise SolverError(
                f"A pair term on features {first} and {second} is a table of finite numbers of "
                f"shape {shape}; got shape {table.shape}."
            )
        cells = self.cell(first), self.cell(second)
        values = table[np.ix_(self._codes(first), self._codes(second))]
        match cells:
            case None, None:
                self._constant += float(values[0, 0])
            case None, int(cell):
                self._unary[cell] += values[0]
            case int(cell), None:
                self._unary[cell] += values[:, 0]
            case int(i), int(j):
                key, oriented = ((i, j), values) if i < j else ((j, i), values.T)
                self._pairs[key] = self._pairs.get(key, 0.0) + oriented

    def _categories(self, feature: int) -> int:
        self.cell(feature)
        kind = self.features[feature]
        if not isinstance(kind, Categorical):
            raise SolverError(f"A pair term needs categorical features; {feature} is {kind}.")
        return kind.categories

    def _codes(self, feature: int) -> NDArray[np.int64]:
        """The codes that a feature can still take."""
        cell = self.cell(feature)
        values = self.reference[[feature]] if cell is None else self.domains[cell].values
        if np.isnan(values).any():
            raise SolverError(
                f"Feature {feature} is missing in the reference, but counts in a pair term."
            )
        return values.astype(np.int64)

    def add_row(self, name: str, expression: Expression, lower: float, upper: float) -> None:
        """Demand lower <= expression <= upper."""
        lower, upper = lower - expression.constant, upper - expression.constant
        self._rows.append(Row(name, expression.weights, expression.slopes, lower, upper))

    def distance(self, data: NDArray[np.float64], purpose: str) -> DataDistance:
        """Distances to the rows of (n, n_features) `data`: the number of codes that differ.

        A numeric feature counts the share of its range that lies between two numbers (Gower).
        """
        data = as_numbers("data", data)
        if data.ndim != 2 or not len(data) or data.shape[1] != len(self.features):
            raise SolverError(
                f"{purpose} needs points of shape (n, {len(self.features)}); got {data.shape}."
            )
        if np.isinf(data).any():
            raise SolverError(f"{purpose} needs finite points, or NaN where a number is missing.")
        scale = scales(self.features, purpose)
        for feature in self.free.tolist():
            self.single_valued(feature, purpose)
        counted = feature_distances(data, self.reference, scale)
        counted[:, self.free] = 0.0
        return DataDistance(
            centres=data[:, self.free],
            values=tuple(domain.values for domain in self.domains),
            scales=scale[self.free],
            fixed=counted.sum(axis=1),
        )

    def add_limit(self, name: str, distance: DataDistance, radius: float) -> None:
        """Demand that the nearest point is at most `radius` away."""
        if np.isfinite(radius):
            self._limits.append(DistanceLimit(name, distance, radius))

    def add_nearest(self, distance: DataDistance, weight: float) -> None:
        """Add weight times the distance to the nearest point to the objective."""
        if not np.isfinite(weight):
            raise SolverError(f"The weight of a distance is a finite number; got {weight}.")
        if weight:
            self._nearest.append(NearestDistance(distance, weight))

    def build(self) -> Sides:
        """All that was added.

        Raises:
            SolverError: a term grows without bound, or a constraint on numbers without bounds.
            InfeasibleError: a constraint that the free cells have no part in is missed.
        """
        domains = list(self.domains)
        unary = list(self._unary)
        numbers: dict[int, NumberCell] = {}
        constant = self._constant
        in_rows = {cell for row in self._rows for cell in row.slopes}
        for cell in sorted(in_rows | set(self._slopes)):
            domain, slope = domains[cell], self._slopes.get(cell, 0.0)
            best = domain.upper if slope > 0 else domain.lower
            if cell in in_rows:
                self._check_bounded(cell, np.concatenate([domain.lower, domain.upper]))
                numbers[cell] = number_cell(domain, slope)
                constant += slope * numbers[cell].origin
            elif slope:
                self._check_bounded(cell, best)
                domains[cell] = replace(domain, values=best)
                unary[cell] = unary[cell] + slope * best
        model = SideModel(
            pairs=tuple(PairTable(i, j, table) for (i, j), table in self._pairs.items()),
            rows=standard_rows(self._rows, numbers),
            limits=tuple(self._limits),
            nearest=tuple(self._nearest),
            numbers=numbers,
        )
        return Sides(constant, tuple(unary), model, tuple(domains))

    def _check_bounded(self, cell: int, numbers: NDArray[np.float64]) -> None:
        if not np.isfinite(numbers).all():
            raise SolverError(
                f"Feature {self.free[cell]} counts in a sum, but has no bounds: state them, as "
                "in Continuous(lower, upper)."
            )


def _at(
    value: float, coefficient: float | ArrayLike, table: NDArray[np.float64] | None, feature: int
) -> float:
    if np.isnan(value):
        raise SolverError(f"Feature {feature} is missing in the reference, but counts in a sum.")
    if table is None:
        return float(value) * float(coefficient)  # type: ignore[arg-type]
    if not 0 <= value < len(table):
        raise SolverError(f"The reference's code {value:g} of feature {feature} has no weight.")
    return float(table[int(value)])
