"""Coordinate ascent: a good point, which all pruning compares with."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.trees.tables.factors import Factors, conditional, value
from solvers.trees.tables.rows import Rows, activity, holds, holds_with

# Moves that gain less are rounding, and could go round in circles.
_LEAST_GAIN = 1e-12


@njit(cache=True)
def ascend(factors: Factors, rows: Rows, labels: NDArray[np.int64]) -> float:
    """Improve labels (t + 1,) one cell at a time until no move gains; the value reached.

    Where all rows hold at the start they hold at the end; where they do not, nothing is moved.
    """
    t = len(labels) - 1
    cost = np.empty(factors.unary.shape[1])
    is_constrained = len(rows.lower) > 0
    current = activity(factors, rows, labels)
    if not holds(rows, current):
        return -np.inf
    waiting = np.ones(t, dtype=np.bool_)
    while waiting.any():
        for cell in range(t):
            if not waiting[cell]:
                continue
            waiting[cell] = False
            if factors.n_labels[cell] == 1:
                continue
            conditional(factors, cell, labels, cost)
            best = labels[cell]
            for a in range(factors.n_labels[cell]):
                if cost[a] > cost[best] + _LEAST_GAIN and (
                    not is_constrained or holds_with(factors, rows, current, cell, labels[cell], a)
                ):
                    best = a
            if best == labels[cell]:
                continue
            labels[cell] = best
            for z in range(factors.first[cell], factors.first[cell + 1]):
                for slot in range(3):
                    other = factors.cells[factors.touching[z, 0], slot]
                    if other < t and other != cell:
                        waiting[other] = True
            # A row that was tight may leave room now, whichever cell it is about.
            if is_constrained:
                current = activity(factors, rows, labels)
                waiting[:] = True
    return value(factors, labels)
