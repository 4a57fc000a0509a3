"""The trees that grow: sums on either side of a split, and values of leaves."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.surrogates.boosting.binning import Bins
from solvers.surrogates.boosting.histograms import LARGER, ROOT, SMALLER, Sums, Task
from solvers.surrogates.boosting.rules import CAT_L2, EPSILON


class Grown(NamedTuple):
    """T trees; each has a root, a left and a right child, and four leaves from left to right.

    Attributes:
        cell: (T, 3) int64 that a node splits; -1 for a child that is a leaf.
        size: (T, 3) int64, categories on the left.
        left: (T, 3, MAX_CATEGORIES) int64, their positions.
        gain: (T, 3) float64.
        leaf: (T, 4) float64; both of a child that is no split hold the same.
        rows: (T, 4) int64 that reach a leaf; all of a child that is no split reach its first.
    """

    cell: NDArray[np.int64]
    size: NDArray[np.int64]
    left: NDArray[np.int64]
    gain: NDArray[np.float64]
    leaf: NDArray[np.float64]
    rows: NDArray[np.int64]


@njit(cache=True, nogil=True)
def left_sums(tree: int, node: int, which: int, sums: Sums, grown: Grown) -> tuple[float, float]:
    """Gradient on the left of a node's split, and Hessian with LightGBM's kEpsilon.

    Args:
        tree, node: as in `Grown`.
        which: histogram of the node: ROOT, SMALLER or LARGER.
    """
    gradient, hessian = 0.0, EPSILON
    for k in range(grown.size[tree, node]):
        b = grown.left[tree, node, k]
        small_g, small_h = sums.small_gradient[b], sums.small_hessian[b]
        if which == SMALLER:
            gradient += small_g
            hessian += small_h
        elif which == LARGER:
            gradient += sums.gradient[b] - small_g
            hessian += sums.hessian[b] - small_h
        else:
            gradient += sums.gradient[b]
            hessian += sums.hessian[b]
    return gradient, hessian


@njit(cache=True, nogil=True)
def set_children(smaller: int, rows: int, gradient: float, hessian: float, task: Task) -> None:
    """Sums over both children, from those on the root's left side.

    Hessians are rounded as LightGBM rounds them, which decides ties in nodes of a few rows.

    Args:
        smaller: which side is the smaller child.
        rows: of the smaller child.
        gradient, hessian: as `left_sums`.
        task: whose nodes are set.
    """
    left, right = (SMALLER, LARGER) if smaller == 0 else (LARGER, SMALLER)
    task.nodes[left, 0] = gradient
    task.nodes[left, 1] = hessian - EPSILON
    task.nodes[right, 0] = task.nodes[ROOT, 0] - gradient
    task.nodes[right, 1] = task.nodes[ROOT, 1] + 2 * EPSILON - hessian - EPSILON
    task.nodes[SMALLER, 2] = rows
    task.nodes[LARGER, 2] = task.nodes[ROOT, 2] - rows


@njit(cache=True, nogil=True, error_model="numpy")
def set_leaves(
    tree: int,
    side: int,
    child: int,
    bins: Bins,
    sums: Sums,
    task: Task,
    learning_rate: float,
    grown: Grown,
) -> None:
    """Values of a child's two leaves and their Hessians, which are rows without weights.

    Args:
        tree: as in `Grown`.
        side: of the root, where the child is.
        child: SMALLER or LARGER.
    """
    gradient, hessian = task.nodes[child, 0], task.nodes[child, 1]
    leaf, rows = grown.leaf[tree], grown.rows[tree]
    cell = grown.cell[tree, 1 + side]
    if cell < 0:
        l2 = 0.0 if bins.one_hot[grown.cell[tree, 0]] else CAT_L2
        leaf[2 * side : 2 * side + 2] = -gradient / (hessian + EPSILON + l2) * learning_rate
        rows[2 * side] = np.int64(np.rint(hessian))
        return
    l2 = 0.0 if bins.one_hot[cell] else CAT_L2
    left_g, left_h = left_sums(tree, 1 + side, child, sums, grown)
    right_g, right_h = gradient - left_g, hessian + 2 * EPSILON - left_h
    leaf[2 * side] = -left_g / (left_h + l2) * learning_rate
    leaf[2 * side + 1] = -right_g / (right_h + l2) * learning_rate
    rows[2 * side] = np.int64(np.rint(left_h))
    rows[2 * side + 1] = np.int64(np.rint(right_h))
