"""Boosting: one tree of at most four leaves after another, the very trees of LightGBM."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.surrogates.boosting.histograms import LARGER, ROOT, SMALLER
from solvers.surrogates.boosting.leaves import Grown
from solvers.surrogates.boosting.rows import Rows, divide, finish, sum_all
from solvers.surrogates.boosting.search import Search
from solvers.surrogates.boosting.team import share


@njit(cache=True, nogil=True, error_model="numpy")
def grow(
    search: Search,
    rows: Rows,
    learning_rate: float,
    grown: Grown,
    board: NDArray[np.int64],
) -> int:
    """Grow up to T trees; returns how many there are before nothing can be split."""
    bins, sums, scale, task = search.bins, search.sums, search.scale, search.task
    # No literal, for which Numba would compile what takes it once more.
    smaller = len(rows.weight)
    for tree in range(len(grown.cell)):
        if tree == 0 or len(rows.weight):
            sum_all(rows, scale, task)
        for level in range(2):
            if level > 0:
                smaller = divide(tree, bins, rows, sums, scale, task, grown)
            share(search, board)
            for node in range(level, 1 + 2 * level):
                _record(tree, node, smaller, search, grown)
            if grown.cell[tree, 0] < 0:
                return tree
        finish(tree, smaller, bins, rows, sums, scale, task, learning_rate, grown)
    return len(grown.cell)


@njit(cache=True, nogil=True)
def _record(tree: int, node: int, smaller: int, search: Search, grown: Grown) -> None:
    """Keep the best split of all cells, if any gains something; the first cell wins ties."""
    where = ROOT
    if node > 0:
        where = SMALLER if node - 1 == smaller else LARGER
    found, best, gain = search.found, -1, 0.0
    for f in range(len(search.bins.one_hot)):
        if found.size[where, f] > 0 and found.gain[where, f] > gain:
            best, gain = f, found.gain[where, f]
    grown.cell[tree, node] = best
    if best >= 0:
        grown.gain[tree, node] = gain
        grown.size[tree, node] = found.size[where, best]
        for k in range(found.size[where, best]):
            grown.left[tree, node, k] = search.bins.first[best] + 1 + found.left[where, best, k]
