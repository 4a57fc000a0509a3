"""A sum over cells, pairs and triples of cells, as flat arrays that compiled code can walk."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray


class Factors(NamedTuple):
    """Tables over t cells, and the labels that each cell still has.

    A factor couples three slots. A pair's slot 0 is the cell number t, which has one label: its
    long axis then stays contiguous, and one code serves pairs and triples. Labels of a cell that
    a factor does not tell apart form a class of its slot, so that tables stay small. The arrays
    of labels are compacted in place when labels are removed.

    Attributes:
        constant: what all points have in common.
        choice: (t + 1, L) int64, the choice that a label stands for.
        n_labels: (t + 1,) int64.
        unary: (t + 1, L) float64.
        group: (t + 1, L) int64; a label may dominate another of its group only.
        cells: (F, 3) int64, the cell of each slot.
        n_classes: (F, 3) int64.
        classes: (entries,) unsigned, the class of each label of each slot's cell.
        first_label: (F, 3) int64, where a slot's labels begin in `classes`.
        first_class: (F, 3) int64, where a slot's classes begin in what is known of classes.
        present: (C,) int64, how many labels of each class are left.
        start: (F + 1,) int64, where each factor's table begins.
        tables: (entries,) float64, slot 2 fastest.
        first: (t + 2,) int64, where each cell's entries in `touching` begin.
        touching: (2 or 3 times F, 2) int64, factor and slot.
    """

    constant: float
    choice: NDArray[np.int64]
    n_labels: NDArray[np.int64]
    unary: NDArray[np.float64]
    group: NDArray[np.int64]
    cells: NDArray[np.int64]
    n_classes: NDArray[np.int64]
    classes: NDArray[np.uint16]
    first_label: NDArray[np.int64]
    first_class: NDArray[np.int64]
    present: NDArray[np.int64]
    start: NDArray[np.int64]
    tables: NDArray[np.float64]
    first: NDArray[np.int64]
    touching: NDArray[np.int64]


@njit(cache=True)
def classes_of(factors: Factors, p: int, slot: int) -> NDArray[np.uint16]:
    """The class of each label that is left of the slot's cell."""
    first = factors.first_label[p, slot]
    return factors.classes[first : first + factors.n_labels[factors.cells[p, slot]]]


@njit(cache=True)
def value(factors: Factors, labels: NDArray[np.int64]) -> float:
    """The sum at labels (t + 1,), whose last is 0."""
    total = factors.constant
    for cell in range(len(labels) - 1):
        total += factors.unary[cell, labels[cell]]
    for p in range(len(factors.cells)):
        total += factors.tables[entry(factors, p, labels)]
    return total


@njit(cache=True)
def entry(factors: Factors, p: int, labels: NDArray[np.int64]) -> int:
    """Where factor p's table holds its contribution at labels (t + 1,)."""
    at: int = factors.start[p]
    within: int = 0
    for slot in range(3):
        own = factors.first_label[p, slot] + labels[factors.cells[p, slot]]
        within = within * factors.n_classes[p, slot] + factors.classes[own]
    return at + within


@njit(cache=True)
def conditional(
    factors: Factors, cell: int, labels: NDArray[np.int64], out: NDArray[np.float64]
) -> None:
    """out[a] = what label a of the cell contributes while the others stay."""
    n = factors.n_labels[cell]
    for a in range(n):
        out[a] = factors.unary[cell, a]
    for z in range(factors.first[cell], factors.first[cell + 1]):
        p, slot = factors.touching[z, 0], factors.touching[z, 1]
        stride = 1
        for later in range(slot + 1, 3):
            stride *= factors.n_classes[p, later]
        own = classes_of(factors, p, slot)
        base = entry(factors, p, labels) - own[labels[cell]] * stride
        for a in range(n):
            out[a] += factors.tables[base + own[a] * stride]


@njit(cache=True)
def keep_labels(
    factors: Factors,
    cell: int,
    keep: NDArray[np.bool_],
    theta: NDArray[np.float64],
    points: NDArray[np.int64],
) -> None:
    """Compact a cell to the labels with keep[a]; those of `points` (m, t + 1) must be kept.

    `theta` (t + 1, L) is compacted with them, and `points` is renumbered.
    """
    n = factors.n_labels[cell]
    renamed = np.zeros(n, dtype=np.int64)
    kept = np.empty(n, dtype=np.int64)
    count = 0
    for a in range(n):
        renamed[a] = count
        kept[count] = a
        count += keep[a]
    for b in range(count):
        a = kept[b]
        factors.choice[cell, b] = factors.choice[cell, a]
        factors.unary[cell, b] = factors.unary[cell, a]
        factors.group[cell, b] = factors.group[cell, a]
        theta[cell, b] = theta[cell, a]
    for z in range(factors.first[cell], factors.first[cell + 1]):
        p, slot = factors.touching[z, 0], factors.touching[z, 1]
        own, first = factors.first_label[p, slot], factors.first_class[p, slot]
        for c in range(first, first + factors.n_classes[p, slot]):
            factors.present[c] = 0
        for b in range(count):
            c = factors.classes[own + kept[b]]
            factors.classes[own + b] = c
            factors.present[first + c] += 1
    for m in range(len(points)):
        points[m, cell] = renamed[points[m, cell]]
    factors.n_labels[cell] = count


@njit(cache=True)
def is_decided(factors: Factors) -> bool:
    """Whether every cell has one label left."""
    return bool(factors.n_labels.max() == 1)
