"""The parts of `GridBoosting` against plain NumPy and plain loops."""

from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers.surrogates.boosting.binning import binned
from solvers.surrogates.boosting.ordering import AT_ONCE, select, sort
from solvers.surrogates.boosting.splits import Node, best_split, new_scratch

KEYS = st.lists(st.integers(-20, 20).map(lambda k: k / 8), min_size=1, max_size=150)


@settings(deadline=None, max_examples=80)
@given(KEYS)
def test_sort_is_stable(keys):
    k = len(keys)
    padded = np.zeros(max(k, AT_ONCE))
    padded[:k] = keys
    order = np.full(max(k, AT_ONCE), 7)
    sort(padded, k, np.arange(100, 100 + k), order)
    expected = 100 + np.argsort(keys, kind="stable")
    assert order[:k].tolist() == expected.tolist()


@settings(deadline=None, max_examples=80)
@given(KEYS, st.integers(1, 32), st.sampled_from([1.0, -1.0]), st.floats(-4, 4) | st.just(inf))
def test_select_holds_the_end_of_the_order(keys, most, sign, hint):
    array = np.array(keys)
    most = min(most, len(array))
    end_key, end = np.zeros(len(array)), np.zeros(len(array), dtype=np.int64)
    k = select(array, np.arange(len(array)), most, sign, hint, end_key, end)
    assert k >= most
    chosen = end[:k].tolist()
    assert chosen == sorted(chosen)
    assert (end_key[:k] == array[chosen]).all()
    left_out = np.delete(array, chosen)
    if left_out.size:
        assert (sign * array[chosen]).max() < (sign * left_out).min()


def plain_best(gradient, count, least):
    """LightGBM's rule as it reads: sort all, try every run from either end."""
    total, rows = gradient.sum(), count.sum()
    used = np.flatnonzero(count >= 10)
    order = used[np.argsort(gradient[used] / (count[used] + 10), kind="stable")]
    best, chosen = total**2 / rows, None
    for ends in (order, order[::-1]):
        group = 0
        for size in range(1, min(32, (len(order) + 1) // 2) + 1):
            left = ends[:size]
            g, n = gradient[left].sum(), count[left].sum()
            group += count[ends[size - 1]]
            if n < least:
                continue
            if rows - n < max(least, 100):
                break
            if group < 100:
                continue
            group = 0
            gain = g**2 / (n + 10) + (total - g) ** 2 / (rows - n + 10)
            if gain > best * (1 + 1e-12):
                best, chosen = gain, left.tolist()
    return best - total**2 / rows, chosen


@pytest.mark.parametrize("m", [3, 20, 64, 65, 200])
@pytest.mark.parametrize("typical", [8, 40, 200])
def test_the_best_split_of_a_cell_is_the_rules(m, typical):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        count = np.floor(rng.gamma(1.0, typical, m))
        gradient = np.round(rng.normal(size=m) * np.sqrt(count) * 2**20) / 2**20
        node = Node(gradient.sum(), count.sum(), count.sum())
        left, hints = np.zeros(32, dtype=np.int64), rng.normal(size=2)
        work = new_scratch(m, False)
        gain, size = best_split(node, 20.0, False, gradient, count, count, work, hints, left)
        expected, chosen = plain_best(gradient, count, 20)
        if chosen is None:
            assert size == 0
        else:
            assert left[:size].tolist() == chosen
            assert gain == pytest.approx(expected)


def test_bins_are_ordered_by_how_often_codes_occur():
    column = np.repeat([7, 3, 5, 1, 9], [50, 400, 50, 12, 9])
    bins = binned(column[:, None])
    # 9 is too rare for any node, and within the last hundredth there is nothing else.
    assert bins.category[bins.first[0] :].tolist() == [-1, 3, 5, 7, 1]
    assert bins.category[bins.columns[0]].tolist() == np.where(column == 9, -1, column).tolist()
    assert not bins.one_hot[0]
    assert (bins.rows[0, :, 0] == bins.columns[0]).all()


def test_the_last_hundredth_of_rows_has_no_bins():
    column = np.repeat([0, 1, 2, 3, 4], [600, 300, 95, 3, 2])
    assert binned(column[:, None], pruned=False).category.tolist() == [-1, -1, 0, 1, 2, 3]


def test_more_codes_than_lightgbms_bins_are_kept_up_to_the_last_hundredth():
    column = np.repeat(np.arange(1000), 12)
    bins = binned(np.stack([column, column], axis=1), blocks=2)
    assert np.diff(bins.first).tolist() == [991, 991]
    assert bins.rows.shape == (2, 12_000, 1)
    assert bins.rows.dtype == np.uint16
