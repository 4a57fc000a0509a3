"""From products of memberships to tables over classes of labels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.trees.tables.factors import Factors
from solvers.trees.tables.labels import Labels, PairTables
from solvers.trees.tables.sets import Partition, Sets, split
from solvers.trees.tables.terms import Terms


class Scopes(NamedTuple):
    """Which terms make up which factor.

    Attributes:
        order: (m,) terms, one factor after the other.
        end: (F,) where each factor's terms end in `order`.
        cells: (F, 3).
        pair: (F,) the row of `PairTables` that is part of the factor; -1 for none.
        n_classes: (F, 3).
        classes, first_label, first_class, present: as of `Factors`.
        entries: of all tables together.
    """

    order: NDArray[np.int64]
    end: NDArray[np.int64]
    cells: NDArray[np.int64]
    pair: NDArray[np.int64]
    n_classes: NDArray[np.int64]
    classes: NDArray[np.uint16]
    first_label: NDArray[np.int64]
    first_class: NDArray[np.int64]
    present: NDArray[np.int64]
    entries: int


@njit(cache=True)
def scopes(
    terms: Terms, sets: Sets, pairs: PairTables, labels: Labels, numbers: NDArray[np.uint16]
) -> Scopes:
    """Group the terms by the cells that they couple, and the labels of each group into classes.

    Pairs within a triple become part of it, which makes the bounds tighter. `numbers` is an empty
    array of the type that numbers classes.
    """
    t = len(labels.n_labels) - 1
    cells = _absorbed(terms.cells, pairs, t)
    order = _sorted(cells, t)
    end = np.empty(len(order), dtype=np.int64)
    count = 0
    for z in range(len(order)):
        count += z == 0 or not _equal(cells[order[z]], cells[order[z - 1]])
        end[count - 1] = z + 1
    scope = np.empty((count, 3), dtype=np.int64)
    pair = np.full(count, -1)
    first_label = np.empty((count, 3), dtype=np.int64)
    n_labels = 0
    for p in range(count):
        last = order[end[p] - 1]
        if last >= len(terms.cells):
            pair[p] = last - len(terms.cells)
        for slot in range(3):
            scope[p, slot] = cells[last, slot]
            first_label[p, slot] = n_labels
            n_labels += labels.n_labels[cells[last, slot]]
    n_classes = np.ones((count, 3), dtype=np.int64)
    first_class = np.zeros((count, 3), dtype=np.int64)
    classes = np.zeros(n_labels, dtype=numbers.dtype)
    scratch = np.zeros((4, labels.n_labels.max() + 1), dtype=np.int64)
    partition = Partition(scratch[0], scratch[1], scratch[2], scratch[3])
    present = np.empty(n_labels, dtype=np.int64)
    entries = n_all = start = 0
    for p in range(count):
        for slot in range(3):
            cell, n = scope[p, slot], labels.n_labels[scope[p, slot]]
            own = classes[first_label[p, slot] : first_label[p, slot] + n]
            if pair[p] >= 0:
                n_classes[p, slot] = n
                for a in range(n):
                    own[a] = a
                    partition.size[a] = 1
            else:
                chosen = order[start : end[p]]
                n_classes[p, slot] = _refine(terms, sets, cell, chosen, own, partition)
            first_class[p, slot] = n_all
            for c in range(n_classes[p, slot]):
                present[n_all] = partition.size[c]
                n_all += 1
        entries += n_classes[p, 0] * n_classes[p, 1] * n_classes[p, 2]
        start = end[p]
    return Scopes(
        order,
        end[:count],
        scope,
        pair,
        n_classes,
        classes,
        first_label,
        first_class,
        present[:n_all],
        entries,
    )


@njit(cache=True)
def _absorbed(cells: NDArray[np.int64], pairs: PairTables, t: int) -> NDArray[np.int64]:
    """(m + P, 3) the scope that each term joins, and of each pair table.

    A pair joins a triple that holds it.
    """
    n_terms, n_pairs = len(cells), len(pairs.cells)
    joined = np.empty((n_terms + n_pairs, 3), dtype=np.int64)
    joined[:n_terms] = cells
    for p in range(n_pairs):
        joined[n_terms + p, 0] = t
        joined[n_terms + p, 1:] = pairs.cells[p]
    if not (cells[:, 0] < t).any():
        return joined
    third = np.full((t, t), -1)
    for i, j, k in cells:
        if i < t:
            third[i, j], third[i, k], third[j, k] = k, j, i
    for i, j in pairs.cells:
        third[i, j] = -1
    for m in range(n_terms):
        if cells[m, 0] == t and third[cells[m, 1], cells[m, 2]] >= 0:
            joined[m, 0] = third[cells[m, 1], cells[m, 2]]
            joined[m].sort()
    return joined


@njit(cache=True)
def _sorted(cells: NDArray[np.int64], t: int) -> NDArray[np.int64]:
    """The rows of (m, 3) `cells` in order, equal ones as they stand; a pair's slot 0 is t."""
    order = np.arange(len(cells))
    other = np.empty_like(order)
    for slot in (2, 1, 0):
        start = np.zeros(t + 2, dtype=np.int64)
        for m in range(len(cells)):
            start[cells[m, slot] + 1] += 1
        for cell in range(t + 1):
            start[cell + 1] += start[cell]
        for z in range(len(order)):
            m = order[z]
            other[start[cells[m, slot]]] = m
            start[cells[m, slot]] += 1
        order, other = other, order
    return order


