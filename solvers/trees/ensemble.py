"""A fitted tree ensemble as neutral arrays, whichever library grew it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vqlso.errors import SolverError

# LightGBM's kZeroThreshold, a float32 constant (include/LightGBM/meta.h): before any split is
# asked, its predictor sets values this close to 0 to 0 (src/c_api.cpp).
_ZERO = float(np.float32(1e-35))

# Rows of one prediction are taken in blocks of at most this many (row, tree) pairs.
_BLOCK = 1 << 20


@dataclass(frozen=True, eq=False)
class TreeEnsemble:
    """A sum of regression trees over n_features cells.

    All trees share one list of N nodes. A node splits either by a threshold (value <= threshold
    goes left) or by a set of categories (member goes left, everything else right).

    Attributes:
        feature: (N,) int64, the cell that a node splits; -1 for a leaf.
        threshold: (N,) float64, never rounded; unused where `subset` >= 0.
        subset: (N,) int64, row of `subsets` for a categorical split; -1 for a numeric one.
        subsets: (S, W) bool, whether category 0..W-1 goes left. Categories beyond W, and
            negative ones, go right.
        left, right: (N,) int64, child nodes; a leaf points to itself.
        missing_left: (N,) bool, whether a missing value goes left.
        zero_is_missing: (N,) bool, whether a numeric split takes 0 for missing, beside NaN.
        value: (N,) float64, contribution of a leaf; 0 elsewhere.
        roots: (T,) int64, the first node of each tree.
        base: what is added to the sum of the trees.
        n_features: number of cells.
        categories: K of each cell, whose codes are 0..K-1; None where only predictions are
            wanted, since maximising needs to know the codes to choose from.
    """

    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    subset: NDArray[np.int64]
    subsets: NDArray[np.bool_]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    missing_left: NDArray[np.bool_]
    zero_is_missing: NDArray[np.bool_]
    value: NDArray[np.float64]
    roots: NDArray[np.int64]
    base: float
    n_features: int
    categories: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.categories is None:
            return
        if len(self.categories) != self.n_features:
            raise SolverError(
                f"An ensemble over {self.n_features} cells needs as many numbers of categories; "
                f"got {len(self.categories)}."
            )
        if min(self.categories, default=1) < 1:
            raise SolverError(f"A cell needs at least one category; got {min(self.categories)}.")

    @classmethod
    def from_lightgbm(
        cls, model: Any, *, categories: int | Sequence[int] | None = None
    ) -> TreeEnsemble:
        """Read a `lightgbm.Booster`, or the text that its `model_to_string` returns.

        Args:
            model: the booster or its text.
            categories: K of every cell, or one K per cell.

        Raises:
            SolverError: a model that no sum of constant leaves can express (linear trees,
                several classes, a transformed objective), or text that is no model.
        """
        from solvers.trees.readers import read_lightgbm

        return read_lightgbm(model, categories=categories)

    @property
    def n_trees(self) -> int:
        """T, the number of trees."""
        return len(self.roots)

    def goes_left(self, nodes: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether `values` take the left branch at `nodes`; the two are broadcast together."""
        subset = self.subset[nodes]
        missing = np.isnan(values)
        left = values <= self.threshold[nodes]
        if len(self.subsets):
            # A value is truncated towards 0 to its category, as LightGBM casts it to int.
            known = (values > -1) & (values < self.subsets.shape[1])
            category = np.where(known, values, 0).astype(np.int64)
            left = np.where(subset >= 0, known & self.subsets[subset, category], left)
        zero = self.zero_is_missing[nodes] & (values == 0) & (subset < 0)
        return np.where(missing | zero, self.missing_left[nodes], left)

    def predict(self, z: ArrayLike) -> NDArray[np.float64]:
        """(n, n_features) codes or numbers, NaN for missing -> (n,) float64 predictions.

        Leaves are added in the order of the trees, as LightGBM does, so that a boosted model's
        predictions are equal to the last bit.

        Raises:
            SolverError: `z` is not of shape (n, n_features).
        """
        cells = np.asarray(z, dtype=np.float64)
        if cells.ndim != 2 or cells.shape[1] != self.n_features:
            raise SolverError(
                f"The ensemble predicts arrays of shape (n, {self.n_features}); got {cells.shape}."
            )
        cells = np.where(np.abs(cells) <= _ZERO, 0.0, cells)
        if not self.n_trees:
            return np.full(len(cells), self.base)
        step = max(1, _BLOCK // self.n_trees)
        out = np.empty(len(cells))
        for start in range(0, len(cells), step):
            block = cells[start : start + step]
            leaves = self.value[self._leaves(block)]
            out[start : start + step] = self.base + np.cumsum(leaves, axis=1)[:, -1]
        return out

    def _leaves(self, z: NDArray[np.float64]) -> NDArray[np.int64]:
        """(n, T) the leaf of each tree that each row falls into."""
        rows = np.arange(len(z))[:, None]
        nodes = np.broadcast_to(self.roots, (len(z), self.n_trees))
        while (self.feature[nodes] >= 0).any():
            left = self.goes_left(nodes, z[rows, self.feature[nodes]])
            nodes = np.where(left, self.left[nodes], self.right[nodes])
        return nodes
