"""The one rule by which rows descend the trees, compiled by Numba at its first use."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

# LightGBM's kZeroThreshold, a float32 constant (include/LightGBM/meta.h).
_TINY = float(np.float32(1e-35))

# How a value becomes a category, by library: LightGBM casts to int, XGBoost refuses negative
# values before it casts, and scikit-learn and ONNX compare with each category.
TRUNCATED, FLOORED, EXACT = range(3)


class Trees(NamedTuple):
    """The arrays of a `TreeEnsemble`, C-contiguous and always of the same dtypes.

    One type for all ensembles means that every kernel is compiled once.
    """

    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    subset: NDArray[np.int64]
    subsets: NDArray[np.uint64]
    unknown_left: NDArray[np.bool_]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    missing_left: NDArray[np.bool_]
    zero_is_missing: NDArray[np.bool_]
    value: NDArray[np.float64]
    roots: NDArray[np.int64]
    base: float
    float32_inputs: bool
    float32_sums: bool
    tiny_is_zero: bool
    rounding: int
    base_last: bool
    averaged: bool


@njit(cache=True)
def goes_left(trees: Trees, node: int, value: float) -> bool:
    """Whether a value of the node's feature takes the left branch; node is no leaf."""
    if trees.float32_inputs:
        value = np.float64(np.float32(value))
    if trees.tiny_is_zero and abs(value) <= _TINY:
        value = 0.0
    if np.isnan(value):
        return bool(trees.missing_left[node])
    subset = trees.subset[node]
    if subset < 0:
        if value == 0.0 and trees.zero_is_missing[node]:
            return bool(trees.missing_left[node])
        return bool(value <= trees.threshold[node])
    whole = np.trunc(value) if trees.rounding == TRUNCATED else np.floor(value)
    known = 0.0 <= whole < 64.0 * trees.subsets.shape[1]
    if not known or (trees.rounding == EXACT and whole != value):
        return bool(trees.unknown_left[node])
    category = np.int64(whole)
    word = trees.subsets[subset, category >> 6]
    return bool((word >> np.uint64(category & 63)) & np.uint64(1))


@njit(cache=True)
def branches(
    trees: Trees, nodes: NDArray[np.int64], values: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """(n,) whether values[i] takes the left branch at nodes[i]."""
    out = np.empty(len(nodes), dtype=np.bool_)
    for i in range(len(nodes)):
        out[i] = goes_left(trees, nodes[i], values[i])
    return out


@njit(cache=True)
def branch_table(
    trees: Trees, nodes: NDArray[np.int64], values: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """(n, m) whether values[j] takes the left branch at nodes[i]."""
    out = np.empty((len(nodes), len(values)), dtype=np.bool_)
    for i in range(len(nodes)):
        for j in range(len(values)):
            out[i, j] = goes_left(trees, nodes[i], values[j])
    return out


@njit(cache=True)
def sums(trees: Trees, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, F) rows -> (n,) the leaves that they fall into, added in the order of the trees.

    A float64 result rounded to float32 is the float32 result, for one addition or division.
    """
    out = np.empty(len(rows))
    n_trees = len(trees.roots)
    weight = np.float64(n_trees) if trees.averaged else 1.0
    for i in range(len(rows)):
        total = 0.0 if trees.base_last else trees.base
        for root in trees.roots:
            node = root
            while trees.feature[node] >= 0:
                left = goes_left(trees, node, rows[i, trees.feature[node]])
                node = trees.left[node] if left else trees.right[node]
            total = _rounded(trees, total + _rounded(trees, trees.value[node] * weight))
        if trees.averaged and n_trees > 0:
            total = _rounded(trees, total / weight)
        out[i] = _rounded(trees, total + trees.base) if trees.base_last else total
    return out


@njit(cache=True)
def _rounded(trees: Trees, number: float) -> float:
    return np.float64(np.float32(number)) if trees.float32_sums else number
