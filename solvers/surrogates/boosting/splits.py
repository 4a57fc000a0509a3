"""The best split of one cell in one node, by LightGBM's rule for categories.

`FeatureHistogram::FindBestThresholdCategoricalInner` (src/treelearner/feature_histogram.cpp):
categories are ordered by gradient / (Hessian + cat_smooth), and the left side is a run from
either end. LightGBM sorts them all; here the ends alone are, which gives the same order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.surrogates.boosting.ordering import AT_ONCE, select, sort
from solvers.surrogates.boosting.rules import (
    CAT_L2,
    CAT_SMOOTH,
    EPSILON,
    MAX_CATEGORIES,
    MIN_GROUP,
    MIN_HESSIAN,
)

# How many more categories than needed a hint lets in, so that it still does in the next tree.
MARGIN = 8


class Node(NamedTuple):
    """Sums over the rows of a node.

    Attributes:
        gradient, hessian: their sums.
        rows: their number.
    """

    gradient: float
    hessian: float
    rows: float


class Scratch(NamedTuple):
    """Memory of one search, for cells of up to W categories.

    Attributes:
        gradient, hessian, counts: (2, W) float64 of two nodes' categories; `counts` are estimated
            from Hessians, as LightGBM does, and are the same array without weights.
        key, end_key: (W,) float64, what categories are ordered by.
        used, end, order: (W,) int64 categories.
    """

    gradient: NDArray[np.float64]
    hessian: NDArray[np.float64]
    counts: NDArray[np.float64]
    key: NDArray[np.float64]
    end_key: NDArray[np.float64]
    used: NDArray[np.int64]
    end: NDArray[np.int64]
    order: NDArray[np.int64]


@njit(cache=True, nogil=True)
def new_scratch(widest: int, weighted: bool) -> Scratch:
    """Memory for cells of up to `widest` categories."""
    width = max(widest, AT_ONCE)
    gradient, hessian = np.empty((2, width)), np.empty((2, width))
    counts = np.empty((2, width)) if weighted else hessian
    return Scratch(
        gradient,
        hessian,
        counts,
        np.empty(width),
        np.empty(width),
        np.empty(width, dtype=np.int64),
        np.empty(width, dtype=np.int64),
        np.empty(width, dtype=np.int64),
    )


@njit(cache=True, nogil=True, error_model="numpy")
def best_split(
    node: Node,
    least: float,
    one_hot: bool,
    gradient: NDArray[np.float64],
    hessian: NDArray[np.float64],
    count: NDArray[np.float64],
    work: Scratch,
    hints: NDArray[np.float64],
    left: NDArray[np.int64],
) -> tuple[float, int]:
    """Gain over the unsplit node and number of categories on the left; (-inf, 0) if none.

    Args:
        node: sums over the node.
        least: fewest rows a leaf.
        one_hot: whether the left side is one category.
        gradient, hessian, count: (m,) of the cell's categories in the node.
        work: memory.
        hints: (2,), where the ends of the order began when this was last asked; updated.
        left: (MAX_CATEGORIES,), takes the left side.
    """
    # The parent's gain is without cat_l2, as LightGBM has it.
    shift = node.gradient * node.gradient / (node.hessian + 2 * EPSILON)
    if one_hot:
        gain, category = _single(node, least, shift, gradient, hessian, count)
        left[0] = category
        return gain - shift, 1 if category >= 0 else 0
    if node.rows < 2 * MIN_GROUP:
        return -np.inf, 0
    m = 0
    key, used = work.key, work.used
    for c in range(len(gradient)):
        work.end_key[c] = gradient[c] / (hessian[c] + CAT_SMOOTH)
    for c in range(len(gradient)):
        used[m] = c
        key[m] = work.end_key[c]
        m += count[c] >= CAT_SMOOTH
    most = min(MAX_CATEGORIES, (m + 1) // 2)
    best, size = shift, 0
    for direction in range(2):
        if m > AT_ONCE:
            sign = 1.0 - 2.0 * direction
            k = select(key[:m], used, most, sign, hints[direction], work.end_key, work.end)
            sort(work.end_key, k, work.end, work.order)
        elif direction == 0:
            k = m
            sort(key, k, used, work.order)
        start, step = (0, 1) if direction == 0 else (k - 1, -1)
        if m > AT_ONCE:
            c = work.order[start + step * min(k - 1, most + MARGIN)]
            hints[direction] = gradient[c] / (hessian[c] + CAT_SMOOTH)
        gain, found = _scan(
            node, least, best, most, start, step, work.order, gradient, hessian, count
        )
        if found > 0:
            best, size = gain, found
            for i in range(found):
                left[i] = work.order[start + step * i]
    return (best - shift, size) if size > 0 else (-np.inf, 0)


@njit(cache=True, nogil=True, error_model="numpy")
def _single(
    node: Node,
    least: float,
    shift: float,
    gradient: NDArray[np.float64],
    hessian: NDArray[np.float64],
    count: NDArray[np.float64],
) -> tuple[float, int]:
    best, category = shift, -1
    for c in range(len(gradient)):
        if count[c] < least or hessian[c] < MIN_HESSIAN or node.rows - count[c] < least:
            continue
        rest = node.hessian + 2 * EPSILON - hessian[c] - EPSILON
        if rest < MIN_HESSIAN:
            continue
        other = node.gradient - gradient[c]
        gain = other * other / rest + gradient[c] * gradient[c] / (hessian[c] + EPSILON)
        if gain > best:
            best, category = gain, c
    return best, category


@njit(cache=True, nogil=True, error_model="numpy")
def _scan(
    node: Node,
    least: float,
    best: float,
    most: int,
    start: int,
    step: int,
    order: NDArray[np.int64],
    gradient: NDArray[np.float64],
    hessian: NDArray[np.float64],
    count: NDArray[np.float64],
) -> tuple[float, int]:
    """Best gain above `best` of runs from `start` of `order`, and the run's length; 0 if none."""
    g, h, rows, group, size = 0.0, EPSILON, 0.0, 0.0, 0
    open_ = True
    for i in range(most):
        c = order[start + step * i]
        g += gradient[c]
        h += hessian[c]
        rows += count[c]
        group += count[c]
        rest = node.rows - rows
        rest_g = node.gradient - g
        rest_h = node.hessian + 2 * EPSILON - h
        enough = (rows >= least) & (h >= MIN_HESSIAN)
        open_ &= (not enough) | ((rest >= least) & (rest >= MIN_GROUP) & (rest_h >= MIN_HESSIAN))
        asked = enough & open_ & (group >= MIN_GROUP)
        gain = g * g / (h + CAT_L2) + rest_g * rest_g / (rest_h + CAT_L2)
        better = asked & (gain > best)
        group = 0.0 if asked else group
        best = gain if better else best
        size = i + 1 if better else size
    return best, size
