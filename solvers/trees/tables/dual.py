"""An upper bound from moving contributions between tables and cells.

Any such reparametrisation leaves the sum as it is, and the sum over cells of their best label
bounds it as long as no table holds anything positive. One sweep empties every table into its
cells in turn, half of it first into one cell and back from the other ("handshake": Tourani et
al., MPLP++, ECCV 2018, algorithm 1; shares of a third for triples).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.trees.tables.elimination import wake
from solvers.trees.tables.factors import Factors, keep_labels

# Sums of float64 terms, thousands of them, are off by less.
SLACK = 1e-9


class _Handshake(NamedTuple):
    """Scratch: one table without the classes that have no labels left.

    Attributes:
        left: (3,) how many classes each slot has.
        classes: (3, C) which.
        apart: (3, C) what the best label of each holds apart from this table.
        gain: (3, C) by how much its labels hold more afterwards.
        taken: (C,) shares of maxima.
        best: (C,) by the number of the class.
        table: (entries,).
    """

    left: NDArray[np.int64]
    classes: NDArray[np.int64]
    apart: NDArray[np.float64]
    gain: NDArray[np.float64]
    taken: NDArray[np.float64]
    best: NDArray[np.float64]
    table: NDArray[np.float64]


@njit(cache=True)
def sweep(
    factors: Factors, theta: NDArray[np.float64], moved: NDArray[np.float64], backwards: bool
) -> float:
    """One handshake with every table; the upper bound.

    Args:
        factors: not changed.
        theta: (t + 1, L), the cells' contributions; unary plus all that was moved to them.
        moved: (C,), what each class of each slot took from the table.
        backwards: the order of the tables.
    """
    largest = most = 1
    for p in range(len(factors.cells)):
        largest = max(largest, factors.start[p + 1] - factors.start[p])
        for slot in range(3):
            most = max(most, factors.n_classes[p, slot])
    scratch = _Handshake(
        np.zeros(3, dtype=np.int64),
        np.empty((3, most), dtype=np.int64),
        np.empty((3, most)),
        np.empty((3, most)),
        np.empty(most),
        np.empty(most),
        np.empty(largest),
    )
    for z in range(len(factors.cells)):
        p = len(factors.cells) - 1 - z if backwards else z
        for slot in range(3):
            _meet(factors, p, slot, theta, moved, scratch)
        if factors.cells[p, 0] == len(factors.n_labels) - 1:
            _share_among_two(factors, p, scratch)
        else:
            _share_among_three(factors, p, scratch)
        for slot in range(3):
            _give(factors, p, slot, theta, moved, scratch)
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
def _meet(
    factors: Factors,
    p: int,
    slot: int,
    theta: NDArray[np.float64],
    moved: NDArray[np.float64],
    scratch: _Handshake,
) -> None:
    """Find the classes of a slot that have labels left, and what their best labels hold."""
    cell, n = factors.cells[p, slot], factors.n_classes[p, slot]
    own, first = factors.first_label[p, slot], factors.first_class[p, slot]
    best = scratch.best
    for c in range(n):
        best[c] = -np.inf
    for a in range(factors.n_labels[cell]):
        c = factors.classes[own + a]
        if theta[cell, a] > best[c]:
            best[c] = theta[cell, a]
    count = 0
    for c in range(n):
        if best[c] > -np.inf:
            scratch.classes[slot, count] = c
            scratch.apart[slot, count] = best[c] - moved[first + c]
            scratch.gain[slot, count] = -best[c]
            count += 1
    scratch.left[slot] = count


@njit(cache=True)
def _share_among_two(factors: Factors, p: int, scratch: _Handshake) -> None:
    """As `_share_among_three`, in three passes over the table instead of one for each step."""
    n, rows, columns = factors.n_classes[p, 2], scratch.left[1], scratch.left[2]
    table, taken = scratch.table, scratch.taken
    scratch.gain[0, 0] = 0.0
    for c in range(columns):
        taken[c] = -np.inf
    z = 0
    for b in range(rows):
        at = factors.start[p] + scratch.classes[1, b] * n
        highest = -np.inf
        for c in range(columns):
            held = scratch.apart[1, b] + scratch.apart[2, c]
            amount = factors.tables[at + scratch.classes[2, c]] + held
            table[z + c] = amount
            highest = amount if amount > highest else highest
        highest *= 0.5
        scratch.gain[1, b] += highest
        for c in range(columns):
            amount = table[z + c] - highest
            table[z + c] = amount
            taken[c] = amount if amount > taken[c] else taken[c]
        z += columns
    for c in range(columns):
        scratch.gain[2, c] += taken[c]
    z = 0
    for b in range(rows):
        highest = -np.inf
        for c in range(columns):
            amount = table[z + c] - taken[c]
            highest = amount if amount > highest else highest
        scratch.gain[1, b] += highest
        z += columns


@njit(cache=True)
def _share_among_three(factors: Factors, p: int, scratch: _Handshake) -> None:
    """Divide all that the cells hold, and the table with it, among them."""
    _collect(factors, p, scratch)
    for slot in range(3):
        _take(slot, 1.0 / (3 - slot), scratch)
    # Nothing is left for the last slot.
    for slot in range(1, -1, -1):
        _take(slot, 1.0, scratch)


@njit(cache=True)
def _collect(factors: Factors, p: int, scratch: _Handshake) -> None:
    """The table with all that its cells hold."""
    n, count, classes = factors.n_classes[p], scratch.left, scratch.classes
    z = 0
    for a in range(count[0]):
        for b in range(count[1]):
            rest = scratch.apart[0, a] + scratch.apart[1, b]
            at = factors.start[p] + (classes[0, a] * n[1] + classes[1, b]) * n[2]
            for c in range(count[2]):
                held = rest + scratch.apart[2, c]
                scratch.table[z] = factors.tables[at + classes[2, c]] + held
                z += 1


@njit(cache=True)
def _take(slot: int, share: float, scratch: _Handshake) -> None:
    """Take a share of each class's maximum out of the table."""
    n, table, taken = scratch.left, scratch.table, scratch.taken
    for c in range(n[slot]):
        taken[c] = -np.inf
    z = 0
    for a in range(n[0]):
        for b in range(n[1]):
            own = a if slot == 0 else b
            for c in range(n[2]):
                at, amount = c if slot == 2 else own, table[z + c]
                taken[at] = amount if amount > taken[at] else taken[at]
            z += n[2]
    for c in range(n[slot]):
        taken[c] *= share
        scratch.gain[slot, c] += taken[c]
    z = 0
    for a in range(n[0]):
        for b in range(n[1]):
            own = a if slot == 0 else b
            for c in range(n[2]):
                table[z + c] -= taken[c] if slot == 2 else taken[own]
            z += n[2]


@njit(cache=True)
def _give(
    factors: Factors,
    p: int,
    slot: int,
    theta: NDArray[np.float64],
    moved: NDArray[np.float64],
    scratch: _Handshake,
) -> None:
    """Add each class's gain to its labels, and book it."""
    cell, gain = factors.cells[p, slot], scratch.best
    own, first = factors.first_label[p, slot], factors.first_class[p, slot]
    for z in range(scratch.left[slot]):
        c = scratch.classes[slot, z]
        gain[c] = scratch.gain[slot, z]
        moved[first + c] += gain[c]
    for a in range(factors.n_labels[cell]):
        theta[cell, a] += gain[factors.classes[own + a]]
