"""Trees that a library keeps one by one, joined into the arrays of a `TreeEnsemble`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vqlso.errors import SolverError


class OneTree(NamedTuple):
    """The n nodes of one tree, the root first; children are numbered within the tree.

    Attributes:
        feature: (n,) int64, -1 for a leaf.
        threshold: (n,) float64, value <= threshold goes left.
        left, right: (n,) int64, unused for a leaf.
        missing_left: (n,) bool.
        value: (n,) float64, used for a leaf only.
    """

    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    missing_left: NDArray[np.bool_]
    value: NDArray[np.float64]


def joined(trees: Sequence[OneTree]) -> dict[str, Any]:
    """Node arrays of an ensemble without categorical splits.

    Raises:
        SolverError: a child outside its tree.
    """
    if not trees:
        raise SolverError("The model has no trees: it predicts a constant.")
    sizes = np.array([len(tree.feature) for tree in trees])
    first = np.cumsum(sizes) - sizes
    number = np.repeat(np.arange(len(trees)), sizes)
    node = np.arange(sizes.sum())
    feature = np.concatenate([tree.feature for tree in trees]).astype(np.int64)
    is_leaf = feature < 0

    def child(side: str) -> NDArray[np.int64]:
        local = np.concatenate([getattr(tree, side) for tree in trees]).astype(np.int64)
        outside = ~is_leaf & ((local < 0) | (local >= sizes[number]))
        if outside.any():
            raise SolverError(
                f"A node of tree {number[outside][0]} has node {local[outside][0]} as its {side} "
                f"child, of {sizes[number[outside][0]]} nodes: the model is damaged."
            )
        return np.where(is_leaf, node, local + first[number])

    n = len(feature)
    return {
        "feature": feature,
        "threshold": np.where(is_leaf, 0.0, np.concatenate([tree.threshold for tree in trees])),
        "subset": np.full(n, -1, dtype=np.int64),
        "subsets": np.zeros((0, 0), dtype=np.uint64),
        "unknown_left": np.zeros(n, dtype=bool),
        "left": child("left"),
        "right": child("right"),
        "missing_left": np.concatenate([tree.missing_left for tree in trees]) & ~is_leaf,
        "zero_is_missing": np.zeros(n, dtype=bool),
        "value": np.where(is_leaf, np.concatenate([tree.value for tree in trees]), 0.0),
        "roots": first,
    }


def below(threshold: NDArray[np.floating]) -> NDArray[np.float64]:
    """The largest number of the same dtype under each threshold: x < t where x <= below(t)."""
    lower = np.nextafter(threshold, threshold.dtype.type(-np.inf))
    return np.asarray(lower, dtype=np.float64)
