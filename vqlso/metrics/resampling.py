"""Rows drawn and drawn again: equal sizes for comparisons, bootstrap samples for intervals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from vqlso.errors import DataError
from vqlso.metrics.intervals import CONFIDENCE


def drawn(n: int, size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """(size,) different rows of n, in ascending order."""
    return np.sort(rng.permutation(n)[:size])


def resampled(
    runs: NDArray[np.int64], resamples: int, rng: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """Bootstrap samples of rows, in which the rows of one run come and go together.

    The queries of one run resemble each other more than those of two runs: taken as independent
    they would make every interval too narrow. Resampling whole runs keeps their dependence
    (Davison and Hinkley 1997, section 3.8, strategy 1).

    Args:
        runs: (n,) which run each row comes from; n different values are n independent rows.
        resamples: number of samples.
        rng: where they are drawn from.

    Yields:
        Rows; as many as there are wherever the runs have equally many rows.
    """
    order = np.argsort(runs, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(runs[order])) + 1)
    for _ in range(resamples):
        chosen = rng.integers(len(members), size=len(members))
        yield np.concatenate([members[run] for run in chosen])


def runs_of(runs: NDArray[Any] | None, n: int) -> NDArray[np.int64]:
    """(n,) run numbers from 0; without runs every row is one of its own.

    Raises:
        DataError: not one run a row, or all rows of a single run, which tells nothing of the
            differences between runs.
    """
    if runs is None:
        return np.arange(n)
    given = np.asarray(runs)
    if given.shape != (n,):
        raise DataError(f"{n} rows need a run each, of shape ({n},); got {given.shape}.")
    numbers = np.unique(given, return_inverse=True)[1].astype(np.int64)
    if numbers.max(initial=0) == 0:
        raise DataError(
            "All rows come from one run, so that the differences between runs are unknown: "
            "pool several runs, or give no runs and read the interval as one within the run."
        )
    return numbers


def half_width(standard_error: float, units: int) -> float:
    """Of the 95 % interval around an estimate from so many independent units (Student's t).

    Few runs know their own scatter badly; t with units - 1 degrees of freedom accounts for it.
    """
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, units - 1) * standard_error)
