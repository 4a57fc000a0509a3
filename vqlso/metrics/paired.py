"""Two methods compared over the seeds that both have run with."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from vqlso.errors import DataError
from vqlso.metrics.intervals import mean_interval

# The smallest two-sided p of the signed-rank test is 2 / 2^n: with fewer pairs it cannot fall
# below .05, whatever the data.
LEAST_FOR_WILCOXON = 6


@dataclass(frozen=True)
class PairedDifference:
    """The mean of a - b over n pairs, and how well it is known.

    Attributes:
        n: pairs.
        mean: of the differences.
        half_width: of its 95 % confidence interval (Student's t); NaN for n = 1.
        t_test: two-sided p of the paired t-test; NaN for n = 1 or differences that are all equal.
        wilcoxon: two-sided p of Wilcoxon's signed-rank test; NaN below 6 pairs, or if no pair
            differs.
    """

    n: int
    mean: float
    half_width: float
    t_test: float
    wilcoxon: float

    @property
    def clear_of_zero(self) -> bool:
        """Whether the interval is known and leaves out zero."""
        return bool(abs(self.mean) > self.half_width)


def paired_difference(a: NDArray[np.float64], b: NDArray[np.float64]) -> PairedDifference:
    """What a has beyond b where both had the same seed.

    Runs of one seed share references and batches, so that what a seed does to both drops out of
    their difference. The t-test takes the differences as normal; Wilcoxon's only as symmetric.

    Args:
        a: (n,) float64, a value a seed.
        b: (n,) float64, of the same seeds in the same order.

    Raises:
        DataError: no values, or not as many of one as of the other.
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape:
        raise DataError(
            f"Pairs need as many values on both sides; got {first.shape} and {second.shape}."
        )
    difference = first - second
    mean, half_width = mean_interval(difference)
    n = len(difference)
    t_test = wilcoxon = float("nan")
    if n > 1 and np.ptp(difference) > 0:
        t_test = float(stats.ttest_1samp(difference, 0.0).pvalue)
    if n >= LEAST_FOR_WILCOXON and difference.any():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that ties make the p-value approximate
            wilcoxon = float(stats.wilcoxon(difference).pvalue)
    return PairedDifference(n, mean, half_width, t_test, wilcoxon)
