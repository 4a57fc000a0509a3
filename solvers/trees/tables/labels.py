"""The labels of each cell: its choices, or those among them that nothing else can beat."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.trees.tables.terms import Terms, first_bit

# The golden ratio in 64 bits: multiplying by it spreads low bits over high ones.
_ODD = np.uint64(0x9E3779B97F4A7C15)


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


class Sets(NamedTuple):
    """The rows of `Terms.members` as lists: of members, or of the others where they are fewer.

    Most sets are small or nearly everything, so that what is done for each entry of a list is
    little.

    Attributes:
        cell: (rows,) int64, whose choices or labels are listed; -1 of a row that no term uses.
        start: (rows + 1,) int64, where each list begins.
        listed: (entries,) int32.
        are_others: (rows,) bool, whether the list is of those that are no members.
    """

    cell: NDArray[np.int64]
    start: NDArray[np.int64]
    listed: NDArray[np.int32]
    are_others: NDArray[np.bool_]


@njit(cache=True)
def listed(terms: Terms, n_choices: NDArray[np.int64]) -> Sets:
    """The choices of each set that a term uses."""
    rows, words = terms.members.shape
    cell = np.full(rows, -1)
    for m in range(len(terms.weight)):
        for slot in range(3):
            if terms.cells[m, slot] < len(n_choices):
                cell[abs(terms.sets[m, slot])] = terms.cells[m, slot]
    cell[0] = -1
    sizes = np.zeros(rows, dtype=np.int64)
    start = np.zeros(rows + 1, dtype=np.int64)
    are_others = np.zeros(rows, dtype=np.bool_)
    for row in range(rows):
        if cell[row] >= 0:
            for w in range(words):
                sizes[row] += _bits(terms.members[row, w])
            others = n_choices[cell[row]] - sizes[row]
            are_others[row] = others < sizes[row]
            start[row + 1] = min(others, sizes[row])
        start[row + 1] += start[row]
    entries = np.empty(start[rows], dtype=np.int32)
    at = 0
    for row in range(rows):
        if start[row + 1] == start[row]:
            continue
        n = n_choices[cell[row]]
        for w in range(words):
            word = ~terms.members[row, w] if are_others[row] else terms.members[row, w]
            while word:
                choice = (w << 6) + first_bit(word)
                if choice >= n:
                    break
                entries[at] = choice
                at += 1
                word &= word - np.uint64(1)
    return Sets(cell, start, entries, are_others)


@njit(cache=True)
def _bits(word: np.uint64) -> int:
    """How many bits of a word are set, by sums over ever longer parts of it."""
    word -= (word >> np.uint64(1)) & np.uint64(0x5555555555555555)
    word = (word & np.uint64(0x3333333333333333)) + (
        (word >> np.uint64(2)) & np.uint64(0x3333333333333333)
    )
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return int((word * np.uint64(0x0101010101010101)) >> np.uint64(56))


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
def _rows_by_cell(sets: Sets, t: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The sets of one cell after the other, and (t + 1,) where each cell's begin."""
    first = np.zeros(t + 2, dtype=np.int64)
    for cell in sets.cell:
        first[cell + 2] += cell >= 0
    first = np.cumsum(first)
    rows = np.empty(first[t + 1], dtype=np.int64)
    for row, cell in enumerate(sets.cell):
        if cell >= 0:
            rows[first[cell + 1]] = row
            first[cell + 1] += 1
    return rows, first[:-1]


@njit(cache=True)
def merged(
    unary: NDArray[np.float64],
    sets: Sets,
    pairs: PairTables,
    n_choices: NDArray[np.int64],
    group: NDArray[np.int64],
) -> tuple[Labels, Sets]:
    """Of choices of a group that belong to the same sets, the one that contributes most.

    Args:
        unary: (t + 1, L), what choices contribute by themselves.
        sets: of choices.
        pairs: which tell all choices of their cells apart.
        n_choices: (t,).
        group: (t + 1, L) int64, numbers from 0 on.

    Returns:
        The labels, and the sets as lists of labels.
    """
    t, width = len(n_choices), group.shape[1]
    rows, first = _rows_by_cell(sets, t)
    paired = np.zeros(t, dtype=np.bool_)
    paired[pairs.cells.ravel()] = True
    best = np.empty(width, dtype=np.int64)
    labels = Labels(np.zeros((t + 1, width), dtype=np.int64), np.ones(t + 1, dtype=np.int64))
    label = np.empty((t, width), dtype=np.int32)
    for cell in range(t):
        n = n_choices[cell]
        words = 1 + ((first[cell + 1] - first[cell] + 63) >> 6)
        belongs = np.zeros((n, words), dtype=np.uint64)
        for a in range(n):
            belongs[a, 0] = a if paired[cell] else group[cell, a]
        for z in range(first[cell], first[cell + 1]):
            word, bit = (
                1 + ((z - first[cell]) >> 6),
                np.uint64(1) << np.uint64((z - first[cell]) & 63),
            )
            for at in range(sets.start[rows[z]], sets.start[rows[z] + 1]):
                belongs[sets.listed[at], word] |= bit
        _gather(belongs, unary, cell, best)
        kept = 0
        for a in range(n):
            is_best = best[a] == a
            labels.choice[cell, kept] = a
            label[cell, a] = kept if is_best else -1
            kept += is_best
        labels.n_labels[cell] = kept
    return labels, _renamed(sets, label)


@njit(cache=True)
def _gather(
    belongs: NDArray[np.uint64], unary: NDArray[np.float64], cell: int, best: NDArray[np.int64]
) -> None:
    """best[a] = of the choices with a's row in `belongs`, the one that contributes most.

    The lowest of equal ones; by a hash table of a power of two slots, more than twice as many as
    there are choices.
    """
    n = len(belongs)
    slots = 2
    while slots < 2 * n:
        slots *= 2
    first = np.full(slots, -1)
    home = np.empty(n, dtype=np.int64)
    for a in range(n):
        hashed = np.uint64(0)
        for w in range(belongs.shape[1]):
            hashed = (hashed ^ belongs[a, w]) * _ODD
            hashed ^= hashed >> np.uint64(32)
        at = np.int64(hashed & np.uint64(slots - 1))
        while first[at] >= 0 and not _alike(belongs, first[at], a):
            at = (at + 1) & (slots - 1)
        if first[at] < 0 or unary[cell, a] > unary[cell, first[at]]:
            first[at] = a
        home[a] = at
    for a in range(n):
        best[a] = first[home[a]]


@njit(cache=True)
def _alike(belongs: NDArray[np.uint64], first: int, second: int) -> bool:
    same = True
    for w in range(belongs.shape[1]):
        same &= belongs[first, w] == belongs[second, w]
    return same


@njit(cache=True)
def _renamed(sets: Sets, label: NDArray[np.int32]) -> Sets:
    """Lists of labels (t, L) instead of choices, without those of no label."""
    start = np.zeros_like(sets.start)
    renamed = np.empty_like(sets.listed)
    at = 0
    for row in range(len(sets.cell)):
        start[row] = at
        for z in range(sets.start[row], sets.start[row + 1]):
            own = label[sets.cell[row], sets.listed[z]]
            if own >= 0:
                renamed[at] = own
                at += 1
    start[len(sets.cell)] = at
    return Sets(sets.cell, start, renamed[:at], sets.are_others)
