"""What may be added to an ensemble's prediction: the objective is the prediction plus all terms.

Every term is exact: the claimed objective is recomputed from it at the solution.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from solvers.trees.arguments import as_numbers, check_types
from solvers.trees.features import Feature
from solvers.trees.measures import Coefficients, distances, linear
from solvers.trees.side_builder import SideModelBuilder
from vqlso.errors import SolverError


class Term(Protocol):
    """A part of the objective."""

    @property
    def mentions(self) -> Collection[int]:
        """The features it depends on."""

    def value(self, z: NDArray[np.float64], features: Sequence[Feature], /) -> float:
        """Its contribution at one point (n_features,)."""

    def add_to(self, builder: SideModelBuilder) -> None:
        """State it over the free cells.

        Raises:
            SolverError: it does not fit the ensemble's features.
        """

    def negated(self) -> Term:
        """The same with the other sign, as minimising needs it."""


@dataclass(frozen=True, eq=False)
class LinearTerm:
    """A sum over features.

    Attributes:
        coefficients: per feature one number a unit of its value, or for a categorical feature
            an array of K numbers, one a code.
    """

    coefficients: Coefficients

    def __post_init__(self) -> None:
        check_types(coefficients=self.coefficients)

    @property
    def mentions(self) -> Collection[int]:
        """See `Term`."""
        return self.coefficients.keys()

    def value(self, z: NDArray[np.float64], _features: Sequence[Feature]) -> float:
        """See `Term`."""
        return linear(self.coefficients, z)

    def add_to(self, builder: SideModelBuilder) -> None:
        """See `Term`."""
        builder.add_linear(builder.expression(self.coefficients))

    def negated(self) -> LinearTerm:
        """See `Term`."""
        return LinearTerm({f: -as_numbers("coefficients", c) for f, c in self.coefficients.items()})


@dataclass(frozen=True, eq=False)
class PairTerm:
    """A table over two categorical features, such as how well neighbouring codes go together.

    Attributes:
        first, second: the two features.
        table: (K of first, K of second) finite numbers.
    """

    first: int
    second: int
    table: NDArray[np.float64]

    @property
    def mentions(self) -> Collection[int]:
        """See `Term`."""
        return (self.first, self.second)

    def value(self, z: NDArray[np.float64], _features: Sequence[Feature]) -> float:
        """See `Term`."""
        return float(np.asarray(self.table)[int(z[self.first]), int(z[self.second])])

    def add_to(self, builder: SideModelBuilder) -> None:
        """See `Term`."""
        if self.first == self.second:
            raise SolverError(f"A pair term needs two features; got {self.first} twice.")
        builder.add_table(self.first, self.second, as_numbers("table", self.table))

    def negated(self) -> PairTerm:
        """See `Term`."""
        return replace(self, table=-as_numbers("table", self.table))


@dataclass(frozen=True, eq=False)
class DistanceTerm:
    """weight times the distance to the nearest of n points, as `distances` measures it.

    A positive weight seeks the unknown, a negative one stays near the data, as in the
    acquisition function of ENTMOOT (Thebelt et al., Computers and Chemical Engineering 151,
    2021).

    Attributes:
        data: (n, n_features) the points.
        weight: per unit of distance.
    """

    data: NDArray[np.float64] = field(repr=False)
    weight: float

    def __post_init__(self) -> None:
        check_types(weight=self.weight)

    @property
    def mentions(self) -> Collection[int]:
        """See `Term`."""
        return range(np.atleast_2d(self.data).shape[-1])

    def value(self, z: NDArray[np.float64], features: Sequence[Feature]) -> float:
        """See `Term`."""
        return self.weight * float(distances(np.asarray(self.data), z, features).min())

    def add_to(self, builder: SideModelBuilder) -> None:
        """See `Term`."""
        builder.add_nearest(builder.distance(self.data, "A distance term"), self.weight)

    def negated(self) -> DistanceTerm:
        """See `Term`."""
        return replace(self, weight=-self.weight)
