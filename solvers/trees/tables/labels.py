"""The labels of each cell: its choices, or those among them that nothing else can beat."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.trees.tables.sets import Partition, Sets, split
from solvers.trees.tables.terms import first_bit


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
    kept: NDArray[np.uint64],
    group: NDArray[np.int64],
) -> tuple[Labels, Sets]:
    """Of choices of a group that belong to the same sets, the one that contributes most.

    Args:
        unary: (t + 1, L), what choices contribute by themselves.
        sets: of choices.
        pairs: which tell all choices of their cells apart.
        kept: (t, words) bitsets of the choices that count.
        group: (t + 1, L) int64, numbers from 0 on.

    Returns:
        The labels, and the sets as lists of labels.
    """
    t, width = len(kept), group.shape[1]
    rows, first = _rows_by_cell(sets, t)
    paired = cells_of_pairs(pairs, t)
    # A class for each group, and one for each choice that sets tell apart.
    scratch = np.zeros((6, max(width, group.max() + 1) + width), dtype=np.int64)
    classes, choices, best = scratch[4, :width], scratch[5, :width], np.empty_like(scratch[0])
    partition = Partition(scratch[0], scratch[1], scratch[2], scratch[3])
    labels = Labels(np.zeros((t + 1, width), dtype=np.int64), np.ones(t + 1, dtype=np.int64))
    label = np.empty((t, width), dtype=np.int32)
    for cell in range(t):
        n = _list_bits(kept[cell], choices)
        partition.size[:] = 0
        count = 0
        for a in choices[:n]:
            classes[a] = a if paired[cell] else group[cell, a]
            partition.size[classes[a]] += 1
            count = max(count, classes[a] + 1)
        for z in range(first[cell], first[cell + 1]):
            count = split(classes, count, sets, rows[z], partition)
        best[:count] = -1
        for a in choices[:n]:
            c = classes[a]
            if best[c] < 0 or unary[cell, a] > unary[cell, best[c]]:
                best[c] = a
        n_labels = 0
        for a in choices[:n]:
            is_best = best[classes[a]] == a
            labels.choice[cell, n_labels] = a
            label[cell, a] = n_labels if is_best else -1
            n_labels += is_best
        labels.n_labels[cell] = n_labels
    return labels, _renamed(sets, label)


@njit(cache=True)
def cells_of_pairs(pairs: PairTables, t: int) -> NDArray[np.bool_]:
    """(t,) which cells the tables are about."""
    paired = np.zeros(t, dtype=np.bool_)
    paired[pairs.cells.ravel()] = True
    return paired


@njit(cache=True)
def _list_bits(words: NDArray[np.uint64], numbers: NDArray[np.int64]) -> int:
    """Write down the numbers of the bits that are set; how many."""
    count = 0
    for w in range(len(words)):
        word = words[w]
        while word:
            numbers[count] = (w << 6) + first_bit(word)
            count += 1
            word &= word - np.uint64(1)
    return count


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