@njit(cache=True)
def _equal(first: NDArray[np.int64], second: NDArray[np.int64]) -> bool:
    return bool(first[0] == second[0] and first[1] == second[1] and first[2] == second[2])


@njit(cache=True, forceinline=True)
def _set(terms: Terms, m: int, cell: int) -> int:
    """The set that term m demands of a cell; 0, which holds everything, if none."""
    for slot in range(3):
        if terms.cells[m, slot] == cell:
            return int(terms.sets[m, slot])
    return 0


@njit(cache=True)
def _refine(
    terms: Terms,
    sets: Sets,
    cell: int,
    order: NDArray[np.int64],
    classes: NDArray[np.uint16],
    scratch: Partition,
) -> int:
    """Number the classes of a cell's labels that the terms in `order` do not tell apart.

    `classes` starts as 0.
    """
    count = 1
    last = 0
    scratch.size[0] = len(classes)
    for m in order:
        row = abs(_set(terms, m, cell))
        if row not in (0, last) and count < len(classes):
            last = row
            count = split(classes, count, sets, row, scratch)
    return count


@njit(cache=True)
def build(
    terms: Terms,
    sets: Sets,
    pairs: PairTables,
    labels: Labels,
    scope: Scopes,
    group: NDArray[np.int64],
) -> Factors:
    """Fill the tables, and index them by cell."""
    t = len(labels.n_labels) - 1
    n_factors = len(scope.cells)
    start = np.zeros(n_factors + 1, dtype=np.int64)
    most = 1
    for p in range(n_factors):
        n = scope.n_classes[p]
        start[p + 1] = start[p] + n[0] * n[1] * n[2]
        most = max(most, n[0], n[1], n[2])
    tables = np.zeros(start[n_factors])
    holds = np.ones((3, most))
    begin = 0
    for p in range(n_factors):
        table = tables[start[p] : start[p + 1]]
        n_terms = scope.end[p] - begin - (scope.pair[p] >= 0)
        for m in scope.order[begin : begin + n_terms]:
            for slot in range(3):
                if scope.cells[p, slot] < t:
                    _mark(terms, sets, scope, p, slot, m, holds[slot])
                else:
                    holds[slot, 0] = 1.0
            _add(scope.n_classes[p], terms.weight[m], holds, table)
        if scope.pair[p] >= 0:
            # Classes are labels here.
            i, j = pairs.cells[scope.pair[p]]
            at, across = pairs.start[scope.pair[p]], pairs.across[scope.pair[p]]
            z = 0
            for b in range(labels.n_labels[i]):
                for c in range(labels.n_labels[j]):
                    table[z] += pairs.values[
                        at + labels.choice[i, b] * across + labels.choice[j, c]
                    ]
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
        scope.first_label,
        scope.first_class,
        scope.present,
        start,
        tables,
        first,
        touching,
    )


@njit(cache=True)
def _mark(
    terms: Terms, sets: Sets, scope: Scopes, p: int, slot: int, m: int, holds: NDArray[np.float64]
) -> None:
    """holds[c] = 1 where class c belongs to the set that term m demands, else 0."""
    demanded = _set(terms, m, scope.cells[p, slot])
    row = abs(demanded)
    are_others = sets.are_others[row] != (demanded < 0)
    # Row 0 lists nobody, and means everyone.
    outside = 1.0 if are_others or row == 0 else 0.0
    for c in range(scope.n_classes[p, slot]):
        holds[c] = outside
    at = scope.first_label[p, slot]
    for z in range(sets.start[row], sets.start[row + 1]):
        holds[scope.classes[at + sets.listed[z]]] = 1.0 - outside


@njit(cache=True)
def _add(
    n: NDArray[np.int64], weight: float, holds: NDArray[np.float64], table: NDArray[np.float64]
) -> None:
    """Add a term to the entries whose classes belong to its sets."""
    for a in range(n[0]):
        for b in range(n[1]):
            amount = weight * holds[0, a] * holds[1, b]
            if amount:
                own = table[(a * n[1] + b) * n[2] : (a * n[1] + b + 1) * n[2]]
                for c in range(n[2]):
                    own[c] += amount * holds[2, c]


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
