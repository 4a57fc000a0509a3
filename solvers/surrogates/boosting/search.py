"""The search for the best split of every cell, in one block of cells at a time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.surrogates.boosting.binning import Bins
from solvers.surrogates.boosting.histograms import (
    ROOT,
    SMALLER,
    Scale,
    Sums,
    Task,
    cells_of,
    divide_sums,
    sum_smaller,
    update_root,
)
from solvers.surrogates.boosting.rules import EPSILON
from solvers.surrogates.boosting.splits import Node, best_split, new_scratch


class Found(NamedTuple):
    """The best split of every cell in each of three nodes.

    Attributes:
        gain: (3, F) float64 over the unsplit node, -inf where nothing splits.
        size: (3, F) int64, categories on the left.
        left: (3, F, MAX_CATEGORIES) int64, which ones, numbered within the cell.
        hints: (3, F, 2) float64, where the ends of the orders began last time.
    """

    gain: NDArray[np.float64]
    size: NDArray[np.int64]
    left: NDArray[np.int64]
    hints: NDArray[np.float64]


class Search(NamedTuple):
    """All that a search reads and writes; blocks share no entry that is written.

    Attributes:
        bins, sums, scale, task, found: see there.
        least: fewest rows a leaf.
        widest: categories of the cell that has most.
    """

    bins: Bins
    sums: Sums
    scale: Scale
    task: Task
    found: Found
    least: float
    widest: int


@njit(cache=True, nogil=True, error_model="numpy")
def search_block(block: int, children: bool, search: Search) -> None:
    """Bring a block's histograms up to date, and find its cells' best splits.

    Args:
        block: of cells.
        children: whether of both children, or of the root.
        search: reads `task`, writes `sums` and `found`.
    """
    bins, sums, scale, task, found, least, widest = search
    if children:
        sum_smaller(block, bins, sums, scale, task)
    else:
        update_root(block, bins, sums, task)
    weighted = scale.weight_unit > 0
    work = new_scratch(widest, weighted)
    begin, end = cells_of(block, bins)
    for f in range(begin, end):
        lo, m = bins.first[f] + 1, bins.first[f + 1] - bins.first[f] - 1
        g, h = work.gradient[:, :m], work.hessian[:, :m]
        if not children:
            g[0] = sums.gradient[lo : lo + m]
            h[0] = sums.hessian[lo : lo + m]
        elif found.size[ROOT, f] > 0:
            divide_sums(lo, sums, g, h)
        else:
            # What nothing splits at the root is not asked again below it, as in LightGBM.
            found.size[SMALLER:, f] = 0
            continue
        for k in range(1 + children):
            which = k + children
            node = Node(task.nodes[which, 0], task.nodes[which, 1], task.nodes[which, 2])
            c = work.counts[k, :m]
            if weighted:
                _estimate_counts(h[k], node, c)
            found.gain[which, f], found.size[which, f] = best_split(
                node,
                least,
                bins.one_hot[f],
                g[k],
                h[k],
                c,
                work,
                found.hints[which, f],
                found.left[which, f],
            )


@njit(cache=True, nogil=True, error_model="numpy")
def _estimate_counts(hessian: NDArray[np.float64], node: Node, count: NDArray[np.float64]) -> None:
    """Rows of each category as LightGBM estimates them from weights."""
    factor = node.rows / (node.hessian + 2 * EPSILON)
    for c in range(len(hessian)):
        count[c] = np.floor(hessian[c] * factor + 0.5)
