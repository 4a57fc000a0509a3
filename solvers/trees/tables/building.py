"""From products of memberships to tables over classes of labels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.trees.tables.factors import Factors
from solvers.trees.tables.labels import Labels, PairTables
from solvers.trees.tables.terms import Terms


class Scopes(NamedTuple):
    """Which terms make up which factor.

    Attributes:
        order: (m,) terms, one factor after the other.
        end: (F,) where each factor's terms end in `order`.
        cells: (F, 3).
        pair: (F,) the row of `PairTables` that is part of the factor; -1 for none.
        n_classes: (F, 3).
        classes: (F, 3, L).
        entries: of all tables together.
    """

    order: NDArray[np.int64]
    end: NDArray[np.int64]
    cells: NDArray[np.int64]
    pair: NDArray[np.int64]
    n_classes: NDArray[np.int64]
    classes: NDArray[np.int32]
    entries: int


@njit(cache=True)
def scopes(terms: Terms, pairs: PairTables, labels: Labels) -> Scopes:
    """Group the terms by the cells that they couple, and the labels of each group into classes.

    Pairs within a triple become part of it, which makes the bounds tighter.
    """
    t = len(labels.n_labels) - 1
    cells = _absorbed(terms.cells, pairs, t)
    m, n_pairs = len(cells), len(pairs.cells)
    key = np.empty(m + n_pairs, dtype=np.int64)
    for z in range(m):
        key[z] = (cells[z, 0] * (t + 1) + cells[z, 1]) * (t + 1) + cells[z, 2]
    for p in range(n_pairs):
        key[m + p] = (t * (t + 1) + pairs.cells[p, 0]) * (t + 1) + pairs.cells[p, 1]
    # A pair table sorts behind the terms of its scope.
    order = np.argsort(key, kind="mergesort")
    count = 0
    for z in range(len(order)):
        count += z == 0 or key[order[z]] != key[order[z - 1]]
    width = labels.n_labels.max()
    scope = np.zeros((count, 3), dtype=np.int64)
    stop = np.zeros(count, dtype=np.int64)
    pair = np.full(count, -1)
    n_classes = np.ones((count, 3), dtype=np.int64)
    classes = np.zeros((count, 3, width), dtype=np.int32)
    renamed = np.empty(2 * width, dtype=np.int32)
    entries = start = 0
    for p in range(count):
        end = start
        while end < len(order) and key[order[end]] == key[order[start]]:
            end += 1
        number = key[order[start]]
        scope[p, 0] = number // ((t + 1) * (t + 1))
        scope[p, 1] = number // (t + 1) % (t + 1)
        scope[p, 2] = number % (t + 1)
        stop[p] = end
        if order[end - 1] >= m:
            pair[p] = order[end - 1] - m
        for slot in range(3):
            cell = scope[p, slot]
            if cell < t and pair[p] >= 0:
                n_classes[p, slot] = labels.n_labels[cell]
                classes[p, slot] = np.arange(width)
            elif cell < t:
                n_classes[p, slot] = _refine(
                    terms, labels, cell, order[start:end], classes[p, slot], renamed
                )
        entries += n_classes[p].prod()
        start = end
    return Scopes(order, stop, scope, pair, n_classes, classes, entries)


@njit(cache=True)
def _absorbed(cells: NDArray[np.int64], pairs: PairTables, t: int) -> NDArray[np.int64]:
    """(m, 3) the scope that each term joins: a pair joins a triple that holds it."""
    third = np.full((t, t), -1)
    for m in range(len(cells)):
        i, j, k = cells[m]
        if i < t:
            third[i, j], third[i, k], third[j, k] = k, j, i
    for i, j in pairs.cells:
        third[i, j] = -1
    joined = cells.copy()
    for m in range(len(cells)):
        if cells[m, 0] == t and third[cells[m, 1], cells[m, 2]] >= 0:
            joined[m, 0] = third[cells[m, 1], cells[m, 2]]
            joined[m].sort()
    return joined


@njit(cache=True)
def _row(terms: Terms, m: int, cell: int) -> int:
    """The set that term m demands of a cell; row 0, which holds everything, if none."""
    for slot in range(3):
        if terms.cells[m, slot] == cell:
            return int(terms.sets[m, slot])
    return 0


@njit(cache=True)
def _refine(
    terms: Terms,
    labels: Labels,
    cell: int,
    order: NDArray[np.int64],
    classes: NDArray[np.int32],
    renamed: NDArray[np.int32],
) -> int:
    """Number the classes of a cell's labels that the terms in `order` do not tell apart."""
    n = labels.n_labels[cell]
    count = 1
    last = 0
    for m in order:
        row = _row(terms, m, cell)
        if row in (0, last):
            continue
        last = row
        members = terms.members[row]
        renamed[: 2 * count] = -1
        count = 0
        for a in range(n):
            finer = 2 * classes[a] + members[labels.choice[cell, a]]
            if renamed[finer] < 0:
                renamed[finer] = count
                count += 1
            classes[a] = renamed[finer]
    return count


