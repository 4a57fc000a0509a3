"""The steps before the search: good points, and labels that no better point can have."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.trees.tables.ascent import ascend
from solvers.trees.tables.dual import SLACK, prune, sweep
from solvers.trees.tables.elimination import eliminate
from solvers.trees.tables.factors import Factors, conditional, is_decided
from solvers.trees.tables.rows import Rows, activity, holds_with, reached_at
from solvers.trees.tables.search import Pool, insert

MOST_SWEEPS = 200
# Sweeps go on while each closes this share of the gap, or removes labels.
_WORTHWHILE = 0.003
_FEWEST_SWEEPS = 8
# Elimination and ascent cost as much as a sweep or two while there are many labels, and most is
# gained after a few sweeps.
_SWEEPS_BETWEEN = 3
_PASSES = 1


class Outcome(NamedTuple):
    """What is known before the search.

    Attributes:
        pool: the k best points found.
        theta, moved: the reparametrisation, as in `dual.sweep`.
        bound: no point has a higher value.
    """

    pool: Pool
    theta: NDArray[np.float64]
    moved: NDArray[np.float64]
    bound: float


@njit(cache=True)
def tightened(
    factors: Factors,
    rows: Rows,
    start: NDArray[np.int64],
    k: int,
    may_dominate: bool,
    most_sweeps: int,
) -> Outcome:
    """Good points from a start, and a bound; labels of `factors` that it excludes are removed.

    Args:
        start: (t,) choices of a known point; -1 where nothing is known.
        k: how many points are wanted.
        may_dominate, most_sweeps: as of `tighten`.
    """
    n = len(factors.n_labels)
    pool = Pool(np.full(k, -np.inf), np.zeros((k, n), dtype=np.int64))
    find_points(factors, rows, pool, _start(factors, start))
    theta, moved = factors.unary.copy(), np.zeros(len(factors.present))
    bound = tighten(factors, rows, pool, theta, moved, may_dominate, most_sweeps)
    return Outcome(pool, theta, moved, bound)


@njit(cache=True)
def _start(factors: Factors, start: NDArray[np.int64]) -> NDArray[np.int64]:
    """(t + 1,) labels of the known point, or the best of each cell by itself.

    Where a known choice was dropped, the last kept one before it takes its place.
    """
    labels = np.zeros(len(factors.n_labels), dtype=np.int64)
    for cell in range(len(start)):
        n = factors.n_labels[cell]
        if start[cell] < 0:
            labels[cell] = factors.unary[cell, :n].argmax()
        else:
            kept = np.searchsorted(factors.choice[cell, :n], start[cell], side="right")
            labels[cell] = max(0, kept - 1)
    return labels


@njit(cache=True)
def find_points(factors: Factors, rows: Rows, pool: Pool, labels: NDArray[np.int64]) -> None:
    """Fill the pool by coordinate ascent from `labels` (t + 1,) and the neighbourhood."""
    reached = ascend(factors, rows, labels)
    if reached > -np.inf:
        insert(pool, reached, labels)
        if len(pool.values) > 1:
            _add_neighbours(factors, rows, pool, labels, reached)


@njit(cache=True)
def _add_neighbours(
    factors: Factors, rows: Rows, pool: Pool, labels: NDArray[np.int64], reached: float
) -> None:
    """Insert the points that differ from this one in a single cell; `labels` ends as it began."""
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
        most_sweeps: of the dual, at least 1: without any, tables would be positive.
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
        is_third = number % _SWEEPS_BETWEEN == _SWEEPS_BETWEEN - 1
        if is_third or number > _SWEEPS_BETWEEN:
            reached = ascend(factors, rows, labels)
        else:
            reached = reached_at(factors, rows, labels)
        if reached > -np.inf:
            insert(pool, reached, labels)
        if bound <= pool.values[-1] + SLACK or is_decided(factors):
            break
        removed = prune(factors, theta, bound, pool.values[-1], pool.points, waiting)
        if may_dominate and is_third:
            removed += eliminate(factors, pool.points, theta, waiting, _PASSES)
        stalls = before - bound < _WORTHWHILE * (bound - pool.values[-1])
        if number >= _FEWEST_SWEEPS and stalls and not removed:
            break
    return bound
