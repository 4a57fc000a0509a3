"""Paired differences against tables, hand computation and scipy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from vqlso.errors import DataError
from vqlso.metrics.paired import LEAST_FOR_WILCOXON, paired_difference


def test_three_seeds_by_the_table() -> None:
    # Differences 1, 2, 3: mean 2, deviation 1, t(0.975, 2) = 4.303 in any printed table.
    found = paired_difference(np.array([3.0, 5.0, 7.0]), np.array([2.0, 3.0, 4.0]))
    assert (found.n, found.mean) == (3, 2.0)
    assert found.half_width == pytest.approx(4.303 / math.sqrt(3), abs=1e-3)
    # t = 2 / (1 / sqrt 3) with 2 degrees of freedom, whose distribution function is elementary.
    t = 2 * math.sqrt(3)
    assert found.t_test == pytest.approx(1 - t / math.sqrt(2 + t**2))
    assert math.isnan(found.wilcoxon)
    assert not found.clear_of_zero


def test_six_equal_signs_have_the_smallest_p_there_is() -> None:
    b = np.arange(6.0)
    found = paired_difference(b + np.arange(1.0, 7.0), b)
    assert found.wilcoxon == pytest.approx(2 / 2**6)
    assert found.clear_of_zero


@given(
    pairs=st.lists(
        st.tuples(st.floats(-10, 10), st.floats(-10, 10)),
        min_size=LEAST_FOR_WILCOXON,
        max_size=9,  # ties take permutations, 2^n of them
    )
)
def test_equals_scipy_and_is_antisymmetric(pairs: list[tuple[float, float]]) -> None:
    a, b = np.array(pairs).T
    found, other = paired_difference(a, b), paired_difference(b, a)
    assert other.mean == -found.mean
    assert other.half_width == pytest.approx(found.half_width)
    if np.ptp(a - b) > 1e-6:
        assert found.t_test == pytest.approx(stats.ttest_rel(a, b).pvalue)
        assert other.t_test == pytest.approx(found.t_test)
        assert other.wilcoxon == pytest.approx(found.wilcoxon)


def test_what_cannot_be_known_is_not_a_number() -> None:
    one = paired_difference(np.array([1.0]), np.array([0.0]))
    assert one.mean == 1
    assert math.isnan(one.half_width)
    assert math.isnan(one.t_test)
    assert not one.clear_of_zero
    same = paired_difference(np.ones(8), np.ones(8))
    assert same.half_width == 0
    assert math.isnan(same.t_test)
    assert math.isnan(same.wilcoxon)
    assert not same.clear_of_zero


def test_sides_of_different_lengths() -> None:
    with pytest.raises(DataError, match="as many values on both sides"):
        paired_difference(np.ones(3), np.ones(2))
