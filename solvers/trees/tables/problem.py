"""From the arrays of an instance to the sum that is searched, in one compiled call."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.trees.tables.building import Scopes, build, scopes
from solvers.trees.tables.factors import Factors
from solvers.trees.tables.labels import PairTables, all_labels, cells_of_pairs, merged
from solvers.trees.tables.screening import all_choices, screen, without_settled
from solvers.trees.tables.sets import Sets, listed
from solvers.trees.tables.terms import Cells, Terms, expand
from solvers.trees.traversal import Trees

_MOST_NARROW = 1 << 16


class Problem(NamedTuple):
    """constant + size * (the sum of `factors`), the largest contribution of which is 1.

    What counts as rounding is then the same for all instances.

    Attributes:
        factors: without any tables where it is too wide, or too large.
        constant, size: see above.
        spread: no two points' sums of factors differ by more.
        bytes: that the tables take.
        entries, triples: of the tables.
        is_too_wide: whether some leaf depends on more than `terms.WIDEST` cells.
        is_too_large: whether the tables would take more than was allowed.
    """

    factors: Factors
    constant: float
    size: float
    spread: float
    bytes: int
    entries: int
    triples: int
    is_too_wide: bool
    is_too_large: bool


def numbering(width: int) -> NDArray[Any]:
    """An empty array of a type that can number the classes of so many labels."""
    return np.empty(0, dtype=np.uint16 if width <= _MOST_NARROW else np.uint32)


@njit(cache=True)
def stated(
    trees: Trees,
    free: Cells,
    unary: NDArray[np.float64],
    pairs: PairTables,
    group: NDArray[np.int64],
    numbers: NDArray[np.uint16],
    may_dominate: bool,
    most_bytes: float,
) -> Problem:
    """The problem of an instance.

    Args:
        trees: of the ensemble.
        free: the free cells.
        unary: (t + 1, L), what choices contribute beside the trees; overwritten.
        pairs: what pairs of choices contribute; overwritten.
        group: (t + 1, L), choices of equal parts in the constraints.
        numbers: as `numbering` makes it.
        may_dominate: whether labels may go that only match better ones: not for the k best.
        most_bytes: that the tables may take.
    """
    raw = expand(trees, free, unary)
    terms, constant, size, spread = _standardised(raw, pairs, free.n_choices)
    kept = all_choices(free.n_choices, terms.members.shape[1])
    if may_dominate:
        screen(terms, kept, cells_of_pairs(pairs, len(kept)), group)
        terms = without_settled(terms, kept)
    sets = listed(terms, kept)
    labels = all_labels(free.n_choices, unary.shape[1])
    if may_dominate:
        labels, sets = merged(unary, sets, pairs, kept, group)
    scope = scopes(terms, sets, pairs, labels, numbers)
    taken = _bytes(scope, terms, sets)
    is_too_large = taken > most_bytes
    if is_too_large:
        scope = _nothing(scope)
    factors = build(terms, sets, pairs, labels, scope, group)
    triples = 0
    for p in range(len(scope.cells)):
        triples += scope.cells[p, 0] < len(labels.n_labels) - 1
    return Problem(
        factors,
        constant,
        size,
        spread,
        taken,
        scope.entries,
        triples,
        raw.is_too_wide,
        is_too_large,
    )


@njit(cache=True)
def _standardised(
    terms: Terms, pairs: PairTables, n_choices: NDArray[np.int64]
) -> tuple[Terms, float, float, float]:
    """The same with the largest contribution at 1; what was left out, the size and the spread.

    Choices contribute at most 0 by themselves: beside what all of a cell's have in common, their
    differences might be rounding.
    """
    constant, size = terms.constant, 0.0
    for cell in range(len(n_choices)):
        own = terms.unary[cell, : n_choices[cell]]
        highest = own.max()
        constant += highest
        for a in range(len(own)):
            own[a] -= highest
            size = max(size, -own[a])
    for m in range(len(terms.weight)):
        size = max(size, abs(terms.weight[m]))
    for z in range(len(pairs.values)):
        size = max(size, abs(pairs.values[z]))
    size = size or 1.0
    spread = 0.0
    for part in (terms.weight, pairs.values, terms.unary.reshape(-1)):
        for z in range(len(part)):
            part[z] /= size
    for cell in range(len(n_choices)):
        spread -= terms.unary[cell, : n_choices[cell]].min()
    for m in range(len(terms.weight)):
        spread += abs(terms.weight[m])
    for p in range(len(pairs.cells)):
        end = pairs.start[p + 1] if p + 1 < len(pairs.cells) else len(pairs.values)
        table = pairs.values[pairs.start[p] : end]
        spread += table.max() - table.min()
    scaled = Terms(
        0.0,
        terms.unary,
        terms.cells,
        terms.sets,
        terms.weight,
        terms.members,
        terms.is_too_wide,
    )
    return scaled, constant, size, spread


@njit(cache=True)
def _bytes(scope: Scopes, terms: Terms, sets: Sets) -> int:
    tables = 8 * scope.entries + scope.classes.itemsize * len(scope.classes)
    return int(tables + 8 * terms.members.size + 4 * len(sets.listed))


@njit(cache=True)
def _nothing(scope: Scopes) -> Scopes:
    return Scopes(
        scope.order[:0],
        scope.end[:0],
        scope.cells[:0],
        scope.pair[:0],
        scope.n_classes[:0],
        scope.classes[:0],
        scope.first_label[:0],
        scope.first_class[:0],
        scope.present[:0],
        scope.entries,
    )