@njit(cache=True)
def build(
    terms: Terms,
    pairs: PairTables,
    labels: Labels,
    scope: Scopes,
    group: NDArray[np.int64],
) -> Factors:
    """Fill the tables, and index them by cell."""
    t = len(labels.n_labels) - 1
    n_factors = len(scope.cells)
    start = np.zeros(n_factors + 1, dtype=np.int64)
    for p in range(n_factors):
        start[p + 1] = start[p] + scope.n_classes[p].prod()
    tables = np.zeros(start[n_factors])
    most = scope.n_classes.max() if n_factors else 1
    present = np.zeros((n_factors, 3, most), dtype=np.int64)
    sample = np.zeros((3, labels.choice.shape[1]), dtype=np.int64)
    begin = 0
    for p in range(n_factors):
        for slot in range(3):
            cell = scope.cells[p, slot]
            for a in range(labels.n_labels[cell] - 1, -1, -1):
                sample[slot, scope.classes[p, slot, a]] = labels.choice[cell, a]
                present[p, slot, scope.classes[p, slot, a]] += 1
        own = tables[start[p] : start[p + 1]]
        n_terms = scope.end[p] - begin - (scope.pair[p] >= 0)
        for m in scope.order[begin : begin + n_terms]:
            _add(terms, m, scope.cells[p], scope.n_classes[p], sample, own)
        if scope.pair[p] >= 0:
            at = pairs.start[scope.pair[p]]
            across = pairs.across[scope.pair[p]]
            z = 0
            for b in range(scope.n_classes[p, 1]):
                for c in range(scope.n_classes[p, 2]):
                    own[z] += pairs.values[at + sample[1, b] * across + sample[2, c]]
                    z += 1
        begin = scope.end[p]
    first, touching = _index(scope.cells, t)
    unary = np.zeros(labels.choice.shape)
    groups = np.zeros(labels.choice.shape, dtype=np.int64)
    for cell in range(t):
        for a in range(labels.n_labels[cell]):
            unary[cell, a] = terms.unary[cell, labels.choice[cell, a]]
            groups[cell, a] = group[cell, labels.choice[cell, a]]
    return Factors(
        terms.constant,
        labels.choice,
        labels.n_labels,
        unary,
        groups,
        scope.cells,
        scope.n_classes,
        scope.classes,
        present,
        start,
        tables,
        first,
        touching,
    )


@njit(cache=True)
def _add(
    terms: Terms,
    m: int,
    cells: NDArray[np.int64],
    n_classes: NDArray[np.int64],
    sample: NDArray[np.int64],
    table: NDArray[np.float64],
) -> None:
    """Add a term to the entries whose classes belong to its sets."""
    first = terms.members[_row(terms, m, cells[0])] if cells[0] < cells[1] else terms.members[0]
    second = terms.members[_row(terms, m, cells[1])]
    third = terms.members[_row(terms, m, cells[2])]
    weight = terms.weight[m]
    n = n_classes[2]
    for a in range(n_classes[0]):
        if not first[sample[0, a]]:
            continue
        for b in range(n_classes[1]):
            if not second[sample[1, b]]:
                continue
            own = table[(a * n_classes[1] + b) * n : (a * n_classes[1] + b + 1) * n]
            for c in range(n):
                own[c] += weight * third[sample[2, c]]


@njit(cache=True)
def _index(cells: NDArray[np.int64], t: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The factors and slots of each cell."""
    first = np.zeros(t + 2, dtype=np.int64)
    for p in range(len(cells)):
        for slot in range(3):
            if cells[p, slot] < t:
                first[cells[p, slot] + 1] += 1
    first = np.cumsum(first)
    touching = np.zeros((first[t], 2), dtype=np.int64)
    filled = first.copy()
    for p in range(len(cells)):
        for slot in range(3):
            cell = cells[p, slot]
            if cell < t:
                touching[filled[cell], 0], touching[filled[cell], 1] = p, slot
                filled[cell] += 1
    return first, touching
