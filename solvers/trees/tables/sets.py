"""The sets of choices that terms speak of as lists, and classes of what no set tells apart."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.trees.tables.terms import Terms, first_bit, n_bits


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
def listed(terms: Terms, kept: NDArray[np.uint64]) -> Sets:
    """The choices of each set that a term uses, of those in the bitsets `kept` (t, words)."""
    (rows, words), t = terms.members.shape, len(kept)
    cell = np.full(rows, -1)
    for m in range(len(terms.weight)):
        for slot in range(3):
            if terms.cells[m, slot] < t:
                cell[abs(terms.sets[m, slot])] = terms.cells[m, slot]
    cell[0] = -1
    start = np.zeros(rows + 1, dtype=np.int64)
    are_others = np.zeros(rows, dtype=np.bool_)
    for row in range(rows):
        if cell[row] >= 0:
            inside = outside = 0
            for w in range(words):
                inside += n_bits(kept[cell[row], w] & terms.members[row, w])
                outside += n_bits(kept[cell[row], w] & ~terms.members[row, w])
            are_others[row] = outside < inside
            start[row + 1] = min(outside, inside)
        start[row + 1] += start[row]
    entries = np.empty(start[rows], dtype=np.int32)
    at = 0
    for row in range(rows):
        if start[row + 1] == start[row]:
            continue
        for w in range(words):
            members = ~terms.members[row, w] if are_others[row] else terms.members[row, w]
            word = kept[cell[row], w] & members
            while word:
                entries[at] = (w << 6) + first_bit(word)
                at += 1
                word &= word - np.uint64(1)
    return Sets(cell, start, entries, are_others)


class Partition(NamedTuple):
    """A cell's labels in classes, and scratch for splitting them.

    Attributes:
        size: (classes,) int64, how many each class has.
        inside: how many of them are in a set; 0 between two splits.
        target: where these go.
        met: the classes that the set meets.
    """

    size: NDArray[np.int64]
    inside: NDArray[np.int64]
    target: NDArray[np.int64]
    met: NDArray[np.int64]


@njit(cache=True, forceinline=True)
def split(classes: NDArray[np.uint16], count: int, sets: Sets, row: int, scratch: Partition) -> int:
    """Tell the members of a set from the others: how many classes there are now.

    Args:
        classes: (n,), the class of each, below `count`; changed.
        count: number of classes.
        sets, row: the set.
        scratch: whose `size` is that of each class.
    """
    # No branches, whose outcome no processor could foresee: one more than is used is written.
    n_met = 0
    for z in range(sets.start[row], sets.start[row + 1]):
        c = classes[sets.listed[z]]
        scratch.met[n_met] = c
        n_met += scratch.inside[c] == 0
        scratch.inside[c] += 1
    before = count
    for z in range(n_met):
        c = scratch.met[z]
        is_split = 1 if scratch.inside[c] < scratch.size[c] else 0
        scratch.target[c] = c + is_split * (count - c)
        scratch.size[count] = scratch.inside[c]
        scratch.size[c] -= is_split * scratch.inside[c]
        count += is_split
        scratch.inside[c] = 0
    if count > before:
        for z in range(sets.start[row], sets.start[row + 1]):
            classes[sets.listed[z]] = scratch.target[classes[sets.listed[z]]]
    return count
