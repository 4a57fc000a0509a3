"""From trees to products of memberships: the exact expansion of an ensemble over its free cells."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.trees.traversal import Trees, goes_left

WIDEST = 3  # cells that one leaf may depend on

_NONE = np.uint64(0)
_ALL = ~_NONE


class Cells(NamedTuple):
    """The free cells and what they may take; t of them, at most L choices each.

    Attributes:
        position: (n_features,) int64, the free cell of each feature; -1 if it is fixed.
        reference: (n_features,) float64.
        n_choices: (t,) int64.
        values: (t, L) float64, padded.
        are_codes: (t,) bool, whether the choices are the codes 0, 1, 2, ...
    """

    position: NDArray[np.int64]
    reference: NDArray[np.float64]
    n_choices: NDArray[np.int64]
    values: NDArray[np.float64]
    are_codes: NDArray[np.bool_]


class Terms(NamedTuple):
    """A sum of weight times the product of up to three memberships.

    Attributes:
        constant: what is left where no free cell has a say.
        unary: (t + 1, L) float64, what choices contribute by themselves.
        cells: (m, 3) int64, ascending, but that slot 0 is t where only two cells count.
        sets: (m, 3) int64: a row of `members`, or minus one whose complement is meant.
        weight: (m,) float64.
        members: (rows, L / 64) uint64 bitsets of choices; row 0 stands for all of them.
        is_too_wide: whether some leaf depends on more than `WIDEST` cells.
    """

    constant: float
    unary: NDArray[np.float64]
    cells: NDArray[np.int64]
    sets: NDArray[np.int64]
    weight: NDArray[np.float64]
    members: NDArray[np.uint64]
    is_too_wide: bool


class _Sum(NamedTuple):
    """What has been added up so far.

    Attributes:
        lifted: (t + 1,), what all choices of a cell contribute; the last is the constant.
        unary, cells, sets, weight, members: as of `Terms`.
        size: (2,) numbers of terms and of rows.
    """

    lifted: NDArray[np.float64]
    unary: NDArray[np.float64]
    cells: NDArray[np.int64]
    sets: NDArray[np.int64]
    weight: NDArray[np.float64]
    members: NDArray[np.uint64]
    size: NDArray[np.int64]


@njit(cache=True)
def expand(trees: Trees, free: Cells, unary: NDArray[np.float64]) -> Terms:
    """Every leaf as the product of the memberships on its path.

    `unary` (t + 1, L) starts with what comes from elsewhere and is added to.
    """
    t, width = len(free.n_choices), unary.shape[1]
    open_nodes, leaves = _counts(trees, free)
    total = _Sum(
        np.zeros(t + 1),
        unary,
        np.empty((leaves, WIDEST), dtype=np.int64),
        np.empty((leaves, WIDEST), dtype=np.int64),
        np.empty(leaves),
        # A node is entered once, so that a row holds all that its path says of its cell.
        np.empty((1 + 2 * open_nodes, (width + 63) >> 6), dtype=np.uint64),
        np.array([0, 1]),
    )
    total.members[0] = _ALL
    total.lifted[t] = trees.base
    # Subtrees that are still to be entered: node, cells on the path, their sets.
    nodes = np.empty(1 + len(trees.feature), dtype=np.int64)
    paths = np.empty((len(nodes), 2, WIDEST), dtype=np.int64)
    path = np.empty((2, WIDEST), dtype=np.int64)
    for root in trees.roots:
        nodes[0] = _resolved(trees, free, root)
        if trees.feature[nodes[0]] < 0:
            total.lifted[t] += trees.value[nodes[0]]
            continue
        top = 0
        for slot in range(WIDEST):
            paths[0, 0, slot] = -1
        while top >= 0:
            node = _resolved(trees, free, nodes[top])
            _copy(paths[top], path)
            top -= 1
            if trees.feature[node] < 0:
                _add(total, path, trees.value[node])
                continue
            cell = free.position[trees.feature[node]]
            slot = 0
            while slot < WIDEST and path[0, slot] >= 0 and path[0, slot] != cell:
                slot += 1
            known = path[1, slot] if slot < WIDEST and path[0, slot] == cell else 0
            lefts, rights = _split(trees, free, node, cell, total, known)
            if lefts == 0 or rights == 0:
                # The node says nothing: all choices that reach it go one way.
                top += 1
                nodes[top] = trees.right[node] if lefts == 0 else trees.left[node]
                _copy(path, paths[top])
                continue
            if slot == WIDEST:
                return _terms(total, 0, True)
            left = _resolved(trees, free, trees.left[node])
            right = _resolved(trees, free, trees.right[node])
            if trees.feature[left] < 0 and trees.feature[right] < 0:
                # [L] a + [R] b = b + [L] (a - b) below the path: one product less.
                _add(total, path, trees.value[right])
                path[0, slot], path[1, slot] = cell, lefts
                _add(total, path, trees.value[left] - trees.value[right])
                continue
            path[0, slot] = cell
            for child, side in ((left, lefts), (right, rights)):
                top += 1
                path[1, slot] = side
                nodes[top] = child
                _copy(path, paths[top])
    for cell in range(t):
        for a in range(free.n_choices[cell]):
            unary[cell, a] += total.lifted[cell]
    return _terms(total, total.size[0], False)


@njit(cache=True)
def includes(members: NDArray[np.uint64], rows: int, choice: int) -> bool:
    """Whether a choice is in a set, given as in `Terms.sets`."""
    word = members[abs(rows), choice >> 6]
    inside = bool((word >> np.uint64(choice & 63)) & np.uint64(1))
    return inside != (rows < 0)


@njit(cache=True)
def first_bit(word: np.uint64) -> int:
    """The number of the lowest bit of a word that is not 0."""
    lowest = word & (~word + np.uint64(1))
    return int(_BIT[(lowest * _DE_BRUIJN) >> np.uint64(58)])


@njit(cache=True)
def first_bits(n: int) -> np.uint64:
    """A word of n bits that are set, or of all if there are no more."""
    if n <= 0:
        return _NONE
    return _ALL if n >= 64 else (np.uint64(1) << np.uint64(n)) - np.uint64(1)


@njit(cache=True)
def n_bits(word: np.uint64) -> int:
    """How many bits of a word are set, by sums over ever longer parts of it."""
    word -= (word >> np.uint64(1)) & np.uint64(0x5555555555555555)
    word = (word & np.uint64(0x3333333333333333)) + (
        (word >> np.uint64(2)) & np.uint64(0x3333333333333333)
    )
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return int((word * np.uint64(0x0101010101010101)) >> np.uint64(56))


# The top six bits of a de Bruijn sequence shifted by i are another number for each i.
_DE_BRUIJN = np.uint64(0x03F79D71B4CB0A89)
_BIT = np.zeros(64, dtype=np.int64)
_BIT[[((0x03F79D71B4CB0A89 << i) & (2**64 - 1)) >> 58 for i in range(64)]] = range(64)


@njit(cache=True)
def _terms(total: _Sum, n_terms: int, is_too_wide: bool) -> Terms:
    return Terms(
        total.lifted[-1],
        total.unary,
        total.cells[:n_terms],
        total.sets[:n_terms],
        total.weight[:n_terms],
        total.members[: total.size[1]],
        is_too_wide,
    )


@njit(cache=True)
def _copy(path: NDArray[np.int64], to: NDArray[np.int64]) -> None:
    for slot in range(WIDEST):
        to[0, slot], to[1, slot] = path[0, slot], path[1, slot]


@njit(cache=True)
def _add(total: _Sum, path: NDArray[np.int64], amount: float) -> None:
    """Add an amount where all sets on the path hold."""
    if path[0, 0] < 0:
        total.lifted[-1] += amount
    elif path[0, 1] < 0:
        if path[1, 0] < 0:
            # Outside of a set is everywhere but in it.
            total.lifted[path[0, 0]] += amount
            amount = -amount
        own, members = total.unary[path[0, 0]], total.members[abs(path[1, 0])]
        for w in range(len(members)):
            word = members[w]
            while word:
                own[(w << 6) + first_bit(word)] += amount
                word &= word - np.uint64(1)
    else:
        number = total.size[0]
        _place(path, len(total.lifted) - 1, total)
        total.weight[number] = amount
        total.size[0] += 1


@njit(cache=True)
def _counts(trees: Trees, free: Cells) -> tuple[int, int]:
    """At most so many nodes split free cells, and so many are leaves."""
    open_nodes = leaves = 0
    for feature in trees.feature:
        leaves += feature < 0
        open_nodes += feature >= 0 and free.position[feature] >= 0
    return open_nodes, leaves


@njit(cache=True)
def _resolved(trees: Trees, free: Cells, node: int) -> int:
    """The first node at or below this one that is a leaf or splits a free cell."""
    while trees.feature[node] >= 0 and free.position[trees.feature[node]] < 0:
        left = goes_left(trees, node, free.reference[trees.feature[node]])
        node = trees.left[node] if left else trees.right[node]
    return node


@njit(cache=True)
def _split(
    trees: Trees, free: Cells, node: int, cell: int, total: _Sum, known: int
) -> tuple[int, int]:
    """Divide the choices that reach a node: the sets that go left and right; 0 of none.

    Args:
        known: the set of those that reach it; 0 where all do.
    """
    row = total.size[1]
    left, right = total.members[row], total.members[row + 1]
    reaching = total.members[abs(known)]
    n = free.n_choices[cell]
    is_coded = trees.subset[node] >= 0 and free.are_codes[cell]
    some_left = some_right = _NONE
    for w in range(len(left)):
        word = _coded(trees, node, w) if is_coded else _compared(trees, free, node, cell, w)
        here = (~reaching[w] if known < 0 else reaching[w]) & first_bits(n - (w << 6))
        left[w] = here & word
        right[w] = here & ~word
        some_left |= left[w]
        some_right |= right[w]
    if some_left == _NONE or some_right == _NONE:
        return (0, row) if some_left == _NONE else (row, 0)
    if known == 0:
        total.size[1] += 1
        return row, -row
    total.size[1] += 2
    return row, row + 1


@njit(cache=True)
def _coded(trees: Trees, node: int, w: int) -> np.uint64:
    """Which of the codes 64 w, 64 w + 1, ... go left."""
    if w < trees.subsets.shape[1]:
        word: np.uint64 = trees.subsets[trees.subset[node], w]
        return word
    return _ALL if trees.unknown_left[node] else _NONE


@njit(cache=True)
def _compared(trees: Trees, free: Cells, node: int, cell: int, w: int) -> np.uint64:
    """Which of the choices 64 w, 64 w + 1, ... go left."""
    word = _NONE
    for a in range(w << 6, min((w + 1) << 6, free.n_choices[cell])):
        if goes_left(trees, node, free.values[cell, a]):
            word |= np.uint64(1) << np.uint64(a & 63)
    return word


@njit(cache=True)
def _place(path: NDArray[np.int64], t: int, total: _Sum) -> None:
    """Write down a term: cells in ascending order, with the empty slot, if any, in front."""
    number, n = total.size[0], WIDEST
    if path[0, n - 1] < 0:
        n -= 1
        total.cells[number, 0], total.sets[number, 0] = t, 0
    for z in range(n):
        at = WIDEST - n
        for other in range(n):
            at += path[0, other] < path[0, z]
        total.cells[number, at], total.sets[number, at] = path[0, z], path[1, z]
