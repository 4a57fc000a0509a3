"""What a free cell may become: finitely many choices, whatever kind of feature it is.

A sum of trees is constant between the thresholds of a numeric feature, so that an interval is one
choice, as a code is one of a categorical feature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from solvers.trees.arguments import as_numbers
from solvers.trees.ensemble import TreeEnsemble
from solvers.trees.features import Categorical, Feature, Integer
from vqlso.errors import SolverError

# An integer feature that terms or constraints mention is spelt out number by number up to here.
MOST_NUMBERS = 4096
# LightGBM's kZeroThreshold, as in `solvers.trees.traversal`.
_TINY = float(np.float32(1e-35))


@dataclass(frozen=True, eq=False)
class Domain:
    """The choices of one free cell, in ascending order.

    Attributes:
        values: (n,) float64, what the cell takes if the choice is made; lower <= values <= upper.
        lower, upper: (n,) float64, the closed interval of each choice, in which the ensemble is
            constant; equal to `values` for codes and for numbers that are spelt out.
        is_whole: whether only whole numbers count.
    """

    values: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    is_whole: bool

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def is_range(self) -> bool:
        """Whether a choice leaves more than one number open."""
        return bool((self.lower < self.upper).any())

    @cached_property
    def are_codes(self) -> bool:
        """Whether choice c is the code c."""
        return self.is_whole and not self.is_range and np.array_equal(self.values, range(len(self)))

    def choice(self, value: float) -> int:
        """The choice that holds `value`; -1 if none does."""
        if self.is_whole and value % 1:
            return -1
        at = int(np.searchsorted(self.lower, value, side="right")) - 1
        return at if at >= 0 and value <= self.upper[at] else -1

    def at(self, value: float) -> Domain:
        """The same choices, each taking the number nearest to `value`."""
        if not self.is_range or np.isnan(value):
            return self
        return replace(self, values=np.clip(value, self.lower, self.upper))

    def with_choices(self, kept: NDArray[np.int64]) -> Domain:
        """Only some of the choices, ascending."""
        return replace(
            self, values=self.values[kept], lower=self.lower[kept], upper=self.upper[kept]
        )

    def restricted(self, allowed: Sequence[float], feature: int) -> Domain:
        """Only the choices of `feature` that hold an allowed value, which they then take.

        Raises:
            SolverError: nothing is allowed, or a value that the feature cannot take.
        """
        values = np.unique(as_numbers("allowed", allowed))
        if not values.size:
            raise SolverError(
                f"No value is allowed to feature {feature}: leave it out of `free` instead."
            )
        unknown = [value for value in values if self.choice(value) < 0]
        if unknown:
            raise SolverError(
                f"Feature {feature} cannot take {unknown[0]:g}, which is allowed to it."
            )
        return Domain(values, values, values, self.is_whole)


def domain(ensemble: TreeEnsemble, feature: int, *, spelt_out: bool) -> Domain:
    """The choices of a feature of the ensemble.

    Args:
        ensemble: of known features.
        feature: its number.
        spelt_out: an integer feature of at most `MOST_NUMBERS` values has one choice a value,
            instead of one an interval between thresholds.

    Raises:
        SolverError: the ensemble's features are unknown, or no number lies within its bounds.
    """
    if ensemble.features is None:
        raise SolverError(
            "The values to choose from are unknown: read the ensemble with `categories=K` or "
            "`features=[...]`."
        )
    kind = ensemble.features[feature]
    if isinstance(kind, Categorical):
        return _codes(kind.categories)
    is_whole = isinstance(kind, Integer)
    low, high = _bounds(kind, feature)
    if is_whole and spelt_out and high - low < MOST_NUMBERS:
        numbers = np.arange(low, high + 1)
        return Domain(numbers, numbers, numbers, is_whole)
    lower, upper = _intervals(ensemble, feature, low, high, is_whole)
    return Domain(np.clip(0.0, lower, upper), lower, upper, is_whole)


@lru_cache(maxsize=64)
def _codes(categories: int) -> Domain:
    codes = np.arange(categories, dtype=np.float64)
    codes.setflags(write=False)
    return Domain(codes, codes, codes, is_whole=True)


def _bounds(kind: Feature, feature: int) -> tuple[float, float]:
    assert not isinstance(kind, Categorical)
    low, high = float(kind.lower), float(kind.upper)
    if isinstance(kind, Integer):
        low, high = float(np.ceil(low)), float(np.floor(high))
    if low > high:
        raise SolverError(f"No number lies within the bounds of feature {feature}: {kind}.")
    return low, high


def _intervals(
    ensemble: TreeEnsemble, feature: int, low: float, high: float, is_whole: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Closed intervals of numbers that every numeric split on the feature sends the same way."""
    nodes = (ensemble.feature == feature) & (ensemble.subset < 0)
    cuts = ensemble.threshold[nodes]
    if ensemble.zero_is_missing[nodes].any():
        # 0 goes its own way.
        cuts = np.append(cuts, [np.nextafter(0.0, -1.0), 0.0])
    cuts = np.unique(_last_not_above(cuts[np.isfinite(cuts)], ensemble))
    if is_whole:
        cuts = np.unique(np.floor(cuts))
    after = cuts + 1 if is_whole else np.nextafter(cuts, np.inf)
    lower = np.maximum(np.concatenate([[low], after]), low)
    upper = np.minimum(np.concatenate([cuts, [high]]), high)
    kept = lower <= upper
    return lower[kept], upper[kept]


def _last_not_above(thresholds: NDArray[np.float64], ensemble: TreeEnsemble) -> NDArray[np.float64]:
    """The largest float64 number that the ensemble does not take to exceed each threshold."""
    if ensemble.tiny_is_zero:
        tiny = np.abs(thresholds) <= _TINY
        ends = np.where(thresholds < 0, np.nextafter(-_TINY, -np.inf), _TINY)
        thresholds = np.where(tiny, ends, thresholds)
    return thresholds if ensemble.input_dtype == "float64" else _last_rounded(thresholds)


def _last_rounded(thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
    """The largest float64 number that rounds to a float32 one not above each threshold."""
    with np.errstate(over="ignore"):
        single = thresholds.astype(np.float32)
        single = np.where(single > thresholds, np.nextafter(single, np.float32(-np.inf)), single)
        ends = single, np.nextafter(single, np.float32(np.inf))
        # Beyond the last float32 number, rounding goes on as if 2**128 were the next.
        below, above = (np.clip(end.astype(np.float64), -(2.0**128), 2.0**128) for end in ends)
        middle = (below + above) / 2
        # Halfway, the one of even significand is taken.
        return np.where(middle.astype(np.float32) == single, middle, np.nextafter(middle, -np.inf))
