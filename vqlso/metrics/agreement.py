"""How well a surrogate's predictions of the queries agree with the scores they got."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from vqlso.errors import DataError
from vqlso.metrics.intervals import CONFIDENCE, Estimate
from vqlso.metrics.resampling import resampled, runs_of

RESAMPLES = 1000


@dataclass(frozen=True)
class Agreement:
    """Predicted against true, each figure with its 95 % interval.

    Attributes:
        n: pairs.
        pearson: linear correlation; NaN where either side is constant.
        spearman: correlation of ranks, ties at their mean rank; NaN likewise.
        mean_error: of predicted - true: above 0 where the surrogate promises too much, which a
            maximum over its errors tends to (Smith and Winkler 2006, "The Optimizer's Curse").
        absolute_error: mean of |predicted - true|.
    """

    n: int
    pearson: Estimate
    spearman: Estimate
    mean_error: Estimate
    absolute_error: Estimate


def agreement(
    predicted: NDArray[np.float64],
    true: NDArray[np.float64],
    rng: np.random.Generator,
    *,
    runs: NDArray[Any] | None = None,
    resamples: int = RESAMPLES,
) -> Agreement:
    """Correlations and errors with percentile intervals of the bootstrap.

    Args:
        predicted: (n,) the surrogate's predictions, before the queries were scored.
        true: (n,) the scores, in the same order; n >= 3.
        rng: for the bootstrap.
        runs: (n,) the run of each pair; whole runs are then resampled.
        resamples: bootstrap samples of the pairs. Those in which a side is constant have no
            correlation and are passed over.

    Raises:
        DataError: the two are not finite vectors of one length >= 3, or the runs do not fit.
    """
    first = np.asarray(predicted, dtype=np.float64)
    second = np.asarray(true, dtype=np.float64)
    if first.ndim != 1 or first.shape != second.shape or len(first) < 3:
        raise DataError(
            "Agreement needs predictions and scores of one shape (n,), n >= 3; got "
            f"{first.shape} and {second.shape}."
        )
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise DataError("Agreement needs finite values: leave out the queries that failed.")
    units = runs_of(runs, len(first))
    whole = _figures(first, second)
    samples = np.array(
        [_figures(first[rows], second[rows]) for rows in resampled(units, resamples, rng)]
    )
    return Agreement(len(first), *map(_estimate, whole, samples.T))


def _figures(predicted: NDArray[np.float64], true: NDArray[np.float64]) -> tuple[float, ...]:
    error = predicted - true
    return (
        _correlation(predicted, true),
        _correlation(stats.rankdata(predicted), stats.rankdata(true)),
        float(error.mean()),
        float(np.abs(error).mean()),
    )


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    x, y = a - a.mean(), b - b.mean()
    return float(x @ y / np.sqrt((x @ x) * (y @ y)))


def _estimate(value: float, sample: NDArray[np.float64]) -> Estimate:
    known = sample[np.isfinite(sample)]
    if not len(known) or np.isnan(value):
        return Estimate(value, float("nan"), float("nan"))
    low, high = np.quantile(known, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Estimate(value, float(low), float(high))
