"""The labels of each cell: its choices, or those among them that nothing else can beat."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.trees.tables.terms import Terms

# The increment and multipliers of splitmix64 (Steele, Lea and Flood, OOPSLA 2014).
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


class PairTables(NamedTuple):
    """Tables over two cells' choices that are added to the trees.

    Attributes:
        cells: (P, 2) int64, first < second, no two rows equal.
        start: (P,) int64, where each table begins.
        across: (P,) int64, the number of choices of the second cell.
        values: (entries,) float64, second cell fastest.
    """

    cells: NDArray[np.int64]
    start: NDArray[np.int64]
    across: NDArray[np.int64]
    values: NDArray[np.float64]


class Labels(NamedTuple):
    """The labels of each cell; the last of t + 1 cells has one.

    Attributes:
        choice: (t + 1, L) int64.
        n_labels: (t + 1,) int64.
    """

    choice: NDArray[np.int64]
    n_labels: NDArray[np.int64]


@njit(cache=True)
def all_labels(n_choices: NDArray[np.int64], width: int) -> Labels:
    """One label a choice."""
    t = len(n_choices)
    choice = np.zeros((t + 1, width), dtype=np.int64)
    n_labels = np.ones(t + 1, dtype=np.int64)
    for cell in range(t):
        choice[cell, : n_choices[cell]] = np.arange(n_choices[cell])
        n_labels[cell] = n_choices[cell]
    return Labels(choice, n_labels)


@njit(cache=True)
def undominated_labels(
    terms: Terms, pairs: PairTables, n_choices: NDArray[np.int64], group: NDArray[np.int64]
) -> Labels:
    """Of choices of a group that belong to the same sets, the one that contributes most.

    Equal 64-bit signatures almost certainly mean equal memberships, which is then verified.
    """
    t, width = len(n_choices), group.shape[1]
    used = _used_rows(terms, t)
    signature = _signatures(terms, used, group)
    for paired in pairs.cells.ravel():
        for a in range(width):
            signature[paired, a] = np.uint64(a)
    best = np.zeros((t, width), dtype=np.int64)
    slots = 1
    while slots < 2 * width:
        slots *= 2
    first = np.empty(slots, dtype=np.int64)
    for cell in range(t):
        _gather(signature[cell, : n_choices[cell]], terms.unary[cell], first, best[cell])
    _verify_alike(terms, used, group, best)
    labels = all_labels(n_choices, width)
    for cell in range(t):
        kept = 0
        for a in range(n_choices[cell]):
            if best[cell, a] == a:
                labels.choice[cell, kept] = a
                kept += 1
        labels.n_labels[cell] = kept
    return labels


@njit(cache=True)
def _used_rows(terms: Terms, t: int) -> NDArray[np.int64]:
    """(rows,) the cell whose choices a row of `members` tells apart; -1 if no term uses it."""
    used = np.full(len(terms.members), -1)
    for m in range(len(terms.weight)):
        for slot in range(3):
            if terms.cells[m, slot] < t:
                used[terms.sets[m, slot]] = terms.cells[m, slot]
    used[0] = -1
    return used


@njit(cache=True)
def _signatures(
    terms: Terms, used: NDArray[np.int64], group: NDArray[np.int64]
) -> NDArray[np.uint64]:
    """(t + 1, L) a hash of a choice's group and of the sets that it belongs to."""
    signature = np.zeros(group.shape, dtype=np.uint64)
    for cell in range(group.shape[0]):
        for a in range(group.shape[1]):
            signature[cell, a] = _mixed(np.uint64(group[cell, a]) * _GAMMA)
    state = np.uint64(0)
    for row in range(len(used)):
        state += _GAMMA
        if used[row] >= 0:
            own, key = signature[used[row]], _mixed(state)
            for a in range(len(own)):
                # All ones where the choice belongs to the set.
                own[a] ^= key & (np.uint64(0) - np.uint64(terms.members[row, a]))
    return signature


@njit(cache=True)
def _mixed(state: np.uint64) -> np.uint64:
    state = (state ^ (state >> np.uint64(30))) * _MIX_1
    state = (state ^ (state >> np.uint64(27))) * _MIX_2
    return state ^ (state >> np.uint64(31))


@njit(cache=True)
def _gather(
    signature: NDArray[np.uint64],
    unary: NDArray[np.float64],
    first: NDArray[np.int64],
    best: NDArray[np.int64],
) -> None:
    """best[a] = the choice of a's signature that contributes most, the lowest of equal ones.

    `first` is scratch: a hash table of a power of two slots, more than there are choices.
    """
    first[:] = -1
    home = np.empty(len(signature), dtype=np.int64)
    for a in range(len(signature)):
        at = np.int64(signature[a] & np.uint64(len(first) - 1))
        while first[at] >= 0 and signature[first[at]] != signature[a]:
            at = (at + 1) & (len(first) - 1)
        if first[at] < 0 or unary[a] > unary[first[at]]:
            first[at] = a
        home[a] = at
    for a in range(len(signature)):
        best[a] = first[home[a]]


@njit(cache=True)
def _verify_alike(
    terms: Terms,
    used: NDArray[np.int64],
    group: NDArray[np.int64],
    best: NDArray[np.int64],
) -> None:
    """Where a choice differs from its best after all, it becomes its own best."""
    wrong = np.zeros(best.shape, dtype=np.bool_)
    for cell in range(best.shape[0]):
        for a in range(best.shape[1]):
            wrong[cell, a] = group[cell, a] != group[cell, best[cell, a]]
    for row in range(len(used)):
        if used[row] >= 0:
            cell = used[row]
            own = terms.members[row]
            for a in range(best.shape[1]):
                wrong[cell, a] |= own[a] != own[best[cell, a]]
    for cell in range(best.shape[0]):
        for a in range(best.shape[1]):
            if wrong[cell, a]:
                best[cell, a] = a
