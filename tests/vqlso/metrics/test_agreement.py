"""Predicted against true: scipy's correlations, and intervals that cover the true ones."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from vqlso.errors import DataError
from vqlso.metrics.agreement import agreement


@given(pairs=st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=3, max_size=20))
@settings(max_examples=50)
def test_equals_scipy_ties_included(pairs: list[tuple[int, int]]) -> None:
    a, b = np.array(pairs, dtype=np.float64).T
    found = agreement(a, b, np.random.default_rng(0), resamples=20)
    assert found.n == len(a)
    assert found.mean_error.value == pytest.approx((a - b).mean())
    assert found.absolute_error.value == pytest.approx(np.abs(a - b).mean())
    if np.ptp(a) and np.ptp(b):
        assert found.pearson.value == pytest.approx(stats.pearsonr(a, b).statistic, abs=1e-12)
        assert found.spearman.value == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-12)
    else:
        assert math.isnan(found.pearson.value)
        assert math.isnan(found.spearman.low)


def test_intervals_cover() -> None:
    rng = np.random.default_rng(1)
    rho, bias = 0.7, 0.3
    exact = (rho, 6 / math.pi * math.asin(rho / 2), bias)  # Spearman's of a Gaussian: Pearson 1907
    hits = np.zeros(3)
    for _ in range(120):
        true, noise = rng.normal(size=(2, 60))
        predicted = rho * true + math.sqrt(1 - rho**2) * noise + bias
        found = agreement(predicted, true, rng, resamples=100)
        estimates = (found.pearson, found.spearman, found.mean_error)
        hits += [e.low <= x <= e.high for e, x in zip(estimates, exact, strict=True)]
    assert (hits / 120 >= 0.88).all()
    assert (hits / 120 <= 0.99).all()


def test_errors_shared_by_a_run_widen_the_interval() -> None:
    rng = np.random.default_rng(2)
    runs = np.repeat(np.arange(8), 25)
    true = rng.normal(size=200)
    predicted = true + rng.normal(size=8)[runs] + 0.1 * rng.normal(size=200)
    alone = agreement(predicted, true, rng).mean_error
    together = agreement(predicted, true, rng, runs=runs).mean_error
    assert together.high - together.low > 3 * (alone.high - alone.low)


@pytest.mark.parametrize(
    ("predicted", "true", "message"),
    [
        (np.zeros(3), np.zeros(4), "one shape"),
        (np.zeros(2), np.zeros(2), "n >= 3"),
        (np.zeros(3), np.array([0, 1, np.nan]), "finite"),
    ],
)
def test_refuses_what_cannot_agree(
    predicted: NDArray[np.float64], true: NDArray[np.float64], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        agreement(predicted, true, np.random.default_rng(0))
