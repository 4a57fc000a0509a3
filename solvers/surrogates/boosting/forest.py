"""Trees of depth 2 as arrays, and what the rest of the project takes for trees."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.trees.ensemble import TreeEnsemble
from solvers.trees.features import Categorical

# Rows that are predicted together.
_AT_ONCE = 1024


class Forest(NamedTuple):
    """T trees; each has a root, a left and a right child, and four leaves from left to right.

    Attributes:
        cell: (T, 3) int64 that a node splits; -1 where there is no split.
        sets: (T, 3, W) uint64 bitsets: bit c % 64 of word c // 64 is set if code c goes left.
        gain: (T, 3) float64 of the splits.
        value: (T, 4) float64; a child that is no split has its value in the first of its two
            leaves, a root that is none in the first of all.
        rows: (T, 4) int64 that reached a leaf in the fit.
        offset: what is added to the sum of the leaves.
    """

    cell: NDArray[np.int64]
    sets: NDArray[np.uint64]
    gain: NDArray[np.float64]
    value: NDArray[np.float64]
    rows: NDArray[np.int64]
    offset: float


class Numbering(NamedTuple):
    """LightGBM's numbers for the parts of each tree, -1 for those that it lacks.

    A tree's splits and leaves are numbered each from 0. The child of higher gain is split first;
    the left side of a split keeps the leaf's number, the right one takes the next.

    Attributes:
        split: (T, 3) int64 of root, left and right child.
        leaf: (T, 4) int64.
    """

    split: NDArray[np.int64]
    leaf: NDArray[np.int64]


def numbered(forest: Forest) -> Numbering:
    """The numbers that LightGBM gives to splits and leaves."""
    root, left, right = (forest.cell >= 0).T
    left_first = left & ~(right & (forest.gain[:, 2] > forest.gain[:, 1]))
    split = np.stack(
        [
            np.where(root, 0, -1),
            np.where(left, np.where(left_first, 1, 2), -1),
            np.where(right, np.where(left & left_first, 2, 1), -1),
        ],
        axis=1,
    )
    leaf = np.stack(
        [
            np.zeros(len(root), dtype=np.int64),
            np.where(left, np.where(left_first, 2, 3), -1),
            np.where(root, 1, -1),
            np.where(right, np.where(left & left_first, 3, 2), -1),
        ],
        axis=1,
    )
    return Numbering(split, leaf)


def as_ensemble(forest: Forest, cells: int, categories: int) -> TreeEnsemble:
    """The same trees as neutral arrays: of each tree the splits, then the leaves."""
    split, leaf = numbered(forest)
    n_splits = (split >= 0).sum(axis=1)
    first = np.cumsum(2 * n_splits + 1) - (2 * n_splits + 1)
    n = int((2 * n_splits + 1).sum())
    split_node = first[:, None] + split
    leaf_node = (first + n_splits)[:, None] + leaf
    left, right = np.arange(n), np.arange(n)
    feature, subset, value = np.full(n, -1), np.full(n, -1), np.zeros(n)
    is_split, is_leaf = split >= 0, leaf >= 0
    at = split_node[is_split]
    feature[at] = forest.cell[is_split]
    subset[at] = np.arange(len(at))
    value[leaf_node[is_leaf]] = forest.value[is_leaf]
    for side, child in enumerate((left, right)):
        # The root's child is a split or the first of the two leaves below it.
        below = np.where(is_split[:, 1 + side], split_node[:, 1 + side], leaf_node[:, 2 * side])
        child[split_node[is_split[:, 0], 0]] = below[is_split[:, 0]]
        for node in (1, 2):
            there = is_split[:, node]
            child[split_node[there, node]] = leaf_node[there, 2 * (node - 1) + side]
    return TreeEnsemble(
        feature=feature,
        threshold=np.zeros(n),
        subset=subset,
        subsets=forest.sets[is_split],
        unknown_left=np.zeros(n, dtype=bool),
        left=left,
        right=right,
        missing_left=np.zeros(n, dtype=bool),
        zero_is_missing=np.zeros(n, dtype=bool),
        value=value,
        roots=first,
        base=forest.offset,
        n_features=cells,
        features=(Categorical(categories),) * cells,
        base_last=True,
    )


@njit(cache=True, nogil=True)
def predict(forest: Forest, columns: NDArray[np.int64]) -> NDArray[np.float64]:
    """(cells, n) codes that fit into the sets -> (n,) sums of leaves, offset included."""
    n = columns.shape[1]
    out = np.zeros(n)
    # Blocks of rows whose codes stay in the cache from tree to tree.
    for begin in range(0, n, _AT_ONCE):
        end = min(n, begin + _AT_ONCE)
        for tree in range(len(forest.cell)):
            cell, value = np.maximum(forest.cell[tree], 0), forest.value[tree]
            # What is no split sends all to the left.
            right = (forest.cell[tree] >= 0).astype(np.int64)
            for i in range(begin, end):
                side = right[0] & _outside(forest.sets, tree, 0, columns[cell[0], i])
                child = 1 + side
                code = columns[cell[child], i]
                leaf = 2 * side + (right[child] & _outside(forest.sets, tree, child, code))
                out[i] += value[leaf]
    for i in range(n):
        out[i] += forest.offset
    return out


@njit(cache=True, nogil=True)
def _outside(sets: NDArray[np.uint64], tree: int, node: int, code: int) -> int:
    """1 if a code is not in a node's set, else 0."""
    rest = ~sets[tree, node, code >> 6] >> np.uint64(code & 63)
    return np.int64(rest & np.uint64(1))  # type: ignore[return-value]
