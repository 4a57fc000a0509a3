"""What the features of an ensemble may be: codes, whole numbers or real numbers."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, inf, isfinite, isnan

from vqlso.errors import SolverError

# Libraries store categories as signed 32-bit integers.
_MOST_CATEGORIES = 2**31


@dataclass(frozen=True)
class Categorical:
    """A feature that takes one of the codes 0..categories-1, which have no order.

    Attributes:
        categories: K, the number of codes; 1 <= K < 2**31.

    Raises:
        SolverError: `categories` is no whole number in that range.
    """

    categories: int

    def __post_init__(self) -> None:
        if isinstance(self.categories, bool) or self.categories != int(self.categories):
            raise SolverError(f"A number of categories is whole; got {self.categories!r}.")
        if self.categories < 1:
            raise SolverError(f"A feature needs at least one category; got {self.categories}.")
        if self.categories >= _MOST_CATEGORIES:
            raise SolverError(
                f"A feature has fewer than 2**31 = {_MOST_CATEGORIES} categories; "
                f"got {self.categories}."
            )
        object.__setattr__(self, "categories", int(self.categories))


@dataclass(frozen=True)
class Integer:
    """A feature that takes the whole numbers of [lower, upper].

    Attributes:
        lower, upper: the bounds, which belong to the range; infinite where there is none.

    Raises:
        SolverError: a bound is nan, or no whole number lies between them.
    """

    lower: float = -inf
    upper: float = inf

    def __post_init__(self) -> None:
        _check_bounds(self.lower, self.upper)
        lowest = ceil(self.lower) if isfinite(self.lower) else self.lower
        highest = floor(self.upper) if isfinite(self.upper) else self.upper
        if lowest > highest:
            raise SolverError(f"No whole number lies in [{self.lower}, {self.upper}].")


@dataclass(frozen=True)
class Continuous:
    """A feature that takes the real numbers of [lower, upper].

    Attributes:
        lower, upper: the bounds, which belong to the range; infinite where there is none.

    Raises:
        SolverError: a bound is nan, or the lower one exceeds the upper one.
    """

    lower: float = -inf
    upper: float = inf

    def __post_init__(self) -> None:
        _check_bounds(self.lower, self.upper)


Feature = Categorical | Integer | Continuous


def _check_bounds(lower: float, upper: float) -> None:
    if isnan(lower) or isnan(upper):
        raise SolverError(f"The bounds of a feature are numbers; got [{lower}, {upper}].")
    if lower > upper or lower == inf or upper == -inf:
        raise SolverError(f"No number lies in [{lower}, {upper}]: give the lower bound first.")
