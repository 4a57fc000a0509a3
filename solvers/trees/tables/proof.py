"""The steps before the search: good points, and labels that no better point can have."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.trees.tables.ascent import ascend
from solvers.trees.tables.dual import SLACK, prune, sweep
from solvers.trees.tables.elimination import eliminate
from solvers.trees.tables.factors import Factors, conditional, is_decided
from solvers.trees.tables.rows import Rows, activity, holds_with
from solvers.trees.tables.search import Pool, insert

# Sweeps go on while each closes this share of the gap, or removes labels.
_WORTHWHILE = 0.003
_FEWEST_SWEEPS = 8
# Elimination costs as much as two sweeps and removes most after a few of them.
_SWEEPS_BETWEEN = 3
_PASSES = 1


@njit(cache=True)
def find_points(factors: Factors, rows: Rows, pool: Pool, starts: NDArray[np.int64]) -> None:
    """Fill the pool by coordinate ascent from `starts` (m, t + 1) and their neighbourhoods."""
    for m in range(len(starts)):
        labels = starts[m].copy()
        reached = ascend(factors, rows, labels)
        if reached > -np.inf:
            insert(pool, reached, labels)
    if len(pool.values) > 1:
        for m in range(min(len(pool.values), len(starts))):
            if pool.values[m] > -np.inf:
                _add_neighbours(factors, rows, pool, pool.points[m].copy(), pool.values[m])


@njit(cache=True)
def _add_neighbours(
    factors: Factors, rows: Rows, pool: Pool, labels: NDArray[np.int64], reached: float
) -> None:
    """Insert the points that differ from this one in a single cell."""
    cost = np.empty(factors.unary.shape[1])
    sums = activity(factors, rows, labels)
    for cell in range(len(labels) - 1):
        conditional(factors, cell, labels, cost)
        old = labels[cell]
        for a in range(factors.n_labels[cell]):
            gained = reached - cost[old] + cost[a]
            if gained > pool.values[-1] and holds_with(factors, rows, sums, cell, old, a):
                labels[cell] = a
                insert(pool, gained, labels)
                labels[cell] = old


@njit(cache=True)
def tighten(
    factors: Factors,
    rows: Rows,
    pool: Pool,
    theta: NDArray[np.float64],
    moved: NDArray[np.float64],
    may_dominate: bool,
    most_sweeps: int,
) -> float:
    """Remove labels by dominance and by bounds; the upper bound, which the pool may reach.

    Args:
        factors: whose labels are compacted.
        rows: constraints.
        pool: improved by points that the sweeps suggest; its labels are never removed.
        theta, moved: the reparametrisation, as in `dual.sweep`.
        may_dominate: whether labels may go that only match better ones: not for the k best.
        most_sweeps: of the dual.
    """
    t = len(factors.n_labels) - 1
    waiting = np.ones(t + 1, dtype=np.bool_)
    waiting[t] = False
    labels = np.zeros(t + 1, dtype=np.int64)
    bound = np.inf
    for number in range(most_sweeps):
        before = bound
        bound = min(bound, sweep(factors, theta, moved, number % 2 == 1))
        for cell in range(t):
            labels[cell] = theta[cell, : factors.n_labels[cell]].argmax()
        reached = ascend(factors, rows, labels)
        if reached > -np.inf:
            insert(pool, reached, labels)
        if bound <= pool.values[-1] + SLACK or is_decided(factors):
            break
        removed = prune(factors, theta, bound, pool.values[-1], pool.points, waiting)
        if may_dominate and number % _SWEEPS_BETWEEN == _SWEEPS_BETWEEN - 1:
            removed += eliminate(factors, pool.points, theta, waiting, _PASSES)
        stalls = before - bound < _WORTHWHILE * (bound - pool.values[-1])
        if number >= _FEWEST_SWEEPS and stalls and not removed:
            break
    return bound
