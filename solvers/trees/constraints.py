"""What solutions may be demanded to satisfy, in words of the features."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from solvers.trees.arguments import as_numbers, check_types
from solvers.trees.features import Feature
from solvers.trees.measures import ROUNDING, Coefficients, distances, linear_violation
from solvers.trees.side_builder import Expression, SideModelBuilder
from vqlso.errors import SolverError


class Constraint(Protocol):
    """A demand on the features."""

    @property
    def name(self) -> str:
        """What it demands, in a few words, for messages."""

    @property
    def mentions(self) -> Collection[int]:
        """The features it depends on."""

    def violation(self, z: NDArray[np.float64], features: Sequence[Feature], /) -> float:
        """By how much a point (n_features,) misses it; 0 where it holds."""

    def add_to(self, builder: SideModelBuilder) -> None:
        """State it over the free cells.

        Raises:
            SolverError: it does not fit the ensemble's features.
        """


@dataclass(frozen=True, eq=False)
class Linear:
    """lower <= sum of coefficients <= upper.

    Attributes:
        coefficients: per feature one number a unit of its value, or for a categorical feature
            an array of K numbers, one a code.
        lower, upper: at least one of them finite.
    """

    coefficients: Coefficients
    lower: float = -np.inf
    upper: float = np.inf

    def __post_init__(self) -> None:
        check_types(coefficients=self.coefficients, lower=self.lower, upper=self.upper)

    @property
    def name(self) -> str:
        """See `Constraint`."""
        features = ", ".join(map(str, self.coefficients))
        below = f"{self.lower:g} <= " if self.lower > -np.inf else ""
        above = f" <= {self.upper:g}" if self.upper < np.inf else ""
        return f"{below}sum over features {features}{above}"

    @property
    def mentions(self) -> Collection[int]:
        """See `Constraint`."""
        return self.coefficients.keys()

    def violation(self, z: NDArray[np.float64], features: Sequence[Feature]) -> float:
        """See `Constraint`."""
        return linear_violation(self.coefficients, z, features, self.lower, self.upper)

    def add_to(self, builder: SideModelBuilder) -> None:
        """See `Constraint`."""
        if not self.lower <= self.upper or not np.isfinite([self.lower, self.upper]).any():
            raise SolverError(
                f"A linear constraint needs lower <= upper, one of them finite: {self.name}."
            )
        builder.add_row(self.name, builder.expression(self.coefficients), self.lower, self.upper)


@dataclass(frozen=True)
class Equal:
    """Two features take the same value: two codes, or two numbers."""

    first: int
    second: int

    @property
    def name(self) -> str:
        """See `Constraint`."""
        return f"feature {self.first} equals feature {self.second}"

    @property
    def mentions(self) -> Collection[int]:
        """See `Constraint`."""
        return (self.first, self.second)

    def violation(self, z: NDArray[np.float64], features: Sequence[Feature]) -> float:
        """See `Constraint`."""
        return linear_violation({self.first: 1, self.second: -1}, z, features, 0.0, 0.0)

    def add_to(self, builder: SideModelBuilder) -> None:
        """See `Constraint`."""
        if self.first == self.second:
            raise SolverError(f"Feature {self.first} always equals itself: name two features.")
        builder.add_row(self.name, builder.expression({self.first: 1, self.second: -1}), 0.0, 0.0)


@dataclass(frozen=True)
class Forbidden:
    """Not all of these features take these values at once, such as a point queried before.

    Attributes:
        values: per feature the value that completes the forbidden combination, a code of it if it
            is categorical.
    """

    values: Mapping[int, float]

    def __post_init__(self) -> None:
        check_types(values=self.values)

    @property
    def name(self) -> str:
        """See `Constraint`."""
        return f"forbidden: {dict(self.values)}"

    @property
    def mentions(self) -> Collection[int]:
        """See `Constraint`."""
        return self.values.keys()

    def violation(self, z: NDArray[np.float64], _features: Sequence[Feature]) -> float:
        """See `Constraint`."""
        return float(all(z[feature] == value for feature, value in self.values.items()))

    def add_to(self, builder: SideModelBuilder) -> None:
        """See `Constraint`."""
        if not self.values:
            raise SolverError("A forbidden combination names at least one feature and value.")
        for feature, value in self.values.items():
            builder.check_value(feature, value, "A forbidden combination")
        matches = Expression(0.0, {}, {})
        open_values = 0
        for feature, value in self.values.items():
            cell = builder.single_valued(feature, "A forbidden combination")
            if cell is None:
                if builder.reference[feature] != value:
                    return
                continue
            open_values += 1
            matches.weights[cell] = (builder.domains[cell].values == value).astype(np.float64)
        builder.add_row(self.name, matches, -np.inf, open_values - 1.0)


@dataclass(frozen=True, eq=False)
class HammingBall:
    """At most `radius` away from the nearest of some points, the union of their balls.

    Between codes it is the Hamming distance: the number of features that differ. A numeric feature
    counts as a part of one, the difference as a share of its range; with such features it is the
    distance of Gower, as `solvers.trees.measures.distances` has it.

    Attributes:
        centres: (n_features,) one point, or (n, n_features) several.
        radius: >= 0.
    """

    centres: NDArray[np.float64] = field(repr=False)
    radius: float

    def __post_init__(self) -> None:
        check_types(radius=self.radius)

    @property
    def name(self) -> str:
        """See `Constraint`."""
        n = len(self._points)
        return f"within {self.radius:g} of " + ("a point" if n == 1 else f"one of {n} points")

    @property
    def mentions(self) -> Collection[int]:
        """See `Constraint`."""
        return range(self._points.shape[1])

    @property
    def _points(self) -> NDArray[np.float64]:
        return np.atleast_2d(as_numbers("centres", self.centres))

    def violation(self, z: NDArray[np.float64], features: Sequence[Feature]) -> float:
        """See `Constraint`."""
        miss = float(distances(self._points, z, features).min()) - self.radius
        return miss if miss > ROUNDING * len(features) else 0.0

    def add_to(self, builder: SideModelBuilder) -> None:
        """See `Constraint`."""
        if not self.radius >= 0:
            raise SolverError(f"The radius of a ball is a number >= 0; got {self.radius}.")
        distance = builder.distance(self._points, "A Hamming ball")
        if len(self._points) > 1:
            builder.add_limit(self.name, distance, self.radius)
            return
        weights = {cell: distance.of(cell)[0] for cell in range(len(builder.free))}
        expression = Expression(float(distance.fixed[0]), weights, {})
        builder.add_row(self.name, expression, -np.inf, self.radius)
