"""Student's t intervals over seeds."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from vqlso.errors import DataError
from vqlso.metrics.intervals import mean_interval


@given(values=st.lists(st.floats(-100, 100), min_size=2, max_size=30))
def test_equals_scipy(values: list[float]) -> None:
    array = np.array(values)
    mean, half_width = mean_interval(array)
    assert mean == pytest.approx(array.mean())
    error = stats.sem(array)
    if error > 1e-12:
        low, high = stats.t.interval(0.95, len(array) - 1, loc=array.mean(), scale=error)
        assert (mean - half_width, mean + half_width) == pytest.approx((low, high))
    else:
        assert half_width == pytest.approx(0, abs=1e-9)


def test_five_seeds_by_the_table() -> None:
    # t(0.975, 4) = 2.776 in any printed table; the deviation of 1..5 is sqrt(2.5)
    mean, half_width = mean_interval(np.arange(1.0, 6.0))
    assert mean == 3
    assert half_width == pytest.approx(2.776 * math.sqrt(2.5 / 5), rel=1e-3)


def test_covers_the_true_mean_19_times_in_20() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(2000):
        mean, half_width = mean_interval(rng.normal(size=4))
        hits += abs(mean) <= half_width
    assert 0.93 < hits / 2000 < 0.97


def test_one_seed_has_no_width() -> None:
    mean, half_width = mean_interval(np.array([2.5]))
    assert mean == 2.5
    assert math.isnan(half_width)


@pytest.mark.parametrize("values", [np.zeros(0), np.zeros((2, 2))])
def test_refuses_no_values_and_tables(values: np.ndarray) -> None:
    with pytest.raises(DataError, match="n >= 1"):
        mean_interval(values)


def test_equal_values_scatter_by_nothing() -> None:
    assert mean_interval(np.full(3, 2.0000000953674316)) == (2.0000000953674316, 0.0)
