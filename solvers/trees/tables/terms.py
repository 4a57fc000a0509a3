"""From trees to products of memberships: the exact expansion of an ensemble over its free cells."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.trees.traversal import Trees, goes_left

WIDEST = 3  # cells that one leaf may depend on

# Eight bytes of 1, and the eight bits of a byte spread over eight bytes.
_ONES = np.uint64(0x0101010101010101)
_SPREAD = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little").view(
    np.uint64
)[:, 0]


class Cells(NamedTuple):
    """The free cells and what they may take; t of them, at most L choices each.

    Attributes:
        position: (n_features,) int64, the free cell of each feature; -1 if it is fixed.
        reference: (n_features,) float64.
        n_choices: (t,) int64.
        values: (t, L) float64, padded; L is a multiple of 8.
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
        sets: (m, 3) int64, rows of `members`.
        weight: (m,) float64.
        members: (rows, L) uint8, whether a choice is in a set; row 0 holds everything.
        is_too_wide: whether some leaf depends on more than `WIDEST` cells.
    """

    constant: float
    unary: NDArray[np.float64]
    cells: NDArray[np.int64]
    sets: NDArray[np.int64]
    weight: NDArray[np.float64]
    members: NDArray[np.uint8]
    is_too_wide: bool


class _Sum(NamedTuple):
    """What has been added up so far; `counted` holds the constant and `size` the numbers used."""

    counted: NDArray[np.float64]
    unary: NDArray[np.float64]
    terms: NDArray[np.int64]
    weight: NDArray[np.float64]
    members: NDArray[np.uint8]
    size: NDArray[np.int64]


@njit(cache=True)
def expand(trees: Trees, free: Cells, unary: NDArray[np.float64]) -> Terms:
    """Every leaf as the product of the memberships on its path.

    `unary` (t + 1, L) starts with what comes from elsewhere and is added to.
    """
    n = len(trees.feature)
    open_nodes, leaves = _counts(trees, free)
    total = _Sum(
        np.array([trees.base]),
        unary,
        np.empty((leaves, 2, WIDEST), dtype=np.int64),
        np.empty(leaves),
        # A node is entered once, so that a row holds all that its path says of its cell.
        np.empty((1 + 2 * open_nodes, unary.shape[1]), dtype=np.uint8),
        np.array([0, 1]),  # terms, rows
    )
    total.members[0] = 1
    # Subtrees that are still to be entered: node, cells on the path, rows of their sets.
    nodes = np.empty(n, dtype=np.int64)
    paths = np.empty((n, 2, WIDEST), dtype=np.int64)
    path = np.empty((2, WIDEST), dtype=np.int64)
    for root in trees.roots:
        top = 0
        nodes[0] = root
        paths[0, 0, :] = -1
        while top >= 0:
            node = _resolved(trees, free, nodes[top])
            path[:] = paths[top]
            top -= 1
            if trees.feature[node] < 0:
                _add(total, path, trees.value[node])
                continue
            cell = free.position[trees.feature[node]]
            slot = 0
            while slot < WIDEST and path[0, slot] >= 0 and path[0, slot] != cell:
                slot += 1
            row = total.size[1]
            known = path[1, slot] if slot < WIDEST and path[0, slot] == cell else 0
            n_left, n_right = _split(trees, free, node, cell, total.members, known, row)
            if n_left == 0 or n_right == 0:
                # The node says nothing: all choices that reach it go one way.
                top += 1
                nodes[top], paths[top] = trees.left[node] if n_left else trees.right[node], path
                continue
            if slot == WIDEST:
                return Terms(
                    0.0,
                    unary,
                    total.terms[:0, 0],
                    total.terms[:0, 1],
                    total.weight[:0],
                    total.members[:1],
                    True,
                )
            total.size[1] += 2
            left = _resolved(trees, free, trees.left[node])
            right = _resolved(trees, free, trees.right[node])
            if trees.feature[left] < 0 and trees.feature[right] < 0:
                # [L] a + [R] b = b + [L] (a - b) below the path: one product less.
                _add(total, path, trees.value[right])
                path[0, slot], path[1, slot] = cell, row
                _add(total, path, trees.value[left] - trees.value[right])
                continue
            path[0, slot] = cell
            for child, side in ((left, row), (right, row + 1)):
                top += 1
                path[1, slot] = side
                nodes[top], paths[top] = child, path
    n_terms, n_rows = total.size
    return Terms(
        total.counted[0],
        unary,
        total.terms[:n_terms, 0],
        total.terms[:n_terms, 1],
        total.weight[:n_terms],
        total.members[:n_rows],
        False,
    )


@njit(cache=True)
def _add(total: _Sum, path: NDArray[np.int64], amount: float) -> None:
    """Add an amount where all sets on the path hold."""
    if path[0, 0] < 0:
        total.counted[0] += amount
    elif path[0, 1] < 0:
        row, members = total.unary[path[0, 0]], total.members[path[1, 0]]
        for a in range(len(row)):
            row[a] += amount * members[a]
    else:
        number = total.size[0]
        _place(path, len(total.unary) - 1, total.terms[number])
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
    trees: Trees,
    free: Cells,
    node: int,
    cell: int,
    members: NDArray[np.uint8],
    known: int,
    row: int,
) -> tuple[int, int]:
    """Divide the set in row `known` into those that go left, in `row`, and right, behind it.

    How many choices each side has. Eight choices are divided at a time.
    """
    n = free.n_choices[cell]
    subset = trees.subset[node]
    left = members[row]
    if subset >= 0 and free.are_codes[cell]:
        _unpack(trees.subsets[subset], trees.unknown_left[node], left.view(np.uint64))
    else:
        for a in range(n):
            left[a] = goes_left(trees, node, free.values[cell, a])
    reaching, lefts = members[known].view(np.uint64), left.view(np.uint64)
    rights = members[row + 1].view(np.uint64)
    for w in range(len(lefts)):
        rights[w] = reaching[w] & ~lefts[w]
        lefts[w] &= reaching[w]
    left[n:] = 0
    members[row + 1, n:] = 0
    n_left = n_right = 0
    for w in range(len(lefts)):
        n_left += (lefts[w] * _ONES) >> np.uint64(56)
        n_right += (rights[w] * _ONES) >> np.uint64(56)
    return n_left, n_right


@njit(cache=True)
def _unpack(words: NDArray[np.uint64], beyond: bool, out: NDArray[np.uint64]) -> None:
    """Bits as bytes of 0 or 1, eight at a time; `beyond` where there are no more bits."""
    for w in range(len(out)):
        if w < 8 * len(words):
            out[w] = _SPREAD[(words[w >> 3] >> np.uint64(8 * (w & 7))) & np.uint64(255)]
        else:
            out[w] = _ONES if beyond else np.uint64(0)


@njit(cache=True)
def _place(path: NDArray[np.int64], t: int, term: NDArray[np.int64]) -> None:
    """Cells in ascending order, with the empty slot, if any, in front."""
    n = WIDEST
    if path[0, n - 1] < 0:
        n -= 1
        term[0, 0], term[1, 0] = t, 0
    for z in range(n):
        at = 0
        for other in range(n):
            at += path[0, other] < path[0, z]
        term[0, WIDEST - n + at] = path[0, z]
        term[1, WIDEST - n + at] = path[1, z]
