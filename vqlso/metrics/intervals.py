"""A figure and how well it is known: intervals, and that of a mean over seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from vqlso.errors import DataError

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95 % interval.

    Attributes:
        value: the figure.
        low: lower end of the interval; NaN where it cannot be known.
        high: its upper end; NaN likewise.
    """

    value: float
    low: float
    high: float


def mean_interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and half width of its 95 % confidence interval (Student's t, n - 1 degrees of freedom).

    Paper 003, section 3, reports the standard deviation over 20 seeds, which does not say how
    well the mean is known.

    Args:
        values: (n,) float64, one value per seed.

    Returns:
        (mean, half width); the half width is NaN for n = 1.

    Raises:
        DataError: there are no values, or they are not of shape (n,).
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or not len(values):
        raise DataError(
            f"A mean over seeds needs values of shape (n,) with n >= 1; got {values.shape}."
        )
    n = len(values)
    if n > 1 and np.ptp(values) == 0:
        # Computed, the scatter of equal values can be rounding.
        return float(values[0]), 0.0
    mean = float(values.mean())
    if n == 1:
        return mean, float("nan")
    quantile = stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)
    return mean, float(quantile * values.std(ddof=1) / np.sqrt(n))
