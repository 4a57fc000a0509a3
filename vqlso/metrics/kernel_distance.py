"""Kernel distance (KID): unbiased, so that a few hundred images in many dimensions can be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vqlso.errors import DataError
from vqlso.metrics.resampling import half_width, runs_of

DEGREE = 3
BLOCK = 1024


@dataclass(frozen=True)
class KernelResult:
    """A squared kernel distance with all that is needed to read it.

    Attributes:
        value: the unbiased estimate; it may fall below 0 where the sets are alike.
        low: lower end of the 95 % interval.
        high: its upper end.
        network: whose features they are.
        n: queries.
        m: target images.
        dimensions: of the features.
    """

    value: float
    low: float
    high: float
    network: str
    n: int
    m: int
    dimensions: int


def polynomial_kernel(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """k(x, y) = (x . y / d + 1)^3 of all pairs (Binkowski et al. 2018, the KID's): (n, m)."""
    product: NDArray[np.float64] = a @ b.T / a.shape[1] + 1
    return product**DEGREE


def kernel_distance(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """The unbiased estimate of the squared maximum mean discrepancy under that kernel.

    The mean of k over pairs within a, plus that within b, minus twice that across (Gretton et
    al. 2012, equation 3). Its expectation does not depend on the sizes.

    Args:
        a: (n, d) features, n >= 2.
        b: (m, d) features, m >= 2.

    Raises:
        DataError: not two matrices of equal width, fewer than 2 rows, or values not finite.
    """
    first, second = _checked(a, b)
    return _Sums.of(first, second).distance()


def kernel_result(
    queries: NDArray[np.floating],
    target: NDArray[np.floating],
    network: str,
    *,
    runs: NDArray[Any] | None = None,
) -> KernelResult:
    """The kernel distance of all images on both sides, with its interval.

    Binkowski et al. average subsets, whose scatter says little of the estimate's own. All pairs
    are used here, and the interval is the jackknife's for a function of two samples (Arvesen
    1969, "Jackknifing U-statistics"): queries, or whole runs of them, are left out
    one at a time, then target images.

    Args:
        queries: (q, d) features, q >= 3.
        target: (m, d) features of the same network, m >= 3.
        network: its name.
        runs: (q,) the run of each query; whole runs are then left out.

    Raises:
        DataError: as `kernel_distance`; fewer than 3 rows; runs that do not fit the queries, or
            of which one has all queries but one.
    """
    first, second = _checked(queries, target)
    if min(len(first), len(second)) < 3:
        raise DataError(
            f"An interval needs three images on each side; got {len(first)} and {len(second)}."
        )
    units = runs_of(runs, len(first))
    if np.bincount(units).max() > len(first) - 2:
        raise DataError(
            "Without its largest run fewer than two queries are left: pool more queries."
        )
    sums = _Sums.of(first, second)
    value = sums.distance()
    variance = _jackknife_variance(sums.without(units, first)) + _jackknife_variance(
        sums.swapped().without(np.arange(len(second)), second)
    )
    margin = half_width(float(np.sqrt(variance)), int(units.max()) + 1)
    return KernelResult(
        value,
        value - margin,
        value + margin,
        network,
        len(first),
        len(second),
        first.shape[1],
    )


@dataclass(frozen=True)
class _Sums:
    """Sums of the kernel that every estimate is made of.

    Attributes:
        rows: (n,) over the other rows of the first set.
        across: (n,) over the second set.
        others: (m,) as `rows`, of the second set.
        back: (m,) over the first set.
    """

    rows: NDArray[np.float64]
    across: NDArray[np.float64]
    others: NDArray[np.float64]
    back: NDArray[np.float64]

    @classmethod
    def of(cls, a: NDArray[np.float64], b: NDArray[np.float64]) -> _Sums:
        return cls(
            _row_sums(a, a) - _own(a), _row_sums(a, b), _row_sums(b, b) - _own(b), _row_sums(b, a)
        )

    def swapped(self) -> _Sums:
        return _Sums(self.others, self.back, self.rows, self.across)

    def distance(self) -> float:
        n, m = len(self.rows), len(self.others)
        within = self.rows.sum() / (n * (n - 1)) + self.others.sum() / (m * (m - 1))
        return float(within - 2 * self.across.sum() / (n * m))

    def without(self, units: NDArray[np.int64], first: NDArray[np.float64]) -> NDArray[np.float64]:
        """(units,) the distance with each unit of the first set left out."""
        n, m = len(self.rows), len(self.others)
        size = np.bincount(units)
        inside = np.array([_inside(first[units == unit]) for unit in np.flatnonzero(size > 1)])
        doubly = np.zeros(len(size))
        doubly[size > 1] = inside
        left = n - size
        within = self.rows.sum() - 2 * np.bincount(units, self.rows) + doubly
        across = self.across.sum() - np.bincount(units, self.across)
        theirs = self.others.sum() / (m * (m - 1))
        distances: NDArray[np.float64] = (
            within / (left * (left - 1)) + theirs - 2 * across / (left * m)
        )
        return distances


def _jackknife_variance(left_out: NDArray[np.float64]) -> float:
    units = len(left_out)
    return float((units - 1) / units * np.square(left_out - left_out.mean()).sum())


def _own(x: NDArray[np.float64]) -> NDArray[np.float64]:
    own: NDArray[np.float64] = (np.square(x).mean(axis=1) + 1) ** DEGREE
    return own


def _inside(x: NDArray[np.float64]) -> float:
    """Sum over the pairs of different rows."""
    return float((_row_sums(x, x) - _own(x)).sum())


def _row_sums(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) in blocks, for ten thousand images have 800 MB of pairs."""
    return np.concatenate(
        [
            polynomial_kernel(a[start : start + BLOCK], b).sum(axis=1)
            for start in range(0, len(a), BLOCK)
        ]
    )


def _checked(
    a: NDArray[np.floating], b: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    for x in (first, second):
        if x.ndim != 2 or len(x) < 2 or not np.isfinite(x).all():
            raise DataError(
                "A kernel distance needs finite features of shape (n, d) with n >= 2; got "
                f"{x.shape}."
            )
    if first.shape[1] != second.shape[1]:
        raise DataError(
            f"The two feature sets have {first.shape[1]} and {second.shape[1]} columns: they "
            "come from different networks."
        )
    return first, second
