"""Rank weights against the formula by hand, and batches drawn by weight."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from vqlso.training.weighting import epochs, rank_weights, weighted_draws

# Few distinct values, so that ties are common.
score_lists = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=30)
spreads = st.floats(1e-4, 1e3)


def by_hand(scores: list[float], k: float) -> list[float]:
    """1 / (k N + rank), ranks from 0 at the highest score, ties at their average rank."""
    raw = []
    for score in scores:
        above = sum(other > score for other in scores)
        tied = sum(other == score for other in scores)
        raw.append(1 / (k * len(scores) + above + (tied - 1) / 2))
    return [weight / sum(raw) for weight in raw]


@given(score_lists, spreads)
def test_equals_the_formula_and_sums_to_one(scores: list[float], k: float) -> None:
    weights = rank_weights(np.array(scores), k)
    np.testing.assert_allclose(weights, by_hand(scores, k), rtol=1e-12)
    assert weights.sum() == pytest.approx(1)


def test_three_scores_by_hand() -> None:
    # k N = 1: 1/(1+0), 1/(1+1), 1/(1+2) in the proportion 6 : 3 : 2.
    weights = rank_weights(np.array([0.1, 7.0, 3.0]), k=1 / 3)
    np.testing.assert_allclose(weights, [2 / 11, 6 / 11, 3 / 11])


@given(score_lists, spreads, st.integers(0, 99))
def test_moves_with_a_permutation(scores: list[float], k: float, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(scores))
    values = np.array(scores)
    np.testing.assert_allclose(rank_weights(values[order], k), rank_weights(values, k)[order])


@given(score_lists, spreads)
def test_grows_strictly_with_the_score_and_ties_are_equal(scores: list[float], k: float) -> None:
    weights = rank_weights(np.array(scores), k)
    for i, one in enumerate(scores):
        for j, other in enumerate(scores):
            if one == other:
                assert weights[i] == weights[j]
            elif one > other:
                assert weights[i] > weights[j]


@given(score_lists, spreads)
def test_only_the_order_of_the_scores_counts(scores: list[float], k: float) -> None:
    values = np.array(scores)
    np.testing.assert_array_equal(rank_weights(values, k), rank_weights(np.exp(values) - 100, k))


@given(score_lists)
def test_an_infinite_spread_is_uniform_and_a_large_one_nearly(scores: list[float]) -> None:
    n = len(scores)
    np.testing.assert_array_equal(rank_weights(np.array(scores), math.inf), np.full(n, 1 / n))
    np.testing.assert_allclose(rank_weights(np.array(scores), 1e9), 1 / n, rtol=1e-6)


@pytest.mark.parametrize("k", [0.0, -1e-3, math.nan, -math.inf])
def test_a_spread_that_is_not_positive_is_refused(k: float) -> None:
    with pytest.raises(ValueError, match="k must be positive"):
        rank_weights(np.ones(3), k)


@given(st.integers(1, 50), st.integers(0, 4), st.integers(1, 60))
def test_every_row_is_seen_once_an_epoch(n: int, passes: int, batch_size: int) -> None:
    batches = epochs(n, passes, batch_size, np.random.default_rng(0))
    per_epoch = math.ceil(n / batch_size)
    assert len(batches) == passes * per_epoch
    for epoch in range(passes):
        parts = batches[epoch * per_epoch : (epoch + 1) * per_epoch]
        assert [len(part) for part in parts[:-1]] == [batch_size] * (per_epoch - 1)
        assert 0 < len(parts[-1]) <= batch_size
        assert sorted(np.concatenate(parts)) == list(range(n))


def test_epochs_differ_in_order_and_repeat_with_the_stream() -> None:
    first, second = epochs(50, 2, 50, np.random.default_rng(0))
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(epochs(50, 1, 50, np.random.default_rng(0))[0], first)


def test_draws_follow_the_weights() -> None:
    weights = rank_weights(np.arange(12.0), k=0.1)
    batches = weighted_draws(weights, 20_000, 128, np.random.default_rng(0))
    counts = np.bincount(np.concatenate(batches), minlength=12)
    assert chisquare(counts, 20_000 * weights).pvalue > 0.01
    assert chisquare(counts).pvalue < 1e-6


@pytest.mark.parametrize(("draws", "sizes"), [(10, [4, 4, 2]), (8, [4, 4]), (3, [3])])
def test_draws_are_cut_into_batches(draws: int, sizes: list[int]) -> None:
    batches = weighted_draws(np.array([0.5, 0.5]), draws, 4, np.random.default_rng(0))
    assert [len(batch) for batch in batches] == sizes
    assert all(batch.dtype == np.int64 for batch in batches)


def test_rows_without_weight_are_never_drawn() -> None:
    batches = weighted_draws(np.array([0, 0.5, 0, 0.5]), 500, 50, np.random.default_rng(0))
    assert set(np.concatenate(batches)) == {1, 3}
