"""An upper bound from moving contributions between tables and cells.

Any such reparametrisation leaves the sum as it is, and the sum over cells of their best label
bounds it as long as no table holds anything positive. One sweep empties every table into its
cells in turn, half of it first into one cell and back from the other ("handshake": Tourani et
al., MPLP++, ECCV 2018, algorithm 1; shares of a third for triples).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.trees.tables.elimination import wake
from solvers.trees.tables.factors import Factors, keep_labels

# Sums of float64 terms, thousands of them, are off by less.
SLACK = 1e-9


@njit(cache=True)
def sweep(
    factors: Factors, theta: NDArray[np.float64], moved: NDArray[np.float64], backwards: bool
) -> float:
    """One handshake with every table; the upper bound.

    Args:
        factors: not changed.
        theta: (t + 1, L), the cells' contributions; unary plus all that was moved to them.
        moved: (F, 3, C), what each class of each slot took from the table.
        backwards: the order of the tables.
    """
    largest = 0
    for p in range(len(factors.cells)):
        largest = max(largest, factors.start[p + 1] - factors.start[p])
    work = np.empty(largest)
    best = np.empty((3, moved.shape[2]))
    gain = np.empty(moved.shape[2])
    for z in range(len(factors.cells)):
        p = len(factors.cells) - 1 - z if backwards else z
        _collect(factors, p, theta, moved[p], best, work)
        is_pair = factors.cells[p, 0] == len(factors.n_labels) - 1
        first = 1 if is_pair else 0
        for slot in range(first, 3):
            _take(factors, p, slot, 1.0 / (3 - slot), work, gain)
            for c in range(factors.n_classes[p, slot]):
                gain[c] -= best[slot, c] + moved[p, slot, c]
            _give(factors, p, slot, gain, theta, moved[p, slot])
        for slot in range(1, first - 1, -1):
            _take(factors, p, slot, 1.0, work, gain)
            _give(factors, p, slot, gain, theta, moved[p, slot])
    return upper_bound(factors, theta)


@njit(cache=True)
def upper_bound(factors: Factors, theta: NDArray[np.float64]) -> float:
    """No sum is larger, while no table holds anything positive."""
    bound = factors.constant
    for cell in range(len(factors.n_labels) - 1):
        bound += theta[cell, : factors.n_labels[cell]].max()
    return bound


@njit(cache=True)
def prune(
    factors: Factors,
    theta: NDArray[np.float64],
    bound: float,
    least: float,
    points: NDArray[np.int64],
    waiting: NDArray[np.bool_],
) -> int:
    """Remove labels that no sum above `least` can have; how many. `points` keep theirs."""
    removed = 0
    keep = np.empty(factors.unary.shape[1], dtype=np.bool_)
    for cell in range(len(factors.n_labels) - 1):
        n = factors.n_labels[cell]
        if n == 1:
            continue
        best = theta[cell, :n].max()
        for a in range(n):
            keep[a] = bound - best + theta[cell, a] > least + SLACK
        for m in range(len(points)):
            keep[points[m, cell]] = True
        lost = n - keep[:n].sum()
        if lost:
            removed += lost
            keep_labels(factors, cell, keep, theta, points)
            wake(factors, cell, waiting)
            waiting[cell] = True
    return removed


@njit(cache=True)
def _collect(
    factors: Factors,
    p: int,
    theta: NDArray[np.float64],
    moved: NDArray[np.float64],
    best: NDArray[np.float64],
    work: NDArray[np.float64],
) -> None:
    """work = the table with all that its cells hold; -inf where no label is left.

    best[slot, class] = what the class's best label holds apart from this table.
    """
    n = factors.n_classes[p]
    for slot in range(3):
        cell = factors.cells[p, slot]
        best[slot, : n[slot]] = -np.inf
        own = factors.classes[p, slot]
        for a in range(factors.n_labels[cell]):
            if theta[cell, a] > best[slot, own[a]]:
                best[slot, own[a]] = theta[cell, a]
        for c in range(n[slot]):
            best[slot, c] -= moved[slot, c]
    z = 0
    for a in range(n[0]):
        for b in range(n[1]):
            rest = best[0, a] + best[1, b]
            for c in range(n[2]):
                work[z] = factors.tables[factors.start[p] + z] + (rest + best[2, c])
                z += 1


@njit(cache=True)
def _take(
    factors: Factors,
    p: int,
    slot: int,
    share: float,
    work: NDArray[np.float64],
    taken: NDArray[np.float64],
) -> None:
    """Take a share of each class's maximum out of the table; -inf of a class without labels."""
    n = factors.n_classes[p]
    taken[: n[slot]] = -np.inf
    z = 0
    for a in range(n[0]):
        for b in range(n[1]):
            if slot == 2:
                for c in range(n[2]):
                    taken[c] = max(taken[c], work[z + c])
            else:
                own = a if slot == 0 else b
                for c in range(n[2]):
                    taken[own] = max(taken[own], work[z + c])
            z += n[2]
    for c in range(n[slot]):
        taken[c] *= share
    z = 0
    for a in range(n[0]):
        for b in range(n[1]):
            own = a if slot == 0 else b
            for c in range(n[2]):
                amount = taken[c] if slot == 2 else taken[own]
                if amount > -np.inf:
                    work[z] -= amount
                z += 1


@njit(cache=True)
def _give(
    factors: Factors,
    p: int,
    slot: int,
    gain: NDArray[np.float64],
    theta: NDArray[np.float64],
    moved: NDArray[np.float64],
) -> None:
    """Add each class's gain to its labels, and book it."""
    cell = factors.cells[p, slot]
    own = factors.classes[p, slot]
    for a in range(factors.n_labels[cell]):
        theta[cell, a] += gain[own[a]]
    for c in range(factors.n_classes[p, slot]):
        if abs(gain[c]) < np.inf:
            moved[c] += gain[c]
