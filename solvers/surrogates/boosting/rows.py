"""What a tree does to the rows: who goes where, and how residuals move."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.surrogates.boosting.binning import Bins
from solvers.surrogates.boosting.histograms import (
    COUNT_BITS,
    LARGER,
    ROOT,
    SMALLER,
    Scale,
    Sums,
    Task,
)
from solvers.surrogates.boosting.leaves import Grown, left_sums, set_children, set_leaves


class Rows(NamedTuple):
    """The state of n rows.

    Attributes:
        residual: (n,) float64; with `offset` prediction minus score, without weights multiples
            of the unit and the gradients themselves.
        offset: (1,) float64.
        weight: (n,) float64, multiples of their unit; empty if all are equal.
        right: (n,) uint8, whether the root sent a row to the right.
        goes_right: (2, B) uint8, for either child: whether its split sends a position right.
    """

    residual: NDArray[np.float64]
    offset: NDArray[np.float64]
    weight: NDArray[np.float64]
    right: NDArray[np.uint8]
    goes_right: NDArray[np.uint8]


@njit(cache=True, nogil=True, error_model="numpy")
def sum_all(rows: Rows, scale: Scale, task: Task) -> None:
    """Ask for the root's histogram anew, from the gradients of all rows.

    With weights every tree does: LightGBM rounds each product of weight and residual.
    """
    n = len(rows.residual)
    weighted = len(rows.weight) > 0
    gradient, hessian = 0.0, 0.0
    for i in range(n):
        value = rows.residual[i]
        if weighted:
            product = np.float64(np.float32(value * rows.weight[i]))
            value = np.rint(product / scale.unit) * scale.unit
            hessian += rows.weight[i]
        task.rows[i] = i
        task.values[i] = value
        gradient += value
    task.nodes[ROOT, 0] = gradient
    task.nodes[ROOT, 1] = hessian if weighted else n
    task.nodes[ROOT, 2] = n
    task.sizes[0] = n
    task.anew[0] = True


@njit(cache=True, nogil=True, error_model="numpy")
def divide(
    tree: int, bins: Bins, rows: Rows, sums: Sums, scale: Scale, task: Task, grown: Grown
) -> int:
    """Send rows left or right of the root, and list those of the child with fewer.

    Returns:
        1 if that is the right child, else 0.
    """
    n = len(rows.right)
    weighted = len(rows.weight) > 0
    table, column = rows.goes_right[0], bins.columns[grown.cell[tree, 0]]
    _mark(tree, 0, bins, grown, table)
    gradient, hessian = left_sums(tree, 0, ROOT, sums, grown)
    on_left = int(np.rint(hessian))
    if weighted:
        on_left = n
        for i in range(n):
            on_left -= table[column[i]]
    smaller = 1 if 2 * on_left > n else 0
    size = 0
    for i in range(n):
        # Written always and kept if it counts: no branch that a processor could mispredict.
        side = table[column[i]]
        rows.right[i] = side
        task.small_rows[size] = i
        size += side == smaller
    task.sizes[1] = size
    _set_small_values(rows, scale, task)
    set_children(smaller, size, gradient, hessian, task)
    return smaller


@njit(cache=True, nogil=True, error_model="numpy")
def _set_small_values(rows: Rows, scale: Scale, task: Task) -> None:
    """What the smaller child's rows add to its histogram."""
    size, factor = task.sizes[1], 1.0 / scale.unit
    for k in range(size):
        i = task.small_rows[k]
        if len(rows.weight):
            task.small_gradient[k] = task.values[i]
            task.small_hessian[k] = rows.weight[i]
        else:
            units = np.int64(np.rint((rows.residual[i] + rows.offset[0]) * factor))
            task.small_packed[k] = (units << COUNT_BITS) + 1


@njit(cache=True, nogil=True, error_model="numpy")
def finish(
    tree: int,
    smaller: int,
    bins: Bins,
    rows: Rows,
    sums: Sums,
    scale: Scale,
    task: Task,
    learning_rate: float,
    grown: Grown,
) -> None:
    """Give leaves their values, move residuals by them, and list what that does to the root."""
    for side in range(2):
        child = SMALLER if side == smaller else LARGER
        set_leaves(tree, side, child, bins, sums, task, learning_rate, grown)
        _mark(tree, 1 + side, bins, grown, rows.goes_right[side])
    if len(rows.weight):
        _move_all(tree, bins, rows, grown)
    else:
        _move(tree, smaller, bins, rows, scale, task, grown)


@njit(cache=True, nogil=True)
def _move_all(tree: int, bins: Bins, rows: Rows, grown: Grown) -> None:
    """Residuals of all rows, and the rows of each leaf."""
    grown.rows[tree] = 0
    for i in range(len(rows.right)):
        side = np.int64(rows.right[i])
        position = bins.columns[max(grown.cell[tree, 1 + side], 0), i]
        leaf = 2 * side + rows.goes_right[side, position]
        rows.residual[i] += grown.leaf[tree, leaf]
        grown.rows[tree, leaf] += 1


@njit(cache=True, nogil=True, error_model="numpy")
def _move(
    tree: int, smaller: int, bins: Bins, rows: Rows, scale: Scale, task: Task, grown: Grown
) -> None:
    """Residuals without weights, by the least work.

    Of either child the leaf with fewer rows is listed, and the other's value is the child's. The
    larger child's value goes into the offset: most rows are not touched at all.
    """
    value = np.rint(grown.leaf[tree] / scale.unit) * scale.unit
    count = grown.rows[tree]
    few = np.empty(2, dtype=np.int64)
    for side in range(2):
        few[side] = count[2 * side] >= count[2 * side + 1]
        task.shifts[np.int64(side != smaller)] = value[2 * side + 1 - few[side]]
    base = task.shifts[1]
    k = 0
    table, column = rows.goes_right[smaller], bins.columns[max(grown.cell[tree, 1 + smaller], 0)]
    for j in range(task.sizes[1]):
        i = task.small_rows[j]
        leaf = table[column[i]]
        rows.residual[i] += value[2 * smaller + leaf] - base
        task.rows[k] = i
        k += leaf == few[smaller]
    delta = value[2 * smaller + few[smaller]] - task.shifts[0]
    task.values[:k] = delta
    begin, larger = k, 1 - smaller
    if grown.cell[tree, 1 + larger] >= 0:
        table, column = rows.goes_right[larger], bins.columns[grown.cell[tree, 1 + larger]]
        for i in range(len(rows.right)):
            task.rows[k] = i
            k += (rows.right[i] == larger) & (table[column[i]] == few[larger])
    delta = value[2 * larger + few[larger]] - base
    for j in range(begin, k):
        rows.residual[task.rows[j]] += delta
        task.values[j] = delta
    rows.offset[0] += base
    task.sizes[0] = k
    task.anew[0] = False
    for leaf in range(4):
        task.nodes[ROOT, 0] += value[leaf] * count[leaf]


@njit(cache=True, nogil=True)
def _mark(tree: int, node: int, bins: Bins, grown: Grown, goes_right: NDArray[np.uint8]) -> None:
    """Note where a node's split sends the positions of its cell; all go left where it is a leaf."""
    cell = max(grown.cell[tree, node], 0)
    goes_right[bins.first[cell] : bins.first[cell + 1]] = grown.cell[tree, node] >= 0
    for k in range(grown.size[tree, node]):
        goes_right[grown.left[tree, node, k]] = 0
